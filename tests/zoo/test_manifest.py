import copy
import hashlib
from pathlib import Path
from typing import Any

import pytest

from zoo import strict_json
from zoo.entry import Entry
from zoo.errors import ManifestError
from zoo.manifest import CONTENT_DIGITS, LATER_FIELDS, FileRecord, Manifest, content_version


@pytest.fixture
def values(entry: Entry) -> dict[str, Any]:
    return entry.manifest.model_dump(mode="json")


def test_round_trip(entry: Entry) -> None:
    assert Manifest.parse(strict_json.parse_json(entry.manifest.to_bytes())) == entry.manifest


def test_read_gives_what_was_published(entry: Entry) -> None:
    assert Manifest.read(entry.folder) == entry.manifest
    assert entry.manifest.control_space.names == ("denoise", "sigma")


def test_version_is_of_the_content_without_provenance(values: dict[str, Any]) -> None:
    version = content_version(Manifest.parse(values))
    assert version == values["version"]
    elsewhere = {**values, "provenance": {"commit": "def"}, "version": "1.2.3"}
    assert content_version(Manifest.parse(elsewhere)) == version
    assert content_version(Manifest.parse({**values, "task": "other"})) != version


BAD_FIELDS: list[tuple[str, Any, str]] = [
    ("name", "../up", "name"),
    ("name", "Upper", "name"),
    ("name", "a" * 65, "name"),
    ("name", "nul\0", "name"),
    ("name", "line\n", "name"),
    ("version", "latest", "version"),
    ("version", "01.0.0", "version"),
    ("version", "1.0.\u0661", "version"),
    ("task", "", "task"),
    ("architecture.config", ["width"], "architecture.config"),
    ("architecture.class", "os.system", "class"),
    ("space.kind", "torus", "torus"),
    ("space.controls", [{"name": 5}], "name"),
    ("space.controls", [{"name": "a", "low": "0"}], "space"),
    ("space.controls", [{"name": "a", "import": "os"}], "space"),
    ("input.kind", "video", "input.kind"),
    ("input.channels", 4, "input.channels"),
    ("input.scale", "2", "input.scale"),
    ("input.scale", True, "input.scale"),
    ("input.radius_px", -1, "input.radius_px"),
    ("input.alignment", 0, "input.alignment"),
    ("rank", 0, "rank"),
    ("include", "body", "include"),
    ("exclude", [""], "exclude"),
    ("license.weights", "", "license.weights"),
    ("license", None, "license"),
    ("files", [], "model.safetensors"),
    ("unknown", 1, "unknown"),
]


@pytest.mark.parametrize(("path", "value", "message"), BAD_FIELDS)
def test_a_bad_field_is_named(values: dict[str, Any], path: str, value: Any, message: str) -> None:
    changed = copy.deepcopy(values)
    *folders, leaf = path.split(".")
    inner = changed
    for folder in folders:
        inner = inner[folder]
    inner[leaf] = value
    with pytest.raises(ManifestError, match=message):
        Manifest.parse(changed)


BAD_PATHS = [
    "../x",
    "/etc/passwd",
    "C:\\x",
    "a/b",
    "nul\0",
    "",
    ".",
    "..",
    ".hidden",
    "a\n",
    "é",
    "manifest.json",
]


@pytest.mark.parametrize("path", BAD_PATHS)
def test_a_file_name_leads_nowhere_else(values: dict[str, Any], path: str) -> None:
    values["files"].append({"path": path, "size": 1, "sha256": "0" * 64})
    with pytest.raises(ManifestError, match="file"):
        Manifest.parse(values)


@pytest.mark.parametrize("path", ["model.safetensors", "Model.SafeTensors"])
def test_colliding_file_names_are_refused(values: dict[str, Any], path: str) -> None:
    values["files"].append({"path": path, "size": 1, "sha256": "0" * 64})
    with pytest.raises(ManifestError, match="differ in more than case"):
        Manifest.parse(values)


@pytest.mark.parametrize("schema", [0, 2, "1", 1.0, True, None])
def test_another_schema_asks_for_an_upgrade(values: dict[str, Any], schema: object) -> None:
    with pytest.raises(ManifestError, match="--upgrade"):
        Manifest.parse({**values, "schema_version": schema, "from_the_future": 1})


@pytest.mark.parametrize("value", [[], "text", None, 1])
def test_a_manifest_is_an_object(value: object) -> None:
    with pytest.raises(ManifestError, match="JSON object"):
        Manifest.parse(value)


def test_deep_metrics_are_refused(values: dict[str, Any]) -> None:
    deep: list[Any] = []
    for _ in range(10_000):
        deep = [deep]
    with pytest.raises(ManifestError):
        Manifest.parse({**values, "metrics": {"deep": deep}})


def test_replace_checks(entry: Entry) -> None:
    assert entry.manifest.replace(version="1.0.0").version == "1.0.0"
    with pytest.raises(ManifestError, match="version"):
        entry.manifest.replace(version="one")


def test_read_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(b'{"schema_version": 1}')
    with pytest.raises(ManifestError, match=r"manifest\.json: name: Field required"):
        Manifest.read(tmp_path)


def test_a_manifest_from_before_there_was_a_choice_means_all(values: dict[str, Any]) -> None:
    for name in ("rank", "include", "exclude"):
        del values[name]
    del values["input"]["alignment"]
    manifest = Manifest.parse(values)
    assert (manifest.rank, manifest.include, manifest.exclude, manifest.input.alignment) == (
        None,
        None,
        (),
        1,
    )


def test_file_record() -> None:
    record = FileRecord.of("a.txt", b"abc")
    assert (record.size, record.sha256[:8]) == (3, "ba7816bf")


def test_fields_that_came_later_leave_the_versions_of_earlier_entries(entry: Entry) -> None:
    earlier = entry.manifest.replace(library=None)
    content = earlier.model_dump(mode="json", exclude={"version", "provenance", *LATER_FIELDS})
    digest = hashlib.sha256(strict_json.encode_json(content)).hexdigest()
    assert content_version(earlier) == digest[:CONTENT_DIGITS]
    assert entry.version == content_version(entry.manifest) != content_version(earlier)
    for name in ("intended_use", "limitations"):
        assert content_version(entry.manifest.replace(**{name: ["Scans."]})) != entry.version
