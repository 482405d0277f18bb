"""Training on Ray: the driver, and what its workers ask of it."""
