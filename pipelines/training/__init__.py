"""Training in plain torch: options, batches, the loop and its checkpoints. Ray is not known here."""
