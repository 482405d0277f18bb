"""Running a training: what a run is, and the launchers that compute it."""
