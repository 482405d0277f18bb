"""Zoos elsewhere: what they hold, pulling an entry from one and pushing one there."""
