"""Peak memory comes from a process of its own."""

from benchmarks.cost.memory import peak_mib
from benchmarks.cost.variants import Subject, Task


def test_it_covers_network_optimizer_and_images_but_not_the_imports() -> None:
    task = Task("training", 32, 128)
    peak = peak_mib(Subject("edsr", {"width": 8, "blocks": 1}), task, "one omega", "cpu", threads=1)
    images, features = (32 * channels * 128 * 128 * 4 / 2**20 for channels in (3, 8))
    assert images + 3 * features < peak < 40 * features
