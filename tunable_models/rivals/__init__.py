"""Rival methods: other ways to give a network sliders, to train, publish and compare by the same road.

| method | omega reaches | sliders | trained at |
|---|---|---|---|
| ``tunable`` | every kernel; :func:`make_tunable` without a method | any | drawn omegas |
| ``dni`` | every tensor, between two networks | one | its two ends |
| ``adafm`` | features behind every convolution | one | its two ends |
| ``cfsnet`` | a branch beside every block | one | its two ends |
| ``dynamic-net`` | three blocks in between | one | its two ends |
| ``film`` | scale and shift of all features | any | drawn omegas |
| ``noise-map`` | planes beside the picture | any | drawn omegas |
| ``cresmd`` | factors of all residual branches | any | drawn omegas |

Each class names its source. What is put into a network is known for the architectures of this package.
"""

from typing import Literal, get_args

from tunable_models.errors import ConversionError, suggest_name
from tunable_models.rivals.conditioned import CResMD, FiLM, NoiseMap
from tunable_models.rivals.method import ControlMethod, Phase
from tunable_models.rivals.two_ends import DNI, AdaFM, CFSNet, DynamicNet

__all__ = ["ControlMethod", "MethodName", "Phase", "find_method", "list_methods"]

MethodName = Literal["tunable", "dni", "adafm", "cfsnet", "dynamic-net", "film", "noise-map", "cresmd"]
"""How a network gets its sliders; ``tunable`` mixes its kernels, the others are rivals.

Example:
    >>> for method in ("dni", "film", "noise-map"):
    ...     net = make_tunable(build("edsr", width=8, blocks=2), ControlSpace.box("noise"), method=method)
    ...     print(method, sum(p.numel() for p in net.parameters() if p.requires_grad))
    dni 5558
    film 5147
    noise-map 2851
"""

_RIVALS: dict[str, type[ControlMethod]] = {
    "dni": DNI,
    "adafm": AdaFM,
    "cfsnet": CFSNet,
    "dynamic-net": DynamicNet,
    "film": FiLM,
    "noise-map": NoiseMap,
    "cresmd": CResMD,
}


def list_methods() -> list[str]:
    """Names of all methods, ``tunable`` first.

    Example:
        >>> list_methods()[:3]
        ['tunable', 'dni', 'adafm']
    """
    return list(get_args(MethodName))


def find_method(name: str) -> ControlMethod | None:
    """The rival method of that name; None for ``tunable``.

    Raises:
        ConversionError: there is none.

    Example:
        >>> type(find_method("cresmd")).__name__
        'CResMD'
    """
    if name == "tunable":
        return None
    if name not in _RIVALS:
        raise ConversionError(f"unknown method {name!r}{suggest_name(name, list_methods())}")
    return _RIVALS[name]()
