import pytest
import torch

from tunable_models import ArchitectureError, build, get_architecture


def test_parameter_count_of_the_published_baseline() -> None:
    count = sum(parameter.numel() for parameter in build("edsr", width=64, blocks=16).parameters())
    assert round(count / 1e6, 3) == 1.185


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (2, 5), (13, 8)])
def test_any_size_goes_through(scale: int, size: tuple[int, int]) -> None:
    output = build("edsr", width=4, blocks=1, scale=scale)(torch.rand(2, 3, *size))
    assert output.shape == (2, 3, size[0] * scale, size[1] * scale)


def test_starts_as_the_identity_at_scale_one() -> None:
    x = torch.rand(1, 3, 6, 6)
    assert torch.equal(build("edsr", width=4, blocks=1)(x), x)


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_the_radius_is_what_an_output_pixel_sees(scale: int) -> None:
    config = {"width": 3, "blocks": 2, "scale": scale}
    radius = get_architecture("edsr").contract(**config).radius_px
    torch.manual_seed(0)
    network = build("edsr", **config)
    for parameter in network.parameters():  # all positive: nothing cancels, no ReLU is closed
        torch.nn.init.uniform_(parameter, 0.1, 0.2)
    side = 2 * radius + 5
    x = torch.rand(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    output = network.double()(x + 1)
    middle = (side // 2) * scale
    output[0, :, middle : middle + scale, middle : middle + scale].sum().backward()
    rows = x.grad.abs().sum((0, 1, 3)).nonzero().flatten()  # type: ignore[union-attr]
    reach = max(side // 2 - int(rows.min()), int(rows.max()) - side // 2)
    assert reach == radius


@pytest.mark.parametrize(
    "config", [{"width": 0}, {"blocks": 2.0}, {"scale": 5}, {"width": True}, {"width": 10**9}]
)
def test_impossible_options_are_refused(config: dict[str, int]) -> None:
    with pytest.raises(ArchitectureError, match="must be an integer from 1"):
        build("edsr", **config)
