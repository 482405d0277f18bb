"""The networks of torchvision: one of a family, of every kind that takes tensors, with random weights."""

import functools
from collections.abc import Mapping
from typing import Any

from benchmarks.networks.subject import MissingLibraryError, Subject

_PICTURE = ((3, 64, 64),)
_CLIP = ((3, 8, 32, 32),)
_NO_BACKBONE = {"weights_backbone": None}

NETWORKS: dict[str, tuple[tuple[tuple[int, ...], ...], Mapping[str, Any]]] = {
    "alexnet": (_PICTURE, {}),
    "convnext_tiny": (_PICTURE, {}),
    "densenet121": (_PICTURE, {}),
    "efficientnet_b0": (_PICTURE, {}),
    "googlenet": (_PICTURE, {"init_weights": False}),
    "inception_v3": (((3, 96, 96),), {"init_weights": False}),
    "maxvit_t": (((3, 224, 224),), {}),
    "mnasnet0_5": (_PICTURE, {}),
    "mobilenet_v2": (_PICTURE, {}),
    "mobilenet_v3_small": (_PICTURE, {}),
    "regnet_y_400mf": (_PICTURE, {}),
    "resnet18": (_PICTURE, {}),
    "resnext50_32x4d": (_PICTURE, {}),
    "shufflenet_v2_x0_5": (_PICTURE, {}),
    "squeezenet1_1": (_PICTURE, {}),
    "swin_t": (_PICTURE, {}),
    "swin_v2_t": (_PICTURE, {}),
    "vgg11_bn": (_PICTURE, {}),
    "vit_b_16": (_PICTURE, {"image_size": 64}),
    "deeplabv3_mobilenet_v3_large": (_PICTURE, _NO_BACKBONE),
    "fcn_resnet50": (_PICTURE, _NO_BACKBONE),
    "lraspp_mobilenet_v3_large": (_PICTURE, _NO_BACKBONE),
    "raft_small": (((3, 128, 128), (3, 128, 128)), {}),
    "r2plus1d_18": (_CLIP, {}),
    "swin3d_t": (_CLIP, {}),
}
"""Shapes of one sample of each input, and arguments of the constructor, by name."""

DETECTORS: dict[str, Mapping[str, Any]] = {
    "fasterrcnn_mobilenet_v3_large_320_fpn": _NO_BACKBONE | {"box_score_thresh": 0.0},
    "ssdlite320_mobilenet_v3_large": _NO_BACKBONE,
}
"""Arguments of the constructor of networks that take a list of pictures."""


def find_subjects() -> list[Subject]:
    """One network of each family.

    Raises:
        MissingLibraryError: torchvision is not installed.
    """
    try:
        from torchvision.models import get_model
    except ImportError as error:
        raise MissingLibraryError("torchvision is missing: pip install 'tunable-zoo[networks]'") from error
    networks = NETWORKS | {name: (_PICTURE, arguments) for name, arguments in DETECTORS.items()}
    return [
        Subject(
            "torchvision",
            name,
            functools.partial(get_model, name, weights=None, **arguments),
            shapes,
            listed=name in DETECTORS,
        )
        for name, (shapes, arguments) in networks.items()
    ]
