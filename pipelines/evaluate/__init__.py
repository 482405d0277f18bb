"""The ``evaluate`` stage: what each slider does to photographs the network has never seen."""
