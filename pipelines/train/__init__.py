"""The ``train`` stage: a plain torch loop, and the shells that run it (Ray Train, this process)."""
