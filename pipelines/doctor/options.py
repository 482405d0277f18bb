"""``params.yaml``: every section parses, and what it says."""

from dataclasses import dataclass, fields

from pipelines.core.config import Section, load_section
from pipelines.core.errors import ConfigError
from pipelines.core.layout import Layout
from pipelines.data.config import PrepareConfig
from pipelines.doctor.finding import About, Finding
from pipelines.evaluate.config import EvaluateConfig
from pipelines.publish.config import PublishConfig
from pipelines.search.config import SearchConfig
from pipelines.serve.config import ServeConfig
from pipelines.training.config import TrainConfig

ABOUT = About("params")

MODELS: dict[str, type[Section]] = {
    "prepare": PrepareConfig,
    "train": TrainConfig,
    "search": SearchConfig,
    "evaluate": EvaluateConfig,
    "publish": PublishConfig,
    "serve": ServeConfig,
}
"""Section: its model."""


@dataclass(frozen=True)
class Options:
    """The sections that parse; None for the others, of which a finding tells."""

    prepare: PrepareConfig | None = None
    train: TrainConfig | None = None
    search: SearchConfig | None = None
    evaluate: EvaluateConfig | None = None
    publish: PublishConfig | None = None
    serve: ServeConfig | None = None


def read_options(layout: Layout) -> tuple[Options, list[Finding]]:
    """Every section, and a finding for each that does not parse, or one that says that all do."""
    sections: dict[str, Section] = {}
    faults: list[Finding] = []
    for name in (field.name for field in fields(Options)):
        try:
            sections[name] = load_section(layout.params, name, MODELS[name])
        except ConfigError as error:
            faults.append(ABOUT.fault(str(error), f"correct section {name} of {layout.params}"))
    options = Options(**sections)  # type: ignore[arg-type]
    return options, _once(faults) or [ABOUT.ok(f"{', '.join(sections)}: every option is understood")]


def _once(faults: list[Finding]) -> list[Finding]:
    # A file that is no YAML at all says so for every section.
    return list({fault.message: fault for fault in faults}.values())
