"""Measuring a tunable network over its sliders."""
