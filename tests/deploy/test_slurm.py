"""The batch script, run by bash, among programs of Slurm that write down what they were asked."""

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from waiting import wait_until

SCRIPT = Path(__file__).parents[2] / "deploy" / "slurm.sh"

RUN = """
while [[ $1 == --* ]]; do options+=" $1"; shift; done
for node in 0 1; do (echo "$BASHPID" >> {tasks}; export SLURM_PROCID=$node; exec "$@") & done
trap 'kill -KILL $(jobs -p); exit 143' TERM
for node in 0 1; do
  wait -n || code=$?
  if [[ -n $code && $options == *--kill-on-bad-exit=1* ]]; then kill -KILL $(jobs -p); fi
  touch {tasks}-left
done
exit "${{code:-0}}"
"""
"""srun: its options, then a command for each node; asked to stop it kills them, as the real one does."""
TELL = 'if [[ $* == "--signal=TERM 4711" ]]; then kill -TERM $(< {tasks}); fi'
"""scancel, for the tasks of the job."""
SHOW = """
if [[ $2 == hostnames ]]; then printf "node1\\nnode2\\n"; fi
if [[ $2 == job ]]; then echo "   PreemptTime={} SuspendTime=None"; fi
"""
"""scontrol."""


@pytest.fixture(autouse=True)
def slurm(monkeypatch: pytest.MonkeyPatch, program: Callable[..., None], tmp_path: Path) -> None:
    variables = {
        "JOB_ID": "4711",
        "JOB_NODELIST": "node[1-2]",
        "JOB_NUM_NODES": "2",
        "GPUS_ON_NODE": "4",
        "CPUS_PER_TASK": "16",
    }
    for name, value in variables.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    program("tunable")
    program("scontrol", SHOW.format("None"))
    program("srun", RUN.format(tasks=tmp_path / "tasks"))
    program("scancel", TELL.format(tasks=tmp_path / "tasks"))
    program("torchrun")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", SCRIPT, *arguments], capture_output=True, text=True, check=False)


def test_it_is_sound_bash() -> None:
    subprocess.run(["bash", "-n", SCRIPT], check=True)
    shellcheck = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run([shellcheck, SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_what_the_scheduler_is_told() -> None:
    lines = [line.removeprefix("#SBATCH ") for line in SCRIPT.read_text().splitlines() if "#SBATCH" in line]
    assert {"--requeue", "--signal=B:TERM@120", "--ntasks-per-node=1", "--open-mode=append"} <= set(lines)


def test_one_torchrun_a_node_trains_the_work_tree(calls: Callable[[], list[str]]) -> None:
    done = run("/shared/noise")
    assert done.returncode == 0, done.stderr
    torchrun = (
        "torchrun --nnodes=2 --nproc-per-node=4 --max-restarts=0 --shutdown-timeout=90 --rdzv-id=4711 "
        "--rdzv-backend=c10d --rdzv-endpoint=node1:30211 --no-python tunable run train --root /shared/noise"
    )
    assert calls() == [
        "tunable doctor --root /shared/noise --stage train --processes 8",
        "scontrol show hostnames node[1-2]",
        f"srun --cpus-per-task=16 --kill-on-bad-exit=0 --wait=300 {torchrun}",
        torchrun,
        torchrun,
    ]


def test_torchrun_knows_all_its_options(calls: Callable[[], list[str]]) -> None:
    from torch.distributed.run import get_args_parser, parse_args

    run("/shared/noise")
    arguments = calls()[-1].split()[1:]
    if (
        "--shutdown-timeout" not in get_args_parser().format_help()
    ):  # torch 2.11: all others are checked there
        arguments.remove("--shutdown-timeout=90")
    options = parse_args(arguments)
    assert (options.nnodes, options.nproc_per_node, options.rdzv_endpoint) == ("2", "4", "node1:30211")
    assert options.no_python
    assert options.training_script == "tunable"
    assert options.training_script_args == ["run", "train", "--root", "/shared/noise"]


def test_without_gpus_there_is_one_process_a_node(
    monkeypatch: pytest.MonkeyPatch, calls: Callable[[], list[str]]
) -> None:
    monkeypatch.delenv("SLURM_GPUS_ON_NODE")
    run("/shared/noise")
    assert "--nproc-per-node=1 " in calls()[-1]
    assert calls()[0].endswith("--processes 2")


def test_what_the_doctor_refuses_does_not_start(
    program: Callable[..., None], calls: Callable[[], list[str]]
) -> None:
    program("tunable", "exit 1")
    assert run("/shared/noise").returncode == 1
    assert len(calls()) == 1


def test_a_failure_is_not_tried_again(program: Callable[..., None], calls: Callable[[], list[str]]) -> None:
    program("torchrun", "exit 7")
    assert run("/shared/noise").returncode == 7
    assert not any("requeue" in call for call in calls())


def test_a_job_that_is_pushed_aside_comes_back(
    program: Callable[..., None], calls: Callable[[], list[str]]
) -> None:
    program("scontrol", SHOW.format("2026-11-27T16:00:00"))
    program("torchrun", "exit 1")
    assert run("/shared/noise").returncode == 1
    assert calls()[-1] == "scontrol requeue 4711"


def hears_sigterm(pid: int) -> bool:
    """Whether a process has a trap for it; the batch script sets its own after it has begun its step."""
    [caught] = re.findall(r"^SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.parametrize(("code", "requeued"), [(1, True), (0, False)])
def test_a_stop_reaches_the_training_and_the_job_goes_on_later(
    program: Callable[..., None], calls: Callable[[], list[str]], tmp_path: Path, code: int, requeued: bool
) -> None:
    # As a training whose first node leaves last, behind the checkpoint; or that had just ended by itself.
    end = f"((SLURM_PROCID)) || until [[ -e {tmp_path}/tasks-left ]]; do sleep 0.05; done"
    end += f"; touch {tmp_path}/stopped$SLURM_PROCID; exit {code}"
    program(
        "torchrun",
        f"trap '{end}' TERM; touch {tmp_path}/begun$SLURM_PROCID; "
        f"until [[ -e {tmp_path}/over ]]; do sleep 0.05; done",
    )
    with subprocess.Popen(["bash", SCRIPT, "/shared/noise"], stdout=subprocess.PIPE, text=True) as job:
        try:
            wait_until(lambda: len(list(tmp_path.glob("begun?"))) == 2 and hears_sigterm(job.pid))
            job.send_signal(signal.SIGTERM)
            out, _ = job.communicate()
        finally:
            (tmp_path / "over").touch()
    assert sorted(path.name for path in tmp_path.glob("stopped?")) == ["stopped0", "stopped1"]
    assert job.returncode == code
    assert ("scontrol requeue 4711" in calls()) == requeued
    assert ("goes on from the newest checkpoint" in out) == requeued


def test_a_forgotten_work_tree_is_told() -> None:
    done = run()
    assert done.returncode != 0
    assert "usage: sbatch deploy/slurm.sh FOLDER" in done.stderr
