import pytest

from tunable_models import ArchitectureError, build, get_architecture, list_architectures


def test_every_architecture_builds_with_its_defaults_and_states_its_contract() -> None:
    assert list_architectures() == sorted(set(list_architectures()))
    for name in list_architectures():
        architecture = get_architecture(name)
        assert architecture.name == name
        assert sum(parameter.numel() for parameter in build(name).parameters()) > 0
        assert architecture.contract().scale >= 1


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(ArchitectureError, match="did you mean 'edsr'"):
        build("edrs")
    with pytest.raises(ArchitectureError, match="did you mean 'width'"):
        build("edsr", widht=3)
    with pytest.raises(ArchitectureError, match="expected one of"):
        build("zzz")
