"""Options of the ``publish`` stage: section ``publish`` of ``params.yaml``."""

from typing import Annotated

from pydantic import Field

from pipelines.core.config import Section
from pipelines.publish.gates import RequireConfig

Sentence = Annotated[str, Field(min_length=1, max_length=2000)]


class PublishConfig(Section):
    """What the entry is called and what it may be used for."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")] | None = None
    """Of the model in the zoo; every publication is another version of it. Null takes the task's name."""
    weights_license: str = Field(default="Apache-2.0", min_length=1, max_length=200)
    """SPDX expression for the trained weights."""
    license_note: str = Field(default="", max_length=2000)
    """One sentence on what the licences mean for a user, such as "non-commercial research only"."""
    intended_use: tuple[Sentence, ...] = ()
    """What the model is for, one item a use, for its card."""
    limitations: tuple[Sentence, ...] = ()
    """What it is not for, and where it fails."""
    files: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")], str] = Field(
        default_factory=dict
    )
    """Further files of the entry, such as the attributions of its training photographs: name in the entry,
    and path relative to the work tree."""
    require: RequireConfig = RequireConfig()
    """Gates: a network that misses one is not published."""
