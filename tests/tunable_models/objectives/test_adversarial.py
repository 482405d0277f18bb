import torch
from torch import Tensor, nn

from tunable_models import Adversarial, PatchCritic


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
