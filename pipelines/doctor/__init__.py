"""Checks of everything a run needs, in seconds and before it starts."""
