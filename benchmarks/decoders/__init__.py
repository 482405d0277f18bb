"""Libraries that decode pictures, side by side over the files of a folder."""
