"""List, verify and load entries of the zoo beside huggingface_hub and timm, in fresh processes and again.

    pip install 'tunable-zoo[networks]'
    python -m benchmarks.zoo

A process imports, calls, and calls again; all calls take turns. Nothing is fetched: huggingface_hub finds the
files of each entry in a cache of its own form, offline, and timm a classifier whose weights take as many
bytes. That is another network, and timm gives it random weights first, so its time says little beside the
others; huggingface_hub with ``tunable_models`` gives the network of the entry, from the same bytes, without a
hash of them. How many bytes a call hashes is counted in a process that is not timed.
"""

import argparse
import hashlib
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

import zoo
from benchmarks.cost.machine import machine, versions
from benchmarks.kept import keep
from tunable_models import ControlSpace, build, make_tunable
from zoo.catalog import STORE_VARIABLE, bundled_store
from zoo.manifest import MANIFEST, WEIGHTS
from zoo.remote.cache import CACHE_VARIABLE
from zoo.remote.seen_serials import CONFIG_VARIABLE

SCHEMA = 1
OUT = Path(__file__).parent / "results" / "zoo"
LARGE = "large"
"""An entry that is made here: the bundled ones are too small to show what hashing costs."""

CLASSIFIERS = {LARGE: "resnet152"}
"""Of timm, by entry; ``test_vit`` for the others. The number of classes makes their weights as large."""

REVISION = "0" * 40

CHECKS = {
    "zoo.list_models": "parses and checks every manifest",
    "zoo.verify": "hashes every file, finds missing and added ones, compares names, shapes and types of the "
    "weights with the network's, and finds those that are not finite",
    "zoo.load": "does the same; a network is ready",
    "hashlib alone": "hashes the same files and compares with nothing: the least that verifying takes",
    "huggingface_hub.scan_cache_dir": "asks for sizes and dates of cached files, and opens none",
    "huggingface_hub, safetensors": "hashes nothing; tensors by name are ready, no network",
    "huggingface_hub, tunable_models": "hashes nothing, compares names, shapes and types; a network is ready",
    "timm.list_models": "reads tables in timm's own code, and no file",
    "timm.create_model": "hashes nothing, compares names and shapes; a network is ready",
}
"""What a call makes sure of."""

_HEAD = """
import json, sys, time
imports, call = sys.argv[1:]
names = {}
def watch(code):
    start = time.perf_counter()
    exec(code, names)
    return time.perf_counter() - start
"""
TIMED = _HEAD + "print(json.dumps([watch(code) for code in (imports, call, call)]))"
COUNTED = (
    """
import functools, hashlib
class Counted:
    nbytes = 0
    def __init__(self, make, data=b"", **options):
        self._hash = make(**options)
        self.update(data)
    def update(self, data):
        Counted.nbytes += memoryview(data).nbytes
        self._hash.update(data)
    def __getattr__(self, name):
        return getattr(self._hash, name)
for name in ("md5", "sha1", "sha256", "sha512", "blake2b"):
    setattr(hashlib, name, functools.partial(Counted, getattr(hashlib, name)))
"""
    + _HEAD
    + "watch(imports); before = Counted.nbytes; watch(call); print(Counted.nbytes - before)"
)


@dataclass(frozen=True)
class Call:
    """Something to time.

    Attributes:
        operation: import, list, verify or load.
        subject: the entry, or empty.
        name: in the report; a key of ``CHECKS``, or a module.
        imports: statements before it.
        code: the call.
    """

    operation: str
    subject: str
    name: str
    imports: str
    code: str = "None"


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    missing = [name for name in ("huggingface_hub", "timm") if find_spec(name) is None]
    if missing:
        raise SystemExit(
            f"{', '.join(missing)}: expected to be installed; pip install 'tunable-zoo[networks]'"
        )
    with tempfile.TemporaryDirectory(prefix="zoo-") as scratch:
        environment = make_environment(Path(scratch))
        store = zoo.Store(Path(environment[STORE_VARIABLE]))
        if LARGE in options.entries:
            publish_large(store)
        entries = [zoo.resolve(name, [bundled_store(), store]) for name in options.entries]
        sizes = {entry.name: cache_entry(Path(environment["HF_HOME"]), entry) for entry in entries}
        calls = list(list_calls(entries))
        hashed = [int(run_child(COUNTED, call, environment)) for call in calls]
        seconds: list[list[list[float]]] = [[] for _ in calls]
        for turn in range(options.repeats):
            print(f"turn {turn + 1} of {options.repeats}", flush=True)
            for call, found in zip(calls, seconds, strict=True):
                found.append(json.loads(run_child(TIMED, call, environment)))
    report = {
        "schema": SCHEMA,
        "machine": machine(torch.device("cpu")),
        "versions": versions(torch.device("cpu"))
        | {name: version(name) for name in ("huggingface_hub", "timm", "safetensors")},
        "settings": {"repeats": options.repeats},
        "sizes": sizes,
        "rows": [
            {
                "operation": call.operation,
                "subject": call.subject,
                "call": call.name,
                "checks": CHECKS.get(call.name, ""),
                "bytes_hashed": nbytes,
                **summarize(found),
            }
            for call, nbytes, found in zip(calls, hashed, seconds, strict=True)
        ],
    }
    keep(report, options.out, "zoo", write_page(report))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.zoo")
    names = [*bundled_store().names(), LARGE]
    parser.add_argument("--entries", nargs="+", default=names, choices=names)
    parser.add_argument("--repeats", type=int, default=5, help="fresh processes for each call")
    parser.add_argument("--out", type=Path, default=OUT)
    return parser


def make_environment(scratch: Path) -> dict[str, str]:
    """Of the processes: stores and caches in a folder of this run, and no network."""
    ours = {
        variable: str(scratch / name)
        for variable, name in (
            (STORE_VARIABLE, "store"),
            (CONFIG_VARIABLE, "config"),
            (CACHE_VARIABLE, "cache"),
        )
    }
    theirs = {"HF_HOME": str(scratch / "hub"), "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    return {**os.environ, **ours, **theirs}


def publish_large(store: zoo.Store) -> None:
    """An entry of a network of 58 million parameters, untrained."""
    network = make_tunable(build("nafnet", "w32"), ControlSpace.box("denoise"))
    licenses = {"weights": "CC0-1.0", "data": "CC0-1.0"}
    zoo.publish(network, name=LARGE, task="denoise", license=licenses, store=store)


def cache_entry(home: Path, entry: zoo.Entry) -> dict[str, int]:
    """Put the files of an entry, and a classifier of that size, where huggingface_hub looks; their bytes."""
    import timm

    contents = entry.contents()
    cache_files(home, entry.name, contents | {MANIFEST: entry.manifest.to_bytes()})
    classifier = make_classifier(CLASSIFIERS.get(entry.name, "test_vit"), len(contents[WEIGHTS]))
    with tempfile.TemporaryDirectory() as folder:
        timm.models.save_for_hf(classifier, folder, safe_serialization=True)
        saved = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    cache_files(home, f"{entry.name}-timm", saved)
    return {
        "files": sum(map(len, contents.values())),
        "weights": len(contents[WEIGHTS]),
        "weights of timm": len(saved[WEIGHTS]),
    }


def cache_files(home: Path, name: str, contents: Mapping[str, bytes]) -> None:
    """Lay files out as huggingface_hub caches those of a repository ``benchmark/NAME``."""
    repository = home / "hub" / f"models--benchmark--{name}"
    snapshot, blobs = repository / "snapshots" / REVISION, repository / "blobs"
    for folder in (snapshot, blobs, repository / "refs"):
        folder.mkdir(parents=True)
    (repository / "refs" / "main").write_text(REVISION)
    for path, data in contents.items():
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        (snapshot / path).symlink_to(Path("..", "..", "blobs", digest))


def make_classifier(architecture: str, nbytes: int) -> Any:
    """A network of timm with as many classes as bring its weights nearest to a number of bytes."""
    import timm

    with torch.device("meta"):
        one, two = (_count_bytes(timm.create_model(architecture, num_classes=count)) for count in (1, 2))
    classes = max(1, 1 + round((nbytes - one) / (two - one)))
    return timm.create_model(architecture, num_classes=classes)


def _count_bytes(network: torch.nn.Module) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())


def list_calls(entries: Sequence[zoo.Entry]) -> Iterator[Call]:
    """All calls, those to compare beside each other."""
    for module in ("torch", "zoo", "huggingface_hub", "timm"):
        yield Call("import", "", module, f"import {module}")
    hub = "import huggingface_hub"
    yield Call("list", "", "zoo.list_models", "import zoo", "zoo.list_models()")
    yield Call("list", "", "huggingface_hub.scan_cache_dir", hub, "huggingface_hub.scan_cache_dir()")
    yield Call("list", "", "timm.list_models", "import timm", "timm.list_models(pretrained=True)")
    for entry in entries:
        name = entry.name
        yield Call("verify", name, "zoo.verify", "import zoo", f"zoo.verify({name!r})")
        files = [str(entry.folder / record.path) for record in entry.manifest.files]
        code = f"[hashlib.sha256(pathlib.Path(path).read_bytes()).digest() for path in {files}]"
        yield Call("verify", name, "hashlib alone", "import hashlib, pathlib", code)
    for name in (entry.name for entry in entries):
        weights = _load_tensors(name)
        spec = f"NetworkSpec.from_dict(json.load(open({_find_cached(name, MANIFEST)})))"
        yield Call("load", name, "zoo.load", "import zoo", f"zoo.load({name!r}, engine='torch')")
        yield Call("load", name, "huggingface_hub, safetensors", f"{hub}, safetensors.torch", weights)
        yield Call(
            "load",
            name,
            "huggingface_hub, tunable_models",
            f"{hub}, json, safetensors.torch; from tunable_models import NetworkSpec, load_network",
            f"load_network({spec}, {weights})",
        )
        code = f"timm.create_model('hf-hub:benchmark/{name}-timm', pretrained=True).eval()"
        yield Call("load", name, "timm.create_model", "import timm", code)


def _find_cached(name: str, file: str) -> str:
    return f"huggingface_hub.hf_hub_download('benchmark/{name}', {file!r})"


def _load_tensors(name: str) -> str:
    return f"safetensors.torch.load_file({_find_cached(name, WEIGHTS)})"


def run_child(script: str, call: Call, environment: Mapping[str, str]) -> str:
    """The last line that a fresh process prints."""
    command = [sys.executable, "-c", script, call.imports, call.code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{call.name} {call.subject}: {done.stderr[-2000:]}")
    return done.stdout.splitlines()[-1]


def summarize(turns: Sequence[Sequence[float]]) -> dict[str, dict[str, float]]:
    """Median, least and most seconds of the import, the first call, both, and the second call."""
    columns = {
        "import": [turn[0] for turn in turns],
        "first": [turn[1] for turn in turns],
        "import_and_first": [turn[0] + turn[1] for turn in turns],
        "second": [turn[2] for turn in turns],
    }
    return {
        name: {
            "median": round(statistics.median(values), 5),
            "least": round(min(values), 5),
            "most": round(max(values), 5),
        }
        for name, values in columns.items()
    }


def write_page(report: Mapping[str, Any]) -> str:
    """The report as a page."""
    named = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    lines = [
        "# The zoo beside huggingface_hub and timm",
        "",
        f"{report['machine']['processor']}, {report['machine']['cores']} cores; {named}.",
        "",
        f"Milliseconds: medians of {report['settings']['repeats']} fresh processes (least to most), files in "
        "the system's cache.",
        "",
        "| entry | all files, MB | weights, MB | weights of timm's network, MB |",
        "|---|---|---|---|",
    ]
    for name, sizes in report["sizes"].items():
        lines.append(f"| {name} | {' | '.join(f'{nbytes / 1e6:.3f}' for nbytes in sizes.values())} |")
    for operation in dict.fromkeys(row["operation"] for row in report["rows"]):
        rows = [row for row in report["rows"] if row["operation"] == operation]
        lines += ["", f"## {operation.capitalize()}", "", *_write_table(rows)]
    lines += ["", "## What each makes sure of", ""]
    lines += [f"- `{name}` {checks}." for name, checks in CHECKS.items()]
    return "\n".join([*lines, ""])


def _write_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    if rows[0]["operation"] == "import":
        return [
            "| module | time |",
            "|---|---|",
            *(f"| {row['call']} | {_format_times(row['import'])} |" for row in rows),
        ]
    columns = ("import", "first", "import_and_first", "second")
    lines = ["| entry | call | import | first call | both | second call | MB hashed |", "|---" * 7 + "|"]
    for row in rows:
        times = [_format_times(row[column]) for column in columns]
        cells = [row["subject"] or "all", f"`{row['call']}`", *times, f"{row['bytes_hashed'] / 1e6:.3f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _format_times(times: Mapping[str, float]) -> str:
    median, least, most = (1e3 * times[name] for name in ("median", "least", "most"))
    digits = max(0, 2 - int(math.log10(max(median, 1))))
    return f"{median:.{digits}f} ({least:.{digits}f} to {most:.{digits}f})"


if __name__ == "__main__":
    main()
