from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import zoo
from tunable_models import TunableNetwork, build, make_tunable
from tunable_models.architectures.edsr import EDSR, EDSRConfig
from zoo.entry import Entry
from zoo.errors import EntryExistsError, IntegrityError, ManifestError
from zoo.manifest import SEMANTIC, WEIGHTS
from zoo.storage import Store


def test_publish_describes_the_network(entry: Entry, network: TunableNetwork) -> None:
    manifest = entry.manifest
    assert manifest.architecture.id == "edsr"
    assert manifest.control_space == network.space
    assert (manifest.input.scale, manifest.input.multiple, manifest.input.radius_px) == (1, 1, 4)
    assert [record.path for record in manifest.files] == ["README.md", WEIGHTS, "preview.png"]
    assert entry.contents()["preview.png"] == b"not really a picture"


@pytest.mark.parametrize(
    "selection",
    [{"rank": 2}, {"include": ["body.*"]}, {"exclude": ["tail*"], "rank": 1}, {"include": ["*.weight"]}],
)
def test_what_is_tunable_is_part_of_the_entry(
    publish: Callable[..., Entry], make_network: Callable[..., TunableNetwork], selection: dict[str, Any]
) -> None:
    network = make_network(selection=selection)
    entry = publish(network)
    assert zoo.Manifest.read(entry.folder).replace(**selection) == entry.manifest
    x = torch.rand(1, 3, 9, 7)
    torch.testing.assert_close(
        zoo.load(entry.folder)(x, denoise=0.3), network.at(denoise=0.3)(x).detach().clamp(0, 1)
    )


def test_a_network_of_a_rival_method_is_published_and_loaded(
    publish: Callable[..., Entry], make_network: Callable[..., TunableNetwork]
) -> None:
    network = make_network(selection={"method": "film"})
    entry = publish(network)
    assert (entry.manifest.method, entry.manifest.network_spec()) == ("film", network.spec)
    assert entry.manifest.library is not None
    assert entry.manifest.library.lowest == "0.4.0"
    assert "method film" in entry.contents()["README.md"].decode()
    x = torch.rand(1, 3, 9, 7)
    torch.testing.assert_close(
        zoo.load(entry.folder)(x, denoise=0.3), network.at(denoise=0.3)(x).detach().clamp(0, 1)
    )


def test_entries_of_tunable_networks_stay_readable_by_earlier_versions(entry: Entry) -> None:
    assert b'"method"' not in entry.manifest.to_bytes()
    assert entry.manifest.library is not None
    assert entry.manifest.library.lowest == "0.3.0"


def test_the_same_content_is_one_entry(publish: Callable[..., Entry], store: Store) -> None:
    one = publish()
    assert publish(provenance={"commit": "another", "host": "elsewhere"}) == one
    assert publish(description="Other.").version != one.version
    assert len(store.versions("tiny")) == 2


def test_files_may_be_paths(publish: Callable[..., Entry], tmp_path: Path) -> None:
    path = tmp_path / "curve.csv"
    path.write_bytes(b"step,loss")
    assert publish(files={"curve.csv": path}).contents()["curve.csv"] == b"step,loss"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "Not/a name"}, "name"),
        ({"license": {"weights": "MIT"}}, "license.data"),
        ({"metrics": {"psnr": float("nan")}}, "JSON"),
        ({"metrics": {"psnr": torch.zeros(1)}}, "JSON"),
        ({"files": {"../x": b""}}, "plain file name"),
        ({"files": {"README.md": b""}}, "written by publish"),
        ({"files": {"model.safetensors": b""}}, "written by publish"),
        ({"files": {"manifest.json": b""}}, "manifest.json not"),
    ],
)
def test_what_cannot_be_described_is_not_published(
    publish: Callable[..., Entry], store: Store, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ManifestError, match=message):
        publish(**changes)
    assert store.names() == []


def test_a_network_that_was_changed_after_it_was_built_is_not_published(
    publish: Callable[..., Entry], store: Store
) -> None:
    plain = build("edsr", width=8, blocks=1)
    plain.head.append(nn.Conv2d(8, 8, 1))  # type: ignore[operator, union-attr]
    with pytest.raises(IntegrityError, match=r"does not fit edsr\(.*width=8"):
        publish(make_tunable(plain, 1))
    assert store.names() == []


class Unknown(EDSR):
    """A class that the registry does not know, though its tensors would fit."""


@pytest.mark.parametrize(
    ("plain", "selection", "message"),
    [
        (nn.Conv2d(3, 3, 3), {}, "registered architecture"),
        (Unknown(EDSRConfig(width=4, blocks=1)), {}, "registered architecture"),
        (build("edsr", width=4, blocks=1), {"include": [nn.Conv2d]}, "Conv2d"),
    ],
)
def test_a_network_that_no_manifest_can_name_is_not_published(
    publish: Callable[..., Entry],
    store: Store,
    plain: nn.Module,
    selection: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(ManifestError, match=message):
        publish(make_tunable(plain, 1, **selection))
    assert store.names() == []


def test_nan_is_not_published(publish: Callable[..., Entry], store: Store, network: TunableNetwork) -> None:
    with torch.no_grad():
        next(network.parameters()).fill_(float("nan"))
    with pytest.raises(IntegrityError, match="NaN"):
        publish(network)
    assert store.names() == []


def test_promote_copies_under_a_semantic_version(entry: Entry, store: Store, tmp_path: Path) -> None:
    target = Store(tmp_path / "bundled")
    promoted = zoo.promote("tiny", "1.0.0", target, [store])
    assert promoted.version == "1.0.0"
    assert promoted.contents() == entry.contents()
    assert promoted.manifest.provenance == {"commit": "abc", "promoted_from": entry.version}
    assert target.open("tiny") == promoted
    assert zoo.load(promoted.folder).version == "1.0.0"


def test_promote_again_is_no_change_and_never_another_content(
    publish: Callable[..., Entry], store: Store, tmp_path: Path
) -> None:
    target = Store(tmp_path / "bundled")
    promoted = zoo.promote(publish().folder, "1.0.0", target)
    assert zoo.promote("tiny", "1.0.0", target, [store]) == promoted
    publish(description="Other.")
    with pytest.raises(EntryExistsError, match="other content"):
        zoo.promote("tiny", "1.0.0", target, [store])


@pytest.mark.parametrize("version", ["one", "1.0", "v1.0.0", "0" * 16, "1.0.0\n"])
def test_promote_asks_for_a_semantic_version(entry: Entry, version: str) -> None:
    assert not SEMANTIC.fullmatch(version)
    with pytest.raises(ManifestError, match=r"such as 1\.0\.0"):
        zoo.promote(entry.folder, version)


def test_a_damaged_entry_is_not_promoted(entry: Entry, tmp_path: Path) -> None:
    (entry.folder / WEIGHTS).write_bytes(b"")
    with pytest.raises(IntegrityError, match="bytes"):
        zoo.promote(entry.folder, "1.0.0", Store(tmp_path / "bundled"))
