import copy

import pytest
import torch
from torch import Tensor, nn

from tunable_models import Adversarial, ConversionError, CriticStep, PatchCritic, TunableError


def test_values(pair: tuple[Tensor, Tensor]) -> None:
    critic = nn.Conv2d(3, 1, 3).double()
    scores = critic(pair[0]).detach().numpy()
    expected = torch.from_numpy(((scores - 1) ** 2).mean((1, 2, 3)))
    torch.testing.assert_close(Adversarial(critic)(pair[0]), expected)


def test_the_critic_gets_no_gradient_and_stays_trainable() -> None:
    critic = PatchCritic(width=4, depth=1)
    before = [parameter.clone() for parameter in critic.parameters()]
    output = torch.rand(2, 3, 8, 8, requires_grad=True)
    Adversarial(critic)(output).sum().backward()
    assert output.grad is not None
    assert output.grad.abs().max() > 0
    assert all(parameter.grad is None and parameter.requires_grad for parameter in critic.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, critic.parameters(), strict=True))


def test_descending_it_raises_the_scores() -> None:
    torch.manual_seed(0)
    critic = PatchCritic(width=4, depth=1)
    output = torch.rand(2, 3, 8, 8, requires_grad=True)
    before = Adversarial(critic)(output)
    (gradient,) = torch.autograd.grad(before.sum(), output)
    after = Adversarial(critic)(output - 0.01 * gradient / gradient.abs().max())
    assert (after < before).all()


def small() -> PatchCritic:
    torch.manual_seed(0)
    return PatchCritic(width=4, depth=1)


def adam(critic: nn.Module, lr: float = 0.01) -> torch.optim.Adam:
    return torch.optim.Adam(critic.parameters(), lr=lr, betas=(0.5, 0.999))


def images(seed: int, batch: int = 2) -> Tensor:
    return torch.rand(batch, 3, 16, 16, generator=torch.Generator().manual_seed(seed))


def test_the_paper_s_critic() -> None:
    """Isola et al.: 2.769 million parameters on pairs of images, 30x30 scores of 256 px."""
    critic = PatchCritic(channels=6)
    convolutions = [module for module in critic.layers if isinstance(module, nn.Conv2d)]
    assert [module.out_channels for module in convolutions] == [64, 128, 256, 512, 1]
    assert [module.stride[0] for module in convolutions] == [2, 2, 2, 1, 1]
    assert sum(parameter.numel() for parameter in critic.parameters()) == 2_768_705
    assert PatchCritic(width=4)(torch.rand(1, 3, 256, 256)).shape == (1, 1, 30, 30)


@pytest.mark.parametrize(("depth", "field"), [(1, 16), (2, 34), (3, 70)])
def test_a_score_sees_its_patch(depth: int, field: int) -> None:
    critic = PatchCritic(width=2, depth=depth)
    # Without the normalisation, which sees the whole image.
    critic.layers = nn.Sequential(*(m for m in critic.layers if not isinstance(m, nn.InstanceNorm2d)))
    image = torch.rand(1, 3, 128, 128, requires_grad=True)
    scores = critic(image)
    middle = scores.shape[-1] // 2
    (gradient,) = torch.autograd.grad(scores[0, 0, middle, middle], image)
    rows = gradient.abs().sum((0, 1, 3)).nonzero().flatten()
    assert (rows.max() - rows.min() + 1).item() == field


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_smallest_image(depth: int) -> None:
    critic = PatchCritic(width=2, depth=depth)
    side = critic.min_side_px
    assert critic(torch.rand(1, 3, side, side + 5)).isfinite().all()
    for shape in ((1, 3, side - 1, side), (3, side, side)):
        with pytest.raises(TunableError, match=f"{side} px at least"):
            critic(torch.rand(shape))


@pytest.mark.parametrize("name", ["channels", "width", "depth"])
def test_impossible_critics_are_an_error(name: str) -> None:
    with pytest.raises(ConversionError, match=name):
        PatchCritic(**{name: 0})


def test_samples_are_judged_one_by_one() -> None:
    critic = small()
    whole = critic(images(0, 3))
    torch.testing.assert_close(whole, torch.cat([critic(image[None]) for image in images(0, 3)]))


def test_a_step_is_that_of_the_least_squares_loss() -> None:
    critic = small()
    twin = copy.deepcopy(critic)
    real, fake = images(0, 3), images(1)
    loss = CriticStep(critic, torch.optim.SGD(critic.parameters(), lr=0.1))(real, fake)
    expected = 0.5 * (twin(real) - 1).square().mean() + 0.5 * twin(fake).square().mean()
    expected.backward()
    torch.testing.assert_close(loss, expected.detach())
    for ours, theirs in zip(critic.parameters(), twin.parameters(), strict=True):
        assert theirs.grad is not None
        torch.testing.assert_close(ours, theirs - 0.1 * theirs.grad)


def test_the_critic_learns_to_tell() -> None:
    critic = small()
    step = CriticStep(critic, adam(critic))
    real, fake = images(0), images(1) * 0.5
    losses = [step(real, fake).item() for _ in range(60)]
    assert losses[-1] < 0.1 * losses[0]
    assert critic(real).mean() > 0.7
    assert critic(fake).mean() < 0.3


def test_both_steps_leave_each_other_s_gradients_alone() -> None:
    critic, generator = small(), nn.Conv2d(3, 3, 1)
    step = CriticStep(critic, adam(critic))
    fake = generator(images(0))
    Adversarial(critic)(fake).mean().backward(retain_graph=True)
    assert all(parameter.grad is None for parameter in critic.parameters())
    before = [parameter.grad.clone() for parameter in generator.parameters()]  # type: ignore[union-attr]
    step(images(1), fake)
    assert all(parameter.grad is None for parameter in critic.parameters())
    for kept, parameter in zip(before, generator.parameters(), strict=True):
        assert torch.equal(kept, parameter.grad)  # type: ignore[arg-type]


def test_what_others_left_in_the_gradients_does_not_count() -> None:
    critics = [small(), small()]
    critics[1](images(3)).sum().backward()
    for critic in critics:
        CriticStep(critic, adam(critic))(images(0), images(1))
    for one, two in zip(critics[0].parameters(), critics[1].parameters(), strict=True):
        assert torch.equal(one, two)


def test_a_critic_that_steps_between_the_generator_s_passes_is_an_error() -> None:
    """The gradient would be that of no critic there ever was; torch notices."""
    critic = small()
    output = images(0).requires_grad_()
    loss = Adversarial(critic)(output).sum()
    CriticStep(critic, adam(critic))(images(1), output)
    with pytest.raises(RuntimeError, match="inplace operation"):
        loss.backward()


def test_a_step_works_without_gradients_around() -> None:
    critic = small()
    before = [parameter.clone() for parameter in critic.parameters()]
    with torch.no_grad():
        CriticStep(critic, adam(critic))(images(0), images(1))
    assert not any(torch.equal(a, b) for a, b in zip(before, critic.parameters(), strict=True))


def test_resumes_as_if_it_had_not_stopped() -> None:
    whole = small()
    step = CriticStep(whole, adam(whole))
    step(images(0), images(1))
    state = copy.deepcopy(step.state_dict())
    step(images(2), images(3))
    other = PatchCritic(width=4, depth=1)
    resumed = CriticStep(other, adam(other))
    resumed.load_state_dict(state)
    resumed(images(2), images(3))
    for one, two in zip(whole.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)
    with pytest.raises(ConversionError, match="'critic' and 'optimizer'"):
        resumed.load_state_dict({"critic": {}})


def test_an_optimizer_of_something_else_is_an_error() -> None:
    critic = small()
    for others in ([nn.Parameter(torch.zeros(1))], [*critic.parameters(), nn.Parameter(torch.zeros(1))]):
        with pytest.raises(ConversionError, match="alone"):
            CriticStep(critic, torch.optim.SGD(others, lr=0.1))


def test_images_of_other_shapes_are_an_error() -> None:
    critic = small()
    with pytest.raises(TunableError, match="one shape"):
        CriticStep(critic, adam(critic))(images(0), images(1)[..., :8])
