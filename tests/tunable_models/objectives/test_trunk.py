import pytest
import torch
from torch import nn

from tunable_models import ConversionError, TunableError
from tunable_models.objectives.trunk import LayerWeights, TrunkObjective

MAPS = {"a": torch.zeros(2, 3, 4, 4), "b": torch.ones(2, 3, 2, 2)}


def test_the_trunk_is_frozen_for_good() -> None:
    objective = TrunkObjective(nn.Sequential(nn.Conv2d(3, 3, 3), nn.Dropout()))
    for module in (objective, objective.train(), nn.Sequential(objective).train()):
        assert not objective.trunk.training, module
    assert not any(parameter.requires_grad for parameter in objective.parameters())


def test_layers_of_mappings_sequences_and_tensors() -> None:
    assert list(LayerWeights(None, None).of(MAPS)) == ["a", "b"]
    assert list(LayerWeights(("b",), None).of(MAPS)) == ["b"]
    maps = list(MAPS.values())
    assert LayerWeights((1,), None).of(maps)[1] is maps[1]
    assert LayerWeights(None, None).of(maps[0])[0] is maps[0]


def test_weights_are_added() -> None:
    values = [torch.tensor([1.0, 2.0]), torch.tensor([10.0, 20.0])]
    assert LayerWeights(("a", "b"), (2, 0.5)).total(values).tolist() == [7, 14]
    assert LayerWeights(None, None).total(values).tolist() == [11, 22]


def test_impossible_layers_are_an_error() -> None:
    for layers in ((), "ab", ("a", "a")):
        with pytest.raises(ConversionError, match="different layers"):
            LayerWeights(layers, None)
    for weights in ((1.0,), (1.0, 2.0, 3.0)):
        with pytest.raises(ConversionError, match="one weight for each"):
            LayerWeights(("a", "b"), weights)
    with pytest.raises(ConversionError, match="name the layers"):
        LayerWeights(None, (1.0,))
    with pytest.raises(TunableError, match="positive"):
        LayerWeights(("a",), (0.0,))


def test_a_layer_that_the_trunk_lacks_is_an_error() -> None:
    with pytest.raises(ConversionError, match=r"\['c'\], it has 'a', 'b'"):
        LayerWeights(("c",), None).of(MAPS)
    with pytest.raises(ConversionError, match="returns feature maps"):
        LayerWeights(None, None).of(3)
    with pytest.raises(ConversionError, match="it has none"):
        LayerWeights(None, None).of([])
