"""The ``publish`` stage: a trained and evaluated network becomes an immutable zoo entry."""
