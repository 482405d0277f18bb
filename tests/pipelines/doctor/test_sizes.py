import pytest

from pipelines.doctor.sizes import size


@pytest.mark.parametrize(
    ("count", "told"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (2_420_000, "2.42 MB"), (78e9, "78 GB"), (1.5e13, "15 TB")],
)
def test_sizes_read_well(count: float, told: str) -> None:
    assert size(count) == told
