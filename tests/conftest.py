"""What holds for every test: the same environment everywhere, no haste, tiers, a second try.

Graphs of networks, pulled entries and sources are kept in a folder of the run, never in the user's. And
``auto`` means torch: most tests load entries of their own, and each would wait seconds for a graph. Those of
the engine say otherwise.
"""

import gc
import os
import shutil
import signal
import tempfile

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["rerun", "tiers"]

# Examples that take long, or are slow to make, say that the machine is busy.
settings.register_profile("calm", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("calm")


def pytest_configure(config: pytest.Config) -> None:
    """Take out of the environment, for tests and what they start, what would change their results."""
    # A shell without job control starts what runs in the background deaf to Ctrl-C.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):  # processes of xdist have their parent's
        _clear_environment()
        folder = os.environ["TUNABLE_ZOO_CACHE"] = tempfile.mkdtemp(prefix="zoo-")
        os.environ["TUNABLE_ZOO_CONFIG"] = folder
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def _clear_environment() -> None:
    for name in [name for name in os.environ if name.startswith("TUNABLE_")]:
        del os.environ[name]
    os.environ["TUNABLE_ZOO_ENGINE"] = "torch"
    # Servers of tests are on this machine, which no proxy reaches.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "*"
    # Temporary folders are in no repository, even if TMPDIR is.
    os.environ["GIT_CEILING_DIRECTORIES"] = os.path.realpath(tempfile.gettempdir())
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        os.environ.pop(name, None)


def pytest_collection_finish() -> None:
    """Leave what is imported by now out of garbage collections, which otherwise look at all of it."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    """Let the interpreter tear down what was left out."""
    gc.unfreeze()
