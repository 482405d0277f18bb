import hashlib
from pathlib import Path

import pytest
import torch
from torchvision.models import VGG16_Weights, VGG19_Weights
from torchvision.models.feature_extraction import create_feature_extractor
from torchvision.models.vgg import cfgs, make_layers
from torchvision.transforms.functional import normalize

from pipelines.core.errors import DataError
from pipelines.features import vgg
from pipelines.features.vgg import IMAGENET_MEAN, IMAGENET_STD, STYLE_LAYERS, VGGFeatures
from tunable_models import Features, GramStyle

TORCHVISION = {
    "vgg16": {"relu1_2": 3, "relu2_2": 8, "relu3_3": 15, "relu4_3": 22, "relu5_3": 29},
    "vgg19": {"relu1_2": 3, "relu2_2": 8, "relu3_3": 15, "relu3_4": 17, "relu4_3": 24, "relu5_4": 35},
}
"""Where torchvision has the layers."""


@pytest.fixture(autouse=True)
def empty_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path / "hub" / "checkpoints"


def images(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_without_weights_the_trunk_is_seeded_and_says_so() -> None:
    torch.manual_seed(1)
    one = VGGFeatures(layers=("relu2_2",))
    torch.manual_seed(2)
    state = torch.random.get_rng_state()
    two = VGGFeatures(layers=("relu1_2", "relu2_2"))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert one.label == "vgg16 (seeded random trunk: not comparable with published feature losses)"
    x = images(1, 3, 8, 8)
    assert torch.equal(one(x)["relu2_2"], two(x)["relu2_2"])


@pytest.mark.parametrize("net", ["vgg16", "vgg19"])
def test_is_torchvision_s_network(net: vgg.VGG) -> None:
    """With our weights, torchvision's modules give the same maps at every named layer."""
    layers = TORCHVISION[net]
    trunk = VGGFeatures(net, tuple(layers))
    theirs = make_layers(cfgs[{"vgg16": "D", "vgg19": "E"}[net]])
    # The last pooling has no counterpart: nothing asks for it.
    theirs.load_state_dict(trunk.features.state_dict())
    reference = create_feature_extractor(theirs, {str(index): name for name, index in layers.items()})
    x = images(2, 3, 20, 17)
    expected = reference(normalize(x, list(IMAGENET_MEAN), list(IMAGENET_STD)))
    maps = trunk(x)
    assert maps.keys() == layers.keys()
    for name, value in maps.items():
        torch.testing.assert_close(value, expected[name])


def test_unused_deep_layers_are_not_made() -> None:
    assert len(VGGFeatures(layers=("relu1_2",)).features) == 4
    assert len(VGGFeatures(layers=("relu3_3", "relu1_2")).features) == 16
    assert tuple(VGGFeatures()(images(1, 3, 8, 8))) == STYLE_LAYERS


def test_a_random_trunk_does_not_fade() -> None:
    maps = VGGFeatures("vgg19", ("relu1_1", "relu3_4", "relu5_4"))(images(1, 3, 64, 64))
    for value in maps.values():
        assert 0.5 < value.square().mean().sqrt() < 4
        assert value.std() > 0.4


def test_is_frozen_and_differentiable() -> None:
    trunk = VGGFeatures(layers=("relu2_1",))
    x = images(2, 3, 8, 8).requires_grad_()
    trunk(x * 1.2)["relu2_1"].sum().backward()  # a little out of range, as in training
    assert x.grad is not None
    assert x.grad.abs().max() > 0
    assert not trunk.training
    assert all(parameter.grad is None for parameter in trunk.parameters())


def test_is_a_trunk_for_the_objectives() -> None:
    trunk = VGGFeatures(layers=("relu1_2", "relu2_2"))
    a, b = images(2, 3, 12, 12), images(2, 3, 12, 12, seed=1)
    content, style = Features(trunk, layers=("relu2_2",)), GramStyle(trunk, a[0])
    assert content(a, a).tolist() == [0, 0]
    assert (content(a, b) > 0).all()
    assert style(a)[0] < 1e-6 < style(b)[0]
    assert list(style.grams) == ["relu1_2", "relu2_2"]


def test_other_layers_are_an_error() -> None:
    for layers in (("relu1_3",), ("conv1_1",), (), "relu1_2"):
        with pytest.raises(DataError, match="expected layers among relu1_1, relu1_2"):
            VGGFeatures(layers=layers)
    with pytest.raises(DataError, match="relu3_4"):
        VGGFeatures("vgg16", ("relu3_4",))


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 1, 8, 8), (1, 3, 3, 8)])
def test_other_shapes_are_an_error(shape: tuple[int, ...]) -> None:
    trunk = VGGFeatures(layers=("relu3_1",))
    with pytest.raises(DataError, match="4 px at least"):
        trunk(torch.zeros(shape))
    assert trunk(torch.zeros(1, 3, 4, 4))["relu3_1"].shape == (1, 256, 1, 1)


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that stands for torchvision's weights, named after its hash as theirs are."""
    shapes = VGGFeatures(layers=("relu2_1",)).state_dict()
    tensors = {f"features.{key.removeprefix('features.')}": torch.rand_like(v) for key, v in shapes.items()}
    draft = tmp_path / "draft.pth"
    torch.save({**tensors, "classifier.0.weight": torch.rand(2)}, draft)
    name = f"vgg16-{hashlib.sha256(draft.read_bytes()).hexdigest()[:8]}.pth"
    monkeypatch.setitem(vgg.WEIGHTS, "vgg16", f"https://example.org/models/{name}")
    return draft.rename(tmp_path / name)


def test_weights_come_from_where_torchvision_has_them() -> None:
    theirs = {"vgg16": VGG16_Weights.IMAGENET1K_V1, "vgg19": VGG19_Weights.IMAGENET1K_V1}
    assert {net: weights.url for net, weights in theirs.items()} == vgg.WEIGHTS


def test_weights_fill_the_trunk(published: Path, empty_hub: Path) -> None:
    trunk = VGGFeatures(layers=("relu1_2",), weights=published)
    assert trunk.label == "vgg16 (published weights)"
    tensors = torch.load(published)
    assert set(trunk.state_dict()) == {f"features.{i}.{name}" for i in (0, 2) for name in ("weight", "bias")}
    for name, value in trunk.state_dict().items():
        assert torch.equal(value, tensors[name])
    empty_hub.mkdir(parents=True)
    published.rename(empty_hub / published.name)
    assert VGGFeatures(layers=("relu1_2",)).label == "vgg16 (published weights)"


def test_damaged_or_missing_weights_are_an_error(published: Path) -> None:
    published.write_bytes(published.read_bytes()[:-1])
    with pytest.raises(DataError, match="SHA-256"):
        VGGFeatures(weights=published)
    with pytest.raises(DataError, match="no such file"):
        VGGFeatures(weights=published.with_name("other.pth"))
