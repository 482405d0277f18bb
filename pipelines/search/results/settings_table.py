"""The table of what every trial's sliders do: a row for each setting of the grid."""

from collections.abc import Sequence

import pandas as pd

from pipelines.search.results.configurations import configurations, in_order
from pipelines.search.trial_record import TrialRecord


def settings_frame(records: Sequence[TrialRecord], vertices: Sequence[str] = ()) -> pd.DataFrame:
    """One row a trial and setting, in order of start, then of the grid.

    Columns: ``trial``, ``configuration``, ``seed``, ``omega_1`` to ``omega_P``, and for each end of the
    sliders ``loss <its settings>``, the loss of what that end asks for, divided by its reference; see
    :mod:`pipelines.search.scoring.judge`. Tasks whose controls name what the network faces have no rows.

    Args:
        records: of the last score of each trial.
        vertices: names of the ends; empty numbers them.
    """
    numbers = {trial.number: c.number for c in configurations(records) for trial in c.trials}
    rows = [
        [record.number, numbers[record.number], record.seed, *setting["omega"], *setting["objectives"]]
        for record in in_order(records)
        for setting in record.settings
    ]
    one = next((setting for record in records for setting in record.settings), None)
    if one is None:
        return pd.DataFrame(columns=["trial", "configuration", "seed"])
    omegas = [f"omega_{number}" for number, _ in enumerate(one["omega"], start=1)]
    names = vertices or [str(number) for number, _ in enumerate(one["objectives"], start=1)]
    losses = [f"loss {name}" for name in names]
    return pd.DataFrame(rows, columns=["trial", "configuration", "seed", *omegas, *losses])
