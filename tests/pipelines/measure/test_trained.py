import pytest
import torch

from pipelines.core.errors import ConfigError
from pipelines.measure.trained import TrainedRunner, check_device
from tunable_models import ControlSpace, ImageContract, TunableNetwork, build, make_tunable


def test_it_is_the_network_at_that_setting(network: TunableNetwork) -> None:
    x = torch.rand(1, 3, 12, 9)
    output = TrainedRunner(network, ImageContract())(x, (0.25, 1.0))
    assert torch.equal(output, network(x, omega=torch.tensor([0.25, 1.0])))
    assert not output.requires_grad


@pytest.mark.parametrize("scale", [1, 4])
def test_pictures_are_padded_on_the_way_in_and_cut_on_the_way_out(scale: int) -> None:
    seen: list[torch.Size] = []
    plain = build("edsr", width=4, blocks=1, scale=scale)
    plain.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape))
    network = make_tunable(plain, ControlSpace.simplex("a", "b")).eval()
    output = TrainedRunner(network, ImageContract(scale=scale, multiple=8))(
        torch.rand(1, 3, 11, 8), (0.5, 0.5)
    )
    assert seen == [(1, 3, 16, 8)]
    assert output.shape == (1, 3, 11 * scale, 8 * scale)


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"evaluate\.device 'abacus'"):
        check_device("abacus", "evaluate.device")
    assert check_device("cpu", "evaluate.device") == torch.device("cpu")
