"""The ``search`` stage: which sampling distribution, and which other options, make the best slider."""
