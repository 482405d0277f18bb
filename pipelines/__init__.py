"""The road from photographs to a slider: DVC stages, Ray Train jobs, tracking, evaluation and serving."""
