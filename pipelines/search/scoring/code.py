"""The code that scores rest on: those of two versions do not compare."""

from pipelines.running.fingerprint import code_digest

SCORING_CODE = (
    "pipelines/search/scoring",
    "pipelines/measure",
    "pipelines/training/validation.py",
    "pipelines/core/trained.py",
)
"""Files and folders whose code can change a score, beside the training code."""


def scoring_digest() -> str:
    """SHA-256 of this installation's."""
    return code_digest(items=SCORING_CODE)
