"""Checks of ``params.yaml``: every section parses, and a batch has a share for each process of torchrun."""

import os
from dataclasses import dataclass, fields
from typing import Self

from pipelines.core.config import Section, load_section, read_machine_settings
from pipelines.core.errors import ConfigError
from pipelines.core.layout import Layout
from pipelines.data.config import PrepareConfig
from pipelines.doctor.report import Finding
from pipelines.evaluate.config import EvaluateConfig
from pipelines.publish.config import PublishConfig
from pipelines.search.config import SearchConfig
from pipelines.serve.config import ServeConfig
from pipelines.training.batches import Share
from pipelines.training.config import TrainConfig

MODELS: dict[str, type[Section]] = {
    "prepare": PrepareConfig,
    "train": TrainConfig,
    "search": SearchConfig,
    "evaluate": EvaluateConfig,
    "publish": PublishConfig,
    "serve": ServeConfig,
}
"""Model of each section."""


@dataclass(frozen=True)
class Options:
    """Sections of ``params.yaml``; None for one that does not parse."""

    prepare: PrepareConfig | None = None
    train: TrainConfig | None = None
    search: SearchConfig | None = None
    evaluate: EvaluateConfig | None = None
    publish: PublishConfig | None = None
    serve: ServeConfig | None = None

    @property
    def cluster(self) -> str | None:
        """Address of the Ray cluster that a training joins; None if it runs on this machine."""
        if self.train is None or self.train.compute.runner != "ray":
            return None
        return cluster_address(self.train.compute.address)

    def restrict_to(self, stage: str | None) -> Self:
        """The section of one stage alone; all sections for None."""
        return self if stage is None else type(self)(**{stage: getattr(self, stage)})


def read_options(layout: Layout) -> tuple[Options, list[Finding]]:
    """Parse every section; a finding for each that does not parse, or one that all do."""
    sections: dict[str, Section] = {}
    faults: dict[
        str, Finding
    ] = {}  # by message: a file that is no YAML fails in the same way for each section
    for name in (field.name for field in fields(Options)):
        try:
            sections[name] = load_section(layout.params, name, MODELS[name])
        except ConfigError as error:
            remedy = f"correct section {name} of {layout.params}"
            faults.setdefault(str(error), Finding.fault("params", str(error), remedy))
    options = Options(**sections)  # type: ignore[arg-type]
    if faults:
        return options, [*faults.values()]
    findings = [Finding.ok("params", f"valid sections: {', '.join(sections)}")]
    if settings := read_machine_settings(layout.params):
        findings.append(Finding.ok("params", f"of this machine: {', '.join(map(str, settings))}"))
    return options, findings


def cluster_address(address: str | None) -> str | None:
    """Resolve ``train.compute.address`` as Ray does: else ``RAY_ADDRESS``, and None for a private cluster."""
    chosen = address or os.environ.get("RAY_ADDRESS") or None
    return None if chosen == "local" else chosen


def check_processes(config: TrainConfig, processes: int) -> list[Finding]:
    """Check that every process of torchrun gets at least one group of each batch.

    Args:
        config: section ``train``.
        processes: on all nodes together; 1 is training without torchrun, of which there is no finding.
    """
    if processes == 1:
        return []
    runner, group, accumulate = config.compute.runner, config.sampling.group, config.compute.accumulate
    if runner != "local":
        message = f"torchrun starts {processes} processes, and train.compute.runner {runner!r} starts its own"
        return [Finding.fault("processes", message, "set train.compute.runner to local")]
    try:
        Share(0, processes).micro_batches(config.batch_size, group, accumulate)
    except ConfigError as error:
        least = processes * accumulate * group
        remedy = (
            f"set train.batch_size to at least {least}, lower train.sampling.group, or start fewer processes"
        )
        return [Finding.fault("processes", str(error), remedy)]
    groups = config.batch_size // group
    return [Finding.ok("processes", f"{processes} processes share {groups} groups of each batch")]
