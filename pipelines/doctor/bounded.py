"""Running checks so that none can hang or break the whole: all at once, each for so long and no longer."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from threading import Thread

from pipelines.core.errors import is_expected
from pipelines.doctor.finding import Finding, Level


@dataclass(frozen=True)
class Check:
    """One check, ready to run.

    Attributes:
        name: of its findings, in a word or two.
        run: gives the findings.
        limit_s: after so many seconds it is given up.
        late: how bad that is.
    """

    name: str
    run: Callable[[], list[Finding]]
    limit_s: float = 10.0
    late: Level = "fault"


def examine(checks: Sequence[Check]) -> Iterator[Finding]:
    """The findings of all checks, in their order, each as soon as it is known.

    A check that raises or takes too long becomes a fault that says so.
    """
    running = [_Running(check) for check in checks]
    for one in running:
        yield from one.findings()


class _Running:
    # A daemon: a call that hangs in the kernel, as on a dead NFS server, must not keep the process.
    def __init__(self, check: Check) -> None:
        self._check = check
        self._found: list[Finding] | None = None
        self._started = time.monotonic()
        self._thread = Thread(target=self._run, name=f"check {check.name}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._found = self._check.run()
        except Exception as error:  # whatever it is, the other checks go on
            self._found = [Finding(self._check.name, "fault", _reason(error), _remedy(error))]

    def findings(self) -> list[Finding]:
        self._thread.join(max(0.0, self._started + self._check.limit_s - time.monotonic()))
        if self._found is None:
            message = f"no answer within {self._check.limit_s:g} s"
            remedy = "look at what hangs: a network file system, a server or a driver"
            return [Finding(self._check.name, self._check.late, message, remedy)]
        return self._found


def _reason(error: Exception) -> str:
    sentence = " ".join(str(error).split())
    return sentence if is_expected(error) else f"the check failed: {type(error).__name__}: {sentence}"


def _remedy(error: Exception) -> str:
    return "" if is_expected(error) else "TUNABLE_DEBUG=1 with the stage itself shows the traceback"
