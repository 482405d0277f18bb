"""The stages of dvc.yaml, as functions of a root folder and options."""
