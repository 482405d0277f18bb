"""Peak memory of one variant, measured in a process of its own.

In one process the allocator keeps what an earlier variant freed. Run by the benchmark as
``python -m benchmarks.cost.memory``, with the request as JSON on standard input.
"""

import dataclasses
import json
import resource
import subprocess
import sys
from pathlib import Path

import torch

from benchmarks.cost.variants import Subject, Task, Variants

CALLS = {"inference": 1, "training": 2}
"""The second training step has the optimizer's moments too."""

ROOT = Path(__file__).parents[2]


def peak_mib(subject: Subject, task: Task, variant: str, device: str, threads: int) -> float:
    """MiB that a variant needs at most: network, optimizer, images and what a call allocates.

    On a GPU what torch allocates there; on the CPU the resident set beyond what an idle process of the
    same imports has.
    """
    request = {
        "subject": dataclasses.asdict(subject),
        "task": dataclasses.asdict(task),
        "variant": variant,
        "device": device,
        "threads": threads,
    }
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.cost.memory"],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{subject.name}, {task}, {variant}: no memory figure\n{done.stderr}")
    return float(json.loads(done.stdout.splitlines()[-1]))


def measure(subject: Subject, task: Task, variant: str, device: torch.device) -> float:
    """The peak in this process, in MiB; to be called once a process."""
    idle = _peak_bytes(device)
    call = Variants(subject, device).call(task, variant)
    for number in range(CALLS[task.kind]):
        call(number)
    return (_peak_bytes(device) - idle) / 2**20


def _peak_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the parent had when it forked
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return 1024 * int(lines["VmHWM"].split()[0])
    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return usage if sys.platform == "darwin" else 1024 * usage


def main() -> None:
    request = json.load(sys.stdin)
    torch.set_num_threads(request["threads"])
    subject, task = Subject(**request["subject"]), Task(**request["task"])
    print(json.dumps(measure(subject, task, request["variant"], torch.device(request["device"]))))


if __name__ == "__main__":
    main()
