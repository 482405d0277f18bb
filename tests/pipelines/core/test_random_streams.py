import torch

from pipelines.core.random_streams import generator, stream_seed


def test_equal_keys_give_equal_streams_and_others_do_not() -> None:
    draws = [
        torch.rand(4, generator=generator(*key))
        for key in ((0, "a", 1), (0, "a", 1), (0, "a", 2), (0, "b", 1))
    ]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert not torch.equal(draws[0], draws[3])


def test_keys_do_not_run_into_each_other() -> None:
    assert len({stream_seed(1, 23), stream_seed(12, 3), stream_seed("1", 23), stream_seed(123)}) == 4


def test_the_seed_of_a_key_never_changes() -> None:
    """A run must go on with the streams it began with, on whatever version."""
    assert stream_seed(0, "omega", 5) == 5055554238954754387
