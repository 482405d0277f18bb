"""What one network was found to be worth."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from pipelines.core.errors import DataError


@dataclass(frozen=True)
class SettingScore:
    """One setting of the grid.

    Attributes:
        omega: the setting, (P,) in [0, 1].
        objectives: u_1..u_K: the loss of every vertex there, as a share of the reference; smaller is better.
    """

    omega: tuple[float, ...]
    objectives: tuple[float, ...]


@dataclass(frozen=True)
class Score:
    """One network.

    Attributes:
        measures: values by name, see :data:`pipelines.search.scoring.measures.MEASURES`; those the task has.
        settings: of the grid, for plots of the front; empty where controls name what the network faces.
    """

    measures: Mapping[str, float]
    settings: tuple[SettingScore, ...] = ()

    def plain(self) -> dict[str, Any]:
        """JSON's values, which :meth:`parse` reads."""
        settings = [{"omega": list(s.omega), "objectives": list(s.objectives)} for s in self.settings]
        return {"measures": dict(self.measures), "settings": settings}

    @classmethod
    def parse(cls, values: Any) -> Self:
        """The score that :meth:`plain` described.

        Raises:
            DataError: something else than a score.
        """
        try:
            measures = {str(name): float(value) for name, value in values["measures"].items()}
            settings = tuple(_setting(item) for item in values["settings"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"expected a score's 'measures' and 'settings', got {values!r}") from error
        return cls(measures, settings)


def _setting(values: Any) -> SettingScore:
    return SettingScore(
        tuple(float(value) for value in values["omega"]),
        tuple(float(value) for value in values["objectives"]),
    )
