from pipelines.search.results.settings_table import settings_frame
from search_trials import search, trial

ENDS = ["a 0 b 0", "a 1 b 0", "a 0 b 1", "a 1 b 1"]


def test_a_row_a_trial_and_setting() -> None:
    records = search(2)  # four trials of nine settings, and two that were not scored at any
    table = settings_frame(records, ENDS)
    assert len(table) == 4 * 9
    assert list(table.columns[3:]) == ["omega_1", "omega_2", *(f"loss {end}" for end in ENDS)]
    third = table[table["trial"] == 2]
    assert set(third["configuration"]) == {1}
    assert list(third["omega_1"]) == [setting["omega"][0] for setting in records[2].settings]
    wanted = [setting["objectives"][3] for setting in records[2].settings]
    assert list(third["loss a 1 b 1"]) == wanted
    assert list(settings_frame(records).columns[5:]) == ["loss 1", "loss 2", "loss 3", "loss 4"]


def test_no_settings_no_rows() -> None:
    assert settings_frame([trial(1, {"lr": 0.1})]).empty
