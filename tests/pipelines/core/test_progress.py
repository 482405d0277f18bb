"""Lines where there is no terminal, a bar on one."""

import io
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pipelines.core.progress import Display, track_items
from waiting import wait_until

FACTS = {"loss": "0.0341", "rmse": "0.0341", "memory": "1.2 GB"}
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


class Clock:
    """Stands still until it is put forward."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of what is tested, that of rich apart."""
    clock = Clock()
    monkeypatch.setattr("pipelines.core.progress.time", clock)
    return clock


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.core.progress.LINE_EVERY_S", 0.0)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("COLORTERM", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    return Terminal()


def strip_styles(text: str) -> str:
    """Without the sequences of the terminal."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_a_line_holds_everything(often: None, capsys: pytest.CaptureFixture[str]) -> None:
    with Display("train", total=2200, done=100) as display:
        display.update(200, rate=83.1, left_s=1445, facts=FACTS)
        first = capsys.readouterr().out
    assert first == ("train  step 200/2200  loss 0.0341 (rmse 0.0341)  83 images/s  1.2 GB  0:24:05 left\n")
    last = capsys.readouterr().out
    assert last == ("train  step 200/2200  loss 0.0341 (rmse 0.0341)  83 images/s  1.2 GB  0:00:00 in all\n")


def test_lines_come_every_few_seconds_and_one_at_the_end(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with Display("train", total=4) as display:
        for done, passed_s in enumerate([0.0, 4.9, 0.2], 1):
            clock.now_s += passed_s
            display.update(done, left_s=1)
        assert capsys.readouterr().out == "train  step 3/4  0:00:01 left\n"
        display.update(4)
        assert capsys.readouterr().out == ""
    assert capsys.readouterr().out == "train  step 4/4  0:00:05 in all\n"


def test_the_time_left_is_worked_out(often: None, clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with Display("train", total=1000, done=500) as display:
        clock.now_s += 0.1
        display.update(501)
    assert "  0:00:50 left\n" in capsys.readouterr().out  # 499 units of a tenth of a second


def test_without_an_end_the_count_stands_alone(often: None, capsys: pytest.CaptureFixture[str]) -> None:
    with Display("search", total=None, unit="trial") as display:
        display.update(3)
        display.update(4, left_s=5)
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["search  trial 3", "search  trial 4  0:00:05 left", "search  trial 4  0:00:00 in all"]


@pytest.mark.parametrize(
    ("total", "limit_s", "told"),
    [
        (None, 100.0, "search  trial 2  0:01:20 left"),
        (4, 100.0, "search  trial 2/4  0:00:20 left"),  # by the mean speed so far
        (40, 100.0, "search  trial 2/40  0:01:20 left"),
        (None, 5.0, "search  trial 2  0:00:00 left"),
    ],
)
def test_the_work_ends_at_its_limit(
    often: None,
    clock: Clock,
    capsys: pytest.CaptureFixture[str],
    total: int | None,
    limit_s: float,
    told: str,
) -> None:
    with Display("search", total=total, unit="trial", limit_s=limit_s) as display:
        clock.now_s += 20
        display.update(2)
    assert capsys.readouterr().out.splitlines()[0] == told


@pytest.mark.parametrize(
    ("left_s", "told"),
    [(0.4, "0:00:00 left"), (90_000, "1 day, 1:00:00 left"), (float("inf"), "? left"), (-1, "0:00:00 left")],
)
def test_times_read_well(often: None, capsys: pytest.CaptureFixture[str], left_s: float, told: str) -> None:
    with Display("train", total=2) as display:
        display.update(1, left_s=left_s)
    assert told in capsys.readouterr().out


def test_slow_speeds_keep_their_digits(often: None, capsys: pytest.CaptureFixture[str]) -> None:
    with Display("train", total=2) as display:
        display.update(1, rate=0.126)
    assert "0.13 images/s" in capsys.readouterr().out


def test_one_more_at_the_mean_speed_since_the_beginning(
    often: None, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with Display("evaluate", total=12, done=2, unit="output", rated="outputs") as display:
        for _ in range(2):
            clock.now_s += 0.05
            display.advance()
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "evaluate  output 4/12  20 outputs/s  0:00:00 left"


def test_quiet_says_only_what_it_is_told(often: None, capsys: pytest.CaptureFixture[str]) -> None:
    with Display("train", total=2, quiet=True) as display:
        display.update(1)
        display.say("a checkpoint is damaged")
    assert capsys.readouterr().out == "a checkpoint is damaged\n"


def test_an_error_passes_and_the_last_line_stays(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with Display("train", total=2) as display:
            display.update(1)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert capsys.readouterr().out.startswith("train  step 1/2")


def test_no_control_characters_without_a_terminal(
    often: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with Display("train", total=2) as display:
        display.update(1, rate=1, facts=FACTS)
        display.say("word")
    out = capsys.readouterr().out
    assert out.count("\n") == 3
    assert not CONTROL.search(out)


def test_a_bar_on_a_terminal(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", terminal)
    with Display("train", total=2200, done=100, stream=terminal) as display:
        display.update(1100, rate=83.1, left_s=1445, facts=FACTS)
        display.say("a [b]checkpoint[/b] is damaged")
        print("printed by others")
        wait_until(lambda: "0:24:05 left" in terminal.getvalue())  # the bar is renewed ten times a second
    out = terminal.getvalue()
    assert "━" in out
    assert "1100/2200" in out
    assert "loss 0.0341 (rmse 0.0341)  83 images/s  1.2 GB  0:24:05 left" in out
    assert "a [b]checkpoint[/b] is damaged\n" in out
    assert "printed by others\n" in out
    assert out.rstrip().endswith(
        "train  step 1100/2200  loss 0.0341 (rmse 0.0341)  83 images/s  1.2 GB  0:00:00 in all"
    )
    assert "\x1b[38" in out  # in colour


def test_a_bar_without_an_end_pulses(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLORTERM", "truecolor")

    def pulses() -> bool:
        out = terminal.getvalue()
        bar = re.search(r"search ━+ 3 best hypervolume 0\.7  0:01:05 left", strip_styles(out))
        shades = set(re.findall(r"\x1b\[38;[0-9;]+m(?=━)", out))
        return bar is not None and len(shades) > 4

    with Display("search", total=None, unit="trial", stream=terminal) as display:
        display.update(3, left_s=65, facts={"best hypervolume": "0.7"})
        wait_until(pulses)


def test_no_colour_for_who_wants_none(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    with Display("train", total=2, stream=terminal) as display:
        display.update(1)
        wait_until(lambda: "1/2" in terminal.getvalue())
    assert "\x1b[3" not in terminal.getvalue()


def test_a_terminal_that_cannot_go_back_gets_lines(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    with Display("train", total=2, stream=terminal) as display:
        display.update(1)
    assert terminal.getvalue() == "train  step 1/2  0:00:00 in all\n"


def test_a_narrow_terminal_keeps_the_count(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    with Display("train", total=2200, stream=terminal) as display:
        display.update(1100, rate=83.1, left_s=1445, facts=FACTS)
        wait_until(lambda: "\rtrain 1100/2200 loss 0.0341" in strip_styles(terminal.getvalue()))


def test_any_thread_may_update(often: None, capsys: pytest.CaptureFixture[str]) -> None:
    with Display("train", total=400) as display:
        threads = [
            threading.Thread(target=lambda: [display.update(done) for done in range(1, 101)], daemon=True)
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 401
    assert all(line.startswith("train  step ") for line in lines)


def test_items_pass_and_the_end_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track_items("abc", "prepare: decoding")) == ["a", "b", "c"]
    out = capsys.readouterr().out
    assert re.fullmatch(r"prepare: decoding  photograph 3/3  \d+ photographs/s  0:00:00 in all\n", out)


def test_nothing_to_do_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track_items("", "work")) == []
    assert capsys.readouterr().out == ""


def test_lines_leave_the_process_at_once(often: None, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader) as end, os.fdopen(writer, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        with Display("train", total=2) as display:
            display.update(1, left_s=5)
            assert end.readline() == "train  step 1/2  0:00:05 left\n"


@pytest.mark.server
def test_a_reader_that_is_gone_is_no_fault(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from pipelines.core.progress import Display, tell\n"
        "import sys\n"
        "sys.stdin.read()\n"
        "with Display('train', total=2) as display:\n"
        "    display.say('one')\n"
        "    display.update(1)\n"
        "tell('two')\n"
        "sys.stderr.write('went on')\n"
    )
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(root)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        _, said = process.communicate()
    assert (process.returncode, said) == (0, b"went on")


def test_a_bar_leaves_alone_what_goes_into_a_file(
    terminal: Terminal, capsys: pytest.CaptureFixture[str]
) -> None:
    with Display("apply", total=2, stream=terminal) as display:
        display.update(1)
        print("a result")
    assert capsys.readouterr().out == "a result\n"
    assert "a result" not in terminal.getvalue()


@pytest.mark.usefixtures("often")
def test_parts_of_a_unit_are_not_counted() -> None:
    stream = io.StringIO()
    with Display("apply", total=2, unit="picture", stream=stream) as display:
        display.update(1.75)
    assert [line.split("  ")[1] for line in stream.getvalue().splitlines()] == ["picture 1/2", "picture 1/2"]
