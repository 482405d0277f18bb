"""Running a training: what identifies a run, the job, and the launchers."""
