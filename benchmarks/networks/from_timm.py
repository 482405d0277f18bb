"""The networks of timm: one small variant of a family, with random weights."""

import functools
from typing import Any

from benchmarks.networks.subject import MissingLibraryError, Subject

FREE = 64
"""Side in pixels for networks that take any size."""

SIDES_PX: dict[str, int] = {
    "bat_resnext26ts": 256,
    "cait_xxs24_224": 224,
    "coat_lite_tiny": 224,
    "convit_tiny": 224,
    "convmixer_768_32": FREE,
    "convnext_atto": FREE,
    "convnextv2_atto": FREE,
    "crossvit_tiny_240": 240,
    "csatv2": FREE,
    "davit_tiny": FREE,
    "deit_tiny_distilled_patch16_224": 224,
    "densenet121": FREE,
    "dla34": FREE,
    "dpn48b": FREE,
    "eca_botnext26ts_256": 256,
    "edgenext_xx_small": FREE,
    "efficientformer_l1": 224,
    "efficientformerv2_s0": 224,
    "efficientnet_b0": FREE,
    "efficientvim_m1": FREE,
    "efficientvit_b0": FREE,
    "efficientvit_m0": 224,
    "ese_vovnet19b_dw": FREE,
    "eva02_tiny_patch14_224": 224,
    "fasternet_t0": FREE,
    "fastvit_t8": FREE,
    "focalnet_tiny_srf": FREE,
    "gcvit_xxtiny": 224,
    "ghostnet_050": FREE,
    "halonet26t": 256,
    "hardcorenas_a": FREE,
    "hgnetv2_b0": FREE,
    "hiera_tiny_224": 224,
    "hrnet_w18_small": FREE,
    "iformer_t": FREE,
    "inception_next_atto": FREE,
    "lambda_resnet26t": 256,
    "levit_128s": 224,
    "lowformer_b0": FREE,
    "mambaout_femto": FREE,
    "maxvit_pico_rw_256": 256,
    "mixer_s32_224": 224,
    "mobilenetv3_small_050": FREE,
    "mobilevit_xxs": FREE,
    "mvitv2_tiny": 224,
    "nest_tiny": 224,
    "nf_regnet_b0": FREE,
    "pit_ti_224": 224,
    "poolformer_s12": FREE,
    "pvt_v2_b0": FREE,
    "regnetx_002": FREE,
    "repvit_m0_9": FREE,
    "res2net50_26w_4s": FREE,
    "resnest14d": FREE,
    "resnet18": FREE,
    "resnetv2_50": FREE,
    "rexnet_100": FREE,
    "sequencer2d_s": 224,
    "shvit_s1": FREE,
    "skresnet18": FREE,
    "starnet_s1": FREE,
    "swiftformer_xs": FREE,
    "swin_tiny_patch4_window7_224": 224,
    "swinv2_tiny_window8_256": 256,
    "tiny_vit_5m_224": 224,
    "tnt_s_legacy_patch16_224": 224,
    "twins_svt_small": 224,
    "visformer_tiny": 224,
    "vit_relpos_small_patch16_224": 224,
    "vit_tiny_patch16_224": 224,
    "vit_tiny_r_s16_p8_224": 224,
    "volo_d1_224": 224,
    "xcit_nano_12_p16_224": 224,
}
"""Variants, and the sides of the square pictures they are called with."""


SHRUNK: dict[str, tuple[int, dict[str, Any]]] = {
    "beit_base_patch16_224": (224, {"depth": 2, "embed_dim": 192, "num_heads": 3}),
    "naflexvit_base_patch16_gap": (64, {"depth": 2, "embed_dim": 192, "num_heads": 3}),
}
"""Families without a small variant, with arguments that make one."""


def find_subjects() -> list[Subject]:
    """One network of each family.

    Raises:
        MissingLibraryError: timm is not installed.
    """
    try:
        import timm
    except ImportError as error:
        raise MissingLibraryError("timm is missing: pip install 'tunable-zoo[networks]'") from error
    variants = SHRUNK | {name: (side, {}) for name, side in SIDES_PX.items()}
    return [
        Subject("timm", name, functools.partial(timm.create_model, name, **arguments), ((3, side, side),))
        for name, (side, arguments) in variants.items()
    ]
