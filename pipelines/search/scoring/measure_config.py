"""How a slider is scored, section ``search.measure`` of ``params.yaml``."""

from pydantic import Field, PositiveFloat

from pipelines.core.config import Section


class SpecialistConfig(Section):
    """A network that is good at one setting, which the tunable one is measured against there."""

    at: dict[str, float]
    """The setting: native values by the control's name; unset controls take their defaults."""
    train: str
    """Folder of a ``train`` stage's artefacts, absolute or relative to the work tree."""


class MeasureConfig(Section):
    """Which photographs and settings a network is scored on."""

    photos: int | None = Field(default=None, ge=1)
    """How many of the validation photographs, the first ones; null for all."""
    crop_px: int = Field(default=96, ge=16)
    """Side of the centre crop of each; a photograph that is smaller is refused."""
    grid: int = Field(default=3, ge=2)
    """Positions of each slider for the losses and the front."""
    steps: int = Field(default=5, ge=2)
    """Positions of each slider where monotonicity is counted."""
    tolerance_db: float = Field(default=0.01, ge=0)
    """A larger fall of a slider's own metric is a violation."""
    batch: int = Field(default=4, ge=1)
    """Photographs that go through the network together; on CPUs few at a time are faster."""
    reference: tuple[PositiveFloat, ...] | None = None
    """What the loss of each vertex of the sliders' space is divided by, in the loss's unit and the order of
    the vertices; null takes it from the photographs, see :mod:`pipelines.search.scoring.reference`."""
    specialists: tuple[SpecialistConfig, ...] = ()
    """Networks to measure against."""
