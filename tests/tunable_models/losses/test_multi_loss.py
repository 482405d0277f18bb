import pytest
import torch
from torch import Tensor, nn

from tunable_models import (
    L1,
    MSE,
    Adversarial,
    BlendedLoss,
    ControlSpace,
    ConversionError,
    Features,
    MultiLoss,
    PatchCritic,
    Perceptual,
    Term,
    TotalVariation,
    TunableError,
)

BOX = ControlSpace.box("a", "b")
SIMPLEX = ControlSpace.simplex("a", "b")
NAMES = ("input", "smooth", "sharp", "clean")
OUTPUT = torch.rand(5, 3, 4, 4)
TARGETS = {name: torch.rand(5, 3, 4, 4) for name in NAMES}
OMEGA = torch.rand(5, 2)


def squared() -> MultiLoss:
    return MultiLoss(BOX, [Term(objective=MSE(), target=name) for name in NAMES])


def test_multi_loss_is_the_weighted_sum_of_its_objectives() -> None:
    terms = [Term(objective=MSE()), Term(objective=L1(), scale=3)]
    weight = torch.rand(5)
    expected = weight * MSE()(OUTPUT, TARGETS["clean"]) + (1 - weight) * 3 * L1()(OUTPUT, TARGETS["clean"])
    omega = torch.stack([weight, 1 - weight], dim=1)
    torch.testing.assert_close(MultiLoss(SIMPLEX, terms)(OUTPUT, TARGETS, omega), expected)


def test_several_terms_at_a_vertex_are_added() -> None:
    tv = TotalVariation()
    vertex = [Term(objective=tv, scale=2), Term(objective=MSE(), target="sharp", scale=0.5)]
    loss = MultiLoss(SIMPLEX, [Term(objective=MSE(), target="sharp"), vertex])
    distance = MSE()(OUTPUT, TARGETS["sharp"])
    expected = 0.25 * distance + 0.75 * (2 * tv(OUTPUT) + 0.5 * distance)
    torch.testing.assert_close(loss(OUTPUT, TARGETS, torch.tensor([[0.25, 0.75]] * 5)), expected)
    assert loss.target_names == {"sharp"}


def test_at_a_vertex_only_its_objective_counts() -> None:
    for name, corner in zip(NAMES, BOX.vertices, strict=True):
        omega = torch.tensor([corner]).expand(5, 2)
        torch.testing.assert_close(squared()(OUTPUT, TARGETS, omega), MSE()(OUTPUT, TARGETS[name]))


class Counted(nn.Module):
    """A perceptual network that counts its calls."""

    calls = 0

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        self.calls += 1
        return (output - target).abs().mean((1, 2, 3))


def test_an_objective_that_vertices_share_is_measured_once() -> None:
    network = Counted()
    shared = Perceptual(network)
    tv = TotalVariation()
    terms = [[Term(objective=shared, scale=s), Term(objective=tv, scale=1 / s)] for s in (1.0, 2.0, 3.0, 5.0)]
    value = MultiLoss(BOX, terms)(OUTPUT, TARGETS, torch.tensor([[1.0, 1.0]] * 5))
    assert network.calls == 1
    torch.testing.assert_close(value, 5 * L1()(OUTPUT, TARGETS["clean"]) + tv(OUTPUT) / 5)


class Halved:
    """Consistency with a low-resolution target: an objective that compares unlike sizes."""

    blends_targets, needs_target = True, True

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        return MSE()(nn.functional.avg_pool2d(output, 2), target)


def test_targets_may_differ_in_size() -> None:
    loss = MultiLoss(SIMPLEX, [Term(objective=MSE()), Term(objective=Halved(), target="small")])
    targets = {"clean": TARGETS["clean"], "small": torch.rand(5, 3, 2, 2)}
    value = loss(OUTPUT, targets, torch.tensor([[0.5, 0.5]] * 5))
    expected = (MSE()(OUTPUT, targets["clean"]) + Halved()(OUTPUT, targets["small"])) / 2
    torch.testing.assert_close(value, expected)
    plain = MultiLoss(SIMPLEX, [Term(objective=MSE()), Term(objective=MSE(), target="small")])
    with pytest.raises(TunableError, match=r"MSE expected output and target of one shape.*\(5, 3, 2, 2\)"):
        plain(OUTPUT, targets, torch.tensor([[0.5, 0.5]] * 5))
    with pytest.raises(ConversionError, match="one shape"):
        BlendedLoss(SIMPLEX, L1(), ("clean", "small"))(OUTPUT, targets, torch.tensor([[0.5, 0.5]] * 5))


def test_a_term_for_every_vertex() -> None:
    with pytest.raises(ConversionError, match="expected 4 terms"):
        MultiLoss(BOX, [Term(objective=MSE())])
    with pytest.raises(ConversionError, match=r"none at omega = \(1.0, 0.0\)"):
        MultiLoss(SIMPLEX, [[], Term(objective=MSE())])


def test_networks_inside_move_along() -> None:
    network = nn.Conv2d(3, 3, 1)
    loss = MultiLoss(SIMPLEX, [Term(objective=L1()), Term(objective=Perceptual(network))])
    assert loss.to("meta") is loss
    assert network.weight.is_meta


def test_a_perceptual_vertex_of_features_critic_and_a_little_fidelity() -> None:
    """Its sum, and gradients for the output alone."""
    critic, trunk = PatchCritic(width=2, depth=1), nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh())
    features, adversarial = Features(trunk), Adversarial(critic)
    perceptual = [
        Term(objective=features),
        Term(objective=adversarial, scale=0.1),
        Term(objective=L1(), scale=0.01),
    ]
    loss = MultiLoss(SIMPLEX, [Term(objective=L1()), perceptual])
    output, target = torch.rand(2, 2, 3, 8, 8)
    output.requires_grad_()
    value = loss(output, {"clean": target}, torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    rich = features(output, target) + 0.1 * adversarial(output) + 0.01 * L1()(output, target)
    torch.testing.assert_close(value, torch.stack([rich[0], L1()(output, target)[1]]))
    value.sum().backward()
    assert output.grad is not None
    assert (output.grad.abs().amax((1, 2, 3)) > 0).all()
    assert all(parameter.grad is None for module in (critic, trunk) for parameter in module.parameters())
