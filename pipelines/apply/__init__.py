"""Batch restoration of pictures with one model, as ``tunable apply`` does it."""
