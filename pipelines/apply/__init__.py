"""Many pictures through one model: what ``tunable apply`` does behind its options."""
