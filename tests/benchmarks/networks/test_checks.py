"""The checks find what is wrong, and blame no one else's fault on making a network tunable."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from benchmarks.networks import checks
from benchmarks.networks.checks import CHECKS, ERROR, NOT_RUN, REFUSED, RIGHT, WRONG, Answer, Trial, ask
from benchmarks.networks.comparing import measure_difference
from benchmarks.networks.plain import NotRunError, Plain
from benchmarks.networks.subject import Subject, find_tensors
from tunable_models import TunableNetwork

QUICK = [name for name in CHECKS if name != "export"]


class Cached(nn.Module):
    """A network that keeps what it computed from a parameter, until the mode changes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bias = nn.Conv2d(3, 4, 3), nn.Parameter(torch.zeros(1, 4, 1, 1))
        self.kept: dict[str, Tensor] = {}

    def train(self, mode: bool = True) -> "Cached":
        self.kept = {}
        return super().train(mode)

    def forward(self, x: Tensor) -> dict[str, list[Tensor]]:
        if torch.is_grad_enabled():
            return {"features": [self.conv(x) + self.bias * 2]}
        return {"features": [self.conv(x) + self.kept.setdefault("bias", self.bias * 2)]}


class Noisy(nn.Conv2d):
    """A network whose output is random."""

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        return y + torch.randn_like(y)


class BatchNormalised(nn.Conv2d):
    """A network in which samples meet, and that has no gradient."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            y = super().forward(x)
            return y - y.mean(0, keepdim=True) / 2


class Narrow(nn.Conv2d):
    """A network that computes in float32 alone."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x + torch.zeros(1)) @ torch.eye(x.shape[-1] - 2)


class Detector(nn.Linear):
    """Pictures come as a list, and what belongs to each goes out as one."""

    def forward(self, pictures: list[Tensor]) -> list[dict[str, Tensor]]:
        return [{"found": super(Detector, self).forward(picture).flatten(0, 1)} for picture in pictures]


def _subject(make: Callable[[], nn.Module], shape: tuple[int, ...] = (3, 6, 5)) -> Subject:
    return Subject("own", "network", make, (shape,))


def _trial(make: Callable[[], nn.Module], *, norms: bool = False) -> Trial:
    return Trial(Plain(_subject(make)), norms=norms)


def _answers(trial: Trial) -> dict[str, Answer]:
    return {name: ask(partial(CHECKS[name], trial)) for name in QUICK}


@pytest.mark.parametrize("norms", [False, True])
@pytest.mark.parametrize(
    "make", [Cached, lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1))]
)
def test_sound_networks_are_right(make: Callable[[], nn.Module], norms: bool) -> None:
    answers = _answers(_trial(make, norms=norms))
    assert {answer.outcome for answer in answers.values()} == {RIGHT}


def test_a_wrong_sum_is_found_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    trial = _trial(Cached)
    monkeypatch.setattr(TunableNetwork, "mixed", _halved(TunableNetwork.mixed))
    answers = _answers(trial)
    assert {answer.outcome for answer in answers.values()} == {WRONG}
    assert "in call 1" in answers["calls"].detail


def _halved(
    mixed: Callable[..., dict[str, dict[str, Tensor]]],
) -> Callable[..., dict[str, dict[str, Tensor]]]:
    def wrong(net: TunableNetwork, omega: Tensor) -> dict[str, dict[str, Tensor]]:
        return {path: {n: t * 0.5 for n, t in named.items()} for path, named in mixed(net, omega).items()}

    return wrong


def test_states_of_another_omega_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    trial = _trial(Cached)
    monkeypatch.setattr("tunable_models._execution.states._omega_key", lambda omega: omega.shape)
    answers = _answers(trial)
    assert answers["calls"].outcome == WRONG
    assert answers["view"].outcome == RIGHT


def test_what_the_plain_network_cannot_do_is_not_asked() -> None:
    answers = _answers(_trial(lambda: Noisy(3, 4, 3)))
    assert answers["calls"].outcome == RIGHT
    assert answers["samples"] == Answer(NOT_RUN, "its output is random")
    assert answers["threads"].outcome == NOT_RUN
    answers = _answers(_trial(lambda: BatchNormalised(3, 4, 3)))
    assert answers["samples"] == Answer(NOT_RUN, "a sample's output depends on the rest of the batch")
    assert answers["gradients"].detail.startswith("has no gradient: ValueError")
    answers = _answers(_trial(lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Threshold(99, 1))))
    assert answers["calls"].detail.startswith("its output hardly depends on its weights")


def test_pictures_may_come_as_a_list() -> None:
    subject = Subject("own", "network", lambda: Detector(5, 2), ((3, 6, 5),), listed=True)
    answers = _answers(Trial(Plain(subject), norms=False))
    assert {name for name, answer in answers.items() if answer.outcome != RIGHT} == {"samples"}
    assert answers["samples"].outcome == REFUSED


def test_a_network_is_asked_in_the_type_it_computes_in() -> None:
    assert Plain(_subject(Cached)).dtype == torch.float64
    assert Plain(_subject(lambda: Narrow(3, 4, 3))).dtype == torch.float32


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: nn.Conv2d(2, 2, 1), "does not run: RuntimeError"),
        (lambda: nn.Conv2d(3, 2, 0), "cannot be made|does not run"),
        (lambda: nn.Sequential(nn.Conv2d(3, 2, 1), nn.Threshold(99, float("nan"))), "empty or not finite"),
    ],
)
def test_a_network_that_does_not_run_is_told_apart(make: Callable[[], nn.Module], why: str) -> None:
    with pytest.raises(NotRunError, match=why):
        Plain(_subject(make))


def test_a_refusal_is_no_error() -> None:
    refused = ask(lambda: str(_trial(lambda: nn.ReLU())))
    assert refused.outcome == REFUSED
    assert "expected a tensor to make tunable" in refused.detail
    assert ask(lambda: [].pop()) == Answer(ERROR, "IndexError: pop from empty list")


@pytest.mark.slow
def test_an_export_is_compared() -> None:
    source = nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(12, 4, 1))
    trial = Trial(Plain(_subject(lambda: source, (3, 6, 4))), norms=False)
    assert ask(trial.check_export) == Answer(RIGHT, "multiple=2")


def test_outputs_of_any_form_are_compared() -> None:
    ones, zeros = torch.ones(2, 2), torch.zeros(2, 2)
    assert [t.sum() for t in find_tensors({"b": (zeros, None), "a": [ones]})] == [4, 0]
    assert measure_difference([ones * 3], [ones * 2]) == 0.5
    assert measure_difference([ones * 1j], [ones * 1j]) == 0
    for other in ([ones, ones], [ones[:1]], [ones / 0], []):
        assert measure_difference(other, [ones]) == float("inf")
    assert checks._largest(torch.ones(0)) == 0
