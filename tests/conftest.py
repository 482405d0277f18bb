"""What holds for every test: signals as a terminal gives them, tiers, a second try for what failed."""

import signal

import pytest

pytest_plugins = ["rerun", "tiers"]


def pytest_configure(config: pytest.Config) -> None:
    """Hear Ctrl-C: a shell without job control starts what runs in the background deaf to it.

    Processes that tests start would inherit that, and those that are to be stopped by SIGINT would go on.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
