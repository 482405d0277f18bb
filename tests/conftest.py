"""What holds for every test: signals as a terminal gives them, no haste, tiers, a second try."""

import signal

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["rerun", "tiers"]

# Examples that take long, or are slow to make, say that the machine is busy.
settings.register_profile("calm", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("calm")


def pytest_configure(config: pytest.Config) -> None:
    """Hear Ctrl-C: a shell without job control starts what runs in the background deaf to it.

    Processes that tests start would inherit that, and those that are to be stopped by SIGINT would go on.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
