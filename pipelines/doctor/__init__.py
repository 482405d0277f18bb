"""Whether everything a run needs is there, told in seconds: one concept a file, each a list of findings."""
