import io
import json
import re

import pytest

from pipelines.doctor.report import Finding, format_bytes, print_findings, print_findings_json

FINDINGS = [
    Finding("params", "ok", "every [option] is understood"),
    Finding("data", "warning", "prepared from elsewhere", "run: tunable run prepare"),
    Finding("disk", "fault", "1 GB free in /data, " + "much " * 30 + "to come", "make room"),
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_lines_are_aligned_and_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    stream = io.StringIO()
    assert not print_findings(FINDINGS, stream)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "ok       params      every [option] is understood"
    assert lines[1] == "warning  data        prepared from elsewhere"
    assert lines[2] == "                     -> run: tunable run prepare"
    assert lines[3].startswith("fault    disk        1 GB free")
    assert lines[3].endswith("to come")
    assert lines[-1] == "1 ok, 1 warning, 1 fault"
    assert "\x1b" not in stream.getvalue()


def test_a_terminal_has_colours_and_wraps_below_the_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    print_findings(FINDINGS, stream)
    assert "\x1b[32mok" in stream.getvalue()
    lines = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()).splitlines()
    wrapped = [line for line in lines if "much" in line]
    assert len(wrapped) > 2
    assert all(line.startswith(" " * 21) for line in wrapped[1:])
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    print_findings(FINDINGS, stream)
    assert "\x1b[3" not in stream.getvalue()


def test_without_a_fault_it_is_well() -> None:
    assert print_findings(FINDINGS[:2], io.StringIO())
    assert print_findings_json(FINDINGS[:2], io.StringIO())


def test_json_for_programs() -> None:
    stream = io.StringIO()
    assert not print_findings_json(FINDINGS, stream)
    said = json.loads(stream.getvalue())
    assert said[1] == {
        "check": "data",
        "level": "warning",
        "message": "prepared from elsewhere",
        "remedy": "run: tunable run prepare",
    }


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (2_420_000, "2.42 MB"), (78e9, "78 GB"), (1.5e13, "15 TB")],
)
def test_sizes_read_well(count: float, text: str) -> None:
    assert format_bytes(count) == text
