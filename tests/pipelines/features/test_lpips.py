import hashlib
from pathlib import Path
from types import SimpleNamespace

import lpips
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import alexnet, squeezenet1_1, vgg16

from pipelines.core.errors import DataError
from pipelines.features import lpips as ours
from pipelines.features.lpips import LPIPS, MIN_SIDE_PX
from tunable_models import L1, ControlSpace, ConversionError, MultiLoss, Term

# squeeze is the smallest trunk; what does not depend on the trunk is tested on it.


@pytest.fixture(autouse=True)
def empty_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path / "hub" / "checkpoints"


@pytest.fixture(scope="module")
def squeeze() -> LPIPS:
    return LPIPS("squeeze", None)


def images(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(2, *shape, generator=torch.Generator().manual_seed(seed))


def test_without_weights_the_trunk_is_seeded_and_says_so() -> None:
    torch.manual_seed(1)
    one = LPIPS("squeeze")
    torch.manual_seed(2)
    state = torch.random.get_rng_state()
    two = LPIPS("squeeze")
    assert torch.equal(torch.random.get_rng_state(), state)
    assert one.label == "squeeze (seeded random trunk: not comparable with published LPIPS)"
    a, b = images(2, 3, 20, 20)
    assert torch.equal(one.measure(a, b), two.measure(a, b))


def test_values(squeeze: LPIPS) -> None:
    a, b = images(2, 3, 24, 33)
    distance = squeeze.measure(a, b)
    assert distance.shape == (2,)
    assert (distance > 0).all()
    assert squeeze.measure(a, a).tolist() == [0, 0]
    nearer = squeeze.measure(torch.lerp(a, b, 0.3), a)
    assert (nearer < distance).all()
    wanted = squeeze._metric(a, b, normalize=True).flatten()  # lpips' own conversion to [-1, 1]
    torch.testing.assert_close(distance, wanted)


COMPARED = {
    "alex": (alexnet, (1, 4, 7, 9, 11)),
    "vgg": (vgg16, (3, 8, 15, 22, 29)),
    "squeeze": (squeezenet1_1, (1, 4, 7, 9, 10, 11, 12)),
}
"""torchvision's trunks, and after which of their modules LPIPS compares."""


@pytest.mark.parametrize("net", COMPARED)
@pytest.mark.slow
def test_it_is_the_published_definition(net: ours.Trunk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the paper's formula written anew, with a trunk of our own values and lpips' heads."""
    builder, indices = COMPARED[net]
    with torch.device("meta"):  # the classifier is large and not compared
        trunk = builder(weights=None).features
    trunk.to_empty(device="cpu")
    stream = torch.Generator().manual_seed(0)
    for parameter in trunk.parameters():
        if parameter.dim() > 1:
            nn.init.kaiming_normal_(parameter, generator=stream)
        else:
            nn.init.uniform_(parameter, -0.1, 0.1, generator=stream)
    published = {f"features.{key}": value for key, value in trunk.state_dict().items()}
    monkeypatch.setattr(ours, "read_published", lambda url, file: published)
    heads = Path(lpips.__file__).parent / "weights" / "v0.1" / f"{net}.pth"
    a, b = images(2, 3, 40, 33)
    wanted = written_anew(trunk, indices, torch.load(heads, map_location="cpu", weights_only=True), a, b)
    torch.testing.assert_close(LPIPS(net).measure(a, b), wanted, rtol=1e-4, atol=1e-6)


@torch.inference_mode()
def written_anew(
    trunk: nn.Sequential, indices: tuple[int, ...], heads: dict[str, torch.Tensor], *pair: torch.Tensor
) -> torch.Tensor:
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]
    total = torch.zeros(len(pair[0]))
    maps = [(image - mean) / std for image in pair]
    for index, module in enumerate(trunk[: indices[-1] + 1]):
        maps = [module(x) for x in maps]
        if index in indices:
            one, other = (x / x.norm(dim=1, keepdim=True).clamp_min(1e-10) for x in maps)
            weights = heads[f"lin{indices.index(index)}.model.1.weight"]
            assert weights.min() >= 0
            total += (weights * (one - other).square()).sum(1).mean((-2, -1))
    return total


@pytest.mark.parametrize("net", ["alex", "squeeze"])
def test_small_images_are_mirrored_to_the_smallest_size(net: ours.Trunk) -> None:
    metric, side = LPIPS(net), MIN_SIDE_PX[net]
    a, b = images(1, 3, side, side - 6)
    mirrored = [F.pad(x, (0, 6, 0, 0), mode="reflect") for x in (a, b)]
    torch.testing.assert_close(metric.measure(a, b), metric.measure(*mirrored))
    for shape in ((1, 1), (1, 40), (side - 1, side), (5, 3)):
        assert metric.measure(*images(1, 3, *shape)).isfinite().all()


def test_is_a_differentiable_objective_and_frozen(squeeze: LPIPS) -> None:
    output, target = images(2, 3, 24, 24)
    output.requires_grad_()
    squeeze(output * 1.2, target).sum().backward()  # a little out of range, as in training
    assert output.grad is not None
    assert output.grad.abs().max() > 0
    assert not squeeze.training
    assert all(parameter.grad is None for parameter in squeeze.parameters())
    assert squeeze.measure(output.detach(), target).is_inference()


def test_is_a_term_beside_a_fidelity_of_the_same_target(squeeze: LPIPS) -> None:
    fidelity = Term(objective=L1())
    space = ControlSpace.simplex("accuracy", "perception")
    loss = MultiLoss(space, [fidelity, [Term(objective=squeeze, scale=2), fidelity]])
    output, target = images(2, 3, 24, 24)
    value = loss(output, {"clean": target}, torch.tensor([[0.25, 0.75]] * 2))
    torch.testing.assert_close(value, L1()(output, target) + 1.5 * squeeze(output, target))
    with pytest.raises(ConversionError, match="dead slider"):
        MultiLoss(space, [Term(objective=squeeze, target="input"), fidelity])


@pytest.mark.parametrize("value", [-0.5, 1.5, 255.0, float("nan")])
def test_values_out_of_range_are_an_error(squeeze: LPIPS, value: float) -> None:
    good = images(1, 3, 20, 20)[0]
    bad = good.clone()
    bad[0, 0, 0, 0] = value
    for pair in ((good, bad), (bad, good)):
        with pytest.raises(DataError, match=r"in \[0, 1\]"):
            squeeze.measure(*pair)


@pytest.mark.parametrize("shape", [(3, 20, 20), (1, 1, 20, 20), (2, 3, 20, 20)])
def test_other_shapes_are_an_error(squeeze: LPIPS, shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="one shape"):
        squeeze.measure(torch.zeros(shape), torch.zeros(1, 3, 20, 20))


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that stands for torchvision's weights, named after its hash as theirs are."""
    torch.manual_seed(0)
    draft = tmp_path / "draft.pth"
    torch.save(squeezenet1_1(weights=None).state_dict(), draft)
    name = f"squeezenet-{hashlib.sha256(draft.read_bytes()).hexdigest()[:8]}.pth"
    entry = SimpleNamespace(url=f"https://example.org/models/{name}")
    monkeypatch.setitem(ours.WEIGHTS, "squeeze", entry)
    return draft.rename(tmp_path / name)


def test_weights_fill_the_whole_trunk(published: Path) -> None:
    metric = LPIPS("squeeze", published)
    assert metric.label == "squeeze (published weights)"
    features = {
        name: tensor for name, tensor in torch.load(published).items() if name.startswith("features.")
    }
    trunk = {
        f"features.{key.split('.', 1)[1]}": value for key, value in metric._metric.net.state_dict().items()
    }
    assert trunk.keys() == features.keys()
    for name, tensor in features.items():
        assert torch.equal(trunk[name], tensor)


def test_weights_in_torch_hubs_cache_are_used(published: Path, empty_hub: Path) -> None:
    empty_hub.mkdir(parents=True)
    published.rename(empty_hub / published.name)
    assert LPIPS("squeeze").label == "squeeze (published weights)"


def test_damaged_or_missing_weights_are_an_error(published: Path) -> None:
    published.write_bytes(published.read_bytes()[:-1])
    with pytest.raises(DataError, match="SHA-256"):
        LPIPS("squeeze", published)
    with pytest.raises(DataError, match="no such file"):
        LPIPS("squeeze", published.with_name("other.pth"))
