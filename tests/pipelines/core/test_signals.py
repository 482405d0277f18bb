import signal
import subprocess
import sys

import psutil
import pytest

from pipelines.core import signals
from pipelines.core.signals import Interrupted, end_with_dvc, stop_politely, terminable
from waiting import wait_until


def send(signum: int) -> None:
    signal.raise_signal(signum)


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_is_a_request(signum: int, code: int) -> None:
    told: list[str] = []
    before = signal.getsignal(signum)
    with stop_politely(told.append) as stop:
        assert not stop()
        send(signum)
        assert stop()
        assert stop.signum == signum
        assert Interrupted(signum).exit_code == code
    assert len(told) == 1
    assert signal.getsignal(signum) is before


def test_a_second_ctrl_c_ends_at_once() -> None:
    with stop_politely(lambda sentence: None):
        send(signal.SIGINT)
        with pytest.raises(Interrupted):
            send(signal.SIGINT)


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_sigterm_is_never_the_second(first: int) -> None:
    with stop_politely(lambda sentence: None) as stop:
        send(first)
        send(signal.SIGTERM)
        assert stop.signum == first


def test_a_sigterm_raises_like_ctrl_c() -> None:
    with terminable(), pytest.raises(Interrupted) as caught:
        send(signal.SIGTERM)
    assert caught.value.exit_code == 143


def test_outside_dvc_nobody_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DVC_STAGE", raising=False)
    assert signals._find_dvc() is None
    monkeypatch.setenv("DVC_STAGE", "train")
    monkeypatch.setattr(psutil.Process, "parents", lambda self: [])
    assert signals._find_dvc() is None
    end_with_dvc()


@pytest.mark.parametrize(
    ("command", "is_dvc"),
    [
        (["/venv/bin/python", "/venv/bin/dvc", "repro"], True),
        (["python", "-m", "dvc", "repro"], True),
        (["dvc", "repro"], True),
        (["sh", "-c", "dvc repro && echo done"], False),
        (["vim", "dvc.yaml"], False),
        ([], False),
    ],
)
def test_dvc_is_known_by_its_command(command: list[str], is_dvc: bool) -> None:
    assert signals._is_dvc(command) is is_dvc


@pytest.mark.server
def test_the_death_of_the_one_watched_is_a_sigterm() -> None:
    command = [sys.executable, "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as child, stop_politely(lambda _: None) as stop:
        child.kill()  # and nobody waits for it: a zombie runs no more
        signals._watch_dvc(psutil.Process(child.pid))
        wait_until(stop)
        assert stop.signum == signal.SIGTERM
