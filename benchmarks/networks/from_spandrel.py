"""The networks of spandrel: every class that its main registry can load, found in the registry itself."""

import functools
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from benchmarks.networks.subject import MissingLibraryError, Subject

SIDE_PX = 32


@dataclass(frozen=True)
class Small:
    """How a class is made and called, where its defaults are large or are missing.

    Attributes:
        arguments: of the constructor.
        shapes: of one sample of each input; one RGB picture by default.
        options: of the call.
    """

    arguments: Mapping[str, Any] = field(default_factory=dict)
    shapes: tuple[tuple[int, ...], ...] = ((3, SIDE_PX, SIDE_PX),)
    options: Mapping[str, Any] = field(default_factory=dict)


_WINDOWS = {"img_size": SIDE_PX, "window_size": 8, "depths": (2, 2), "num_heads": (2, 2)}
_GREY = ((1, SIDE_PX, SIDE_PX),)

SMALL: dict[str, Small] = {
    "SRVGGNetCompact": Small({"num_feat": 16, "num_conv": 3}),
    "Generator": Small({"num_channels": 16, "num_blocks": 2}),
    "HAT": Small(_WINDOWS | {"embed_dim": 24, "upscale": 2, "num_feat": 16, "squeeze_factor": 6}),
    "GRL": Small(
        {
            "img_size": SIDE_PX,
            "embed_dim": 24,
            "depths": [2, 2],
            "num_heads_window": [2, 2],
            "num_heads_stripe": [2, 2],
            "upscale": 2,
            "upsampler": "pixelshuffle",
        }
    ),
    "Swin2SR": Small(_WINDOWS | {"embed_dim": 24, "upsampler": "pixelshuffle"}),
    "SwinIR": Small(_WINDOWS | {"embed_dim": 24, "upscale": 2, "upsampler": "pixelshuffle"}),
    "GFPGANv1Clean": Small(
        {"out_size": 32, "num_style_feat": 64, "num_mlp": 2, "narrow": 0.125},
        options={"randomize_noise": False},
    ),
    "RestoreFormer": Small({"n_embed": 64, "embed_dim": 32, "ch": 32, "z_channels": 32, "ch_mult": (1, 2)}),
    "LaMa": Small({"in_nc": 4}, shapes=((3, SIDE_PX, SIDE_PX), (1, SIDE_PX, SIDE_PX))),
    "OmniSR": Small({"num_feat": 16}),
    "SCUNet": Small({"config": [1] * 7, "dim": 64, "input_resolution": 64}, ((3, 64, 64),)),
    "FBCNN": Small({"nb": 1, "nc": [8, 16, 16, 512]}),
    "Uformer": Small({"img_size": 128, "embed_dim": 8, "depths": [1] * 9}, ((3, 128, 128),)),
    "RGT": Small({"img_size": SIDE_PX, "embed_dim": 24, "depth": [2, 2], "num_heads": [2, 2]}),
    "DAT": Small(
        {"img_size": SIDE_PX, "embed_dim": 24, "depth": [2, 2], "num_heads": [2, 2], "split_size": [4, 8]}
    ),
    "CRAFT": Small({"embed_dim": 24, "depths": [2, 2], "num_heads": [4, 4]}),
    "KBNet_l": Small({"dim": 48, "num_blocks": [1, 1, 1, 1], "num_refinement_blocks": 1}),
    "KBNet_s": Small(
        {"width": 16, "middle_blk_num": 1, "enc_blk_nums": [1, 1, 1, 1], "dec_blk_nums": [1, 1, 1, 1]}
    ),
    "DITN_Real": Small({"dim": 24, "ITL_blocks": 1, "SAL_blocks": 1}),
    "MMRRDBNet_test": Small(
        {
            "num_in_ch": 3,
            "num_out_ch": 3,
            "num_feat": 16,
            "num_block": 2,
            "num_grow_ch": 8,
            "num_feats": [16, 16, 32, 32],
            "num_blocks": [1, 1, 1, 1],
        }
    ),
    "SPAN": Small({"num_in_ch": 3, "num_out_ch": 3, "feature_channels": 16}),
    "UpCunet2x": Small(shapes=((3, 40, 40),)),
    "UpCunet2x_fast": Small(shapes=((3, 40, 40),)),
    "UpCunet3x": Small(shapes=((3, 40, 40),)),
    "UpCunet4x": Small(shapes=((3, 40, 40),)),
    "SAFMN": Small({"dim": 16, "n_blocks": 2}),
    "SAFMN_BCIE": Small({"dim": 16, "n_blocks": 2, "num_layers": 2}),
    "DCTLSA": Small({"num_modules": 6, "nf": 20}),
    "FFTformer": Small({"dim": 16, "num_blocks": [1, 1, 1], "num_refinement_blocks": 1}),
    "NAFNet": Small({"enc_blk_nums": [1, 1], "dec_blk_nums": [1, 1]}),
    "ATD": Small(
        _WINDOWS
        | {"embed_dim": 24, "category_size": 64, "num_tokens": 16, "upscale": 2}
        | {"upsampler": "pixelshuffle"}
    ),
    "MixDehazeNet": Small(shapes=((3, 40, 40),)),
    "DRUNet": Small({"nc": [8, 16, 16, 32], "nb": 1}, _GREY),
    "DnCNN": Small({"nc": 16, "nb": 4, "act_mode": "R"}, _GREY),
    "IPT": Small({"patch_size": 24, "n_feats": 8, "num_heads": 2, "num_layers": 1}, ((3, 24, 24),)),
    "DRCT": Small(_WINDOWS | {"embed_dim": 24, "upscale": 2, "upsampler": "pixelshuffle", "gc": 8}),
    "RRDBNet": Small({"num_filters": 16, "num_blocks": 2}),
    "PLKSR": Small({"dim": 16, "n_blocks": 2}),
    "RealPLKSR": Small({"dim": 16, "n_blocks": 2, "dysample": True}),
    "RetinexFormer": Small({"n_feat": 16, "stage": 1}),
    "CIDNet": Small({"channels": [8, 8, 16, 32]}),
    "SeemoRe": Small({"num_layers": 2, "embedding_dim": 16, "num_experts": 3}),
    "MoSR": Small({"n_block": 2, "dim": 16}),
    "MoESR": Small({"dim": 16, "n_blocks": 2, "n_block": 1, "upsample_dim": 16}),
    "RCAN": Small({"n_resgroups": 2, "n_resblocks": 2, "n_feats": 16}),
    "FDAT": Small({"embed_dim": 24, "num_groups": 2, "mid_dim": 16}),
    "UnetUpsampler": Small(
        {
            "dim": 8,
            "image_size": None,
            "input_image_size": None,
            "style_network": {"dim_in": 16, "dim_out": 32, "depth": 2},
            "attn_depths": (1, 1, 1, 1, 1),
            "mid_attn_depth": 1,
            "self_attn_dim_head": 8,
            "skip_connect_scale": 0.4,
        }
    ),
}
"""By the name of the class; one that is not here is made by its defaults and called with an RGB picture."""


def find_subjects() -> list[Subject]:
    """All networks of the main registry.

    Raises:
        MissingLibraryError: spandrel is not installed.
    """
    try:
        import spandrel
    except ImportError as error:
        raise MissingLibraryError("spandrel is missing: pip install 'tunable-zoo[networks]'") from error
    subjects: dict[str, Subject] = {}
    for support in spandrel.MAIN_REGISTRY:
        module = importlib.import_module(type(support.architecture).__module__)
        for kind in vars(module).values():
            if isinstance(kind, type) and issubclass(kind, nn.Module):
                small = SMALL.get(kind.__name__, Small())
                own = support.architecture.id
                name = own if kind.__name__ == own else f"{own} {kind.__name__}"
                make = functools.partial(kind, **small.arguments)
                subjects[name] = Subject("spandrel", name, make, small.shapes, small.options)
    return list(subjects.values())
