"""From a folder of photographs to two sets of pixels: the ``prepare`` stage."""
