"""Measuring a tunable network over its sliders, for validation in training, evaluation and search."""
