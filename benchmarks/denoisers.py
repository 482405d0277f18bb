r"""Denoisers of the zoo beside FFDNet: PSNR and SSIM on whole pictures, and seconds for a megapixel.

    python -m benchmarks.denoisers ENTRY [ENTRY ...] --ffdnet ffdnet-color.safetensors \
        --photos cbsd68=FOLDER --photos kodak24=FOLDER

An entry is a name, a reference or a folder, of task ``noise-level``. Protocol: Gaussian noise of
sigma/255, drawn anew for each picture with numpy's seed 0 and not clipped; outputs clipped and not rounded;
means over pictures, RGB. FFDNet (https://arxiv.org/abs/1710.04026) is given the true sigma as the entries
are. Speed is the median over turns, one after the other, on one picture of the last set, by the same runtime.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional

import zoo
from benchmarks.cost.machine import machine, versions
from benchmarks.kept import keep
from pipelines.data.sources import decode_photo, list_photos
from tunable_models import psnr, ssim

SCHEMA = 1
SIGMAS = (15.0, 25.0, 50.0)
OUT = Path(__file__).parents[1] / "benchmarks" / "results" / "models"

Denoiser = Callable[[Tensor, float], Tensor]
"""A noisy picture (1, 3, H, W), white is 1, and its sigma in 1/255, to the clean one in [0, 1]."""


class FFDNet(nn.Module):
    """FFDNet for colour: twelve convolutions at half size, with a plane of the noise level.

    Args:
        tensors: ``c.K.weight`` and ``c.K.bias`` of each convolution.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        shapes = [tensors[f"c.{index}.weight"].shape for index in range(len(tensors) // 2)]
        self.c = nn.ModuleList(nn.Conv2d(shape[1], shape[0], 3, padding=1) for shape in shapes)
        self.load_state_dict(dict(tensors))

    def forward(self, noisy: Tensor, sigma: float) -> Tensor:
        """Restore (B, 3, H, W); sigma in 1/255."""
        return join_halves(self.convolve(split_halves(noisy, sigma)), noisy)

    def convolve(self, features: Tensor) -> Tensor:
        """The convolutions alone, (B, 13, h, w) to (B, 12, h, w)."""
        for index, convolution in enumerate(self.c):
            features = convolution(features if index == 0 else features.relu())
        return features


class Body(nn.Module):
    """The convolutions of FFDNet: what its exported graph computes."""

    def __init__(self, network: FFDNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor) -> Tensor:
        """(B, 13, h, w) to (B, 12, h, w)."""
        return self.network.convolve(features)


def split_halves(noisy: Tensor, sigma: float) -> Tensor:
    """Four pictures of half the size and a plane of the noise level, (B, 13, h, w)."""
    height, width = noisy.shape[-2:]
    even = functional.pad(noisy, (0, width % 2, 0, height % 2), mode="replicate")
    halves = functional.pixel_unshuffle(even, 2)
    return functional.pad(halves, (0, 0, 0, 0, 0, 1), value=sigma / 255)


def join_halves(features: Tensor, like: Tensor) -> Tensor:
    """A picture as large as another one of four of half the size."""
    height, width = like.shape[-2:]
    return functional.pixel_shuffle(features, 2)[..., :height, :width]


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    photos = {name: read_photos(folder, options.count) for name, folder in options.photos}
    entries = {ref: zoo.load(ref) for ref in options.entries}
    for ref, entry in entries.items():
        if entry.manifest.task != "noise-level":
            raise SystemExit(f"{ref}: expected an entry of task noise-level, got {entry.manifest.task}")
    own: dict[str, Denoiser] = {f"{e.name}@{e.version[:8]}": by_entry(e) for e in entries.values()}
    network = FFDNet(safetensors.torch.load_file(options.ffdnet)).eval()
    rival = by_ffdnet(network)
    sizes = {f"{e.name}@{e.version[:8]}": _parameters(e.network) for e in entries.values()}
    report = {
        "schema": SCHEMA,
        "machine": machine(torch.device("cpu")),
        "versions": versions(torch.device("cpu")),
        "settings": {"threads": options.threads, "turns": options.turns},
        "parameters": sizes | {"FFDNet": _parameters(network)},
        "scores": {
            name: {of: score(denoiser, pictures) for of, pictures in photos.items()}
            for name, denoiser in (own | {"FFDNet": rival}).items()
        },
        "seconds_per_megapixel": time_turns(
            own | {"FFDNet, torch": rival, "FFDNet, onnxruntime": by_session(network)},
            next(reversed(photos.values()))[0],
            options.turns,
        ),
    }
    keep(report, options.out, options.name, write_page(report))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.denoisers")
    parser.add_argument("entries", nargs="+", metavar="ENTRY", help="name, reference or folder of an entry")
    parser.add_argument("--ffdnet", type=Path, required=True, help="FFDNet's weights as safetensors")
    parser.add_argument(
        "--photos",
        type=parse_named_folder,
        action="append",
        required=True,
        metavar="NAME=FOLDER",
        help="a test set",
    )
    parser.add_argument("--count", type=int, help="of pictures of each set; all by default")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=9, help="of each denoiser when speed is measured")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--name", default="denoisers", help="of the report's files")
    return parser


def parse_named_folder(text: str) -> tuple[str, Path]:
    """The option ``NAME=FOLDER`` of a test set."""
    name, _, folder = text.partition("=")
    if not folder:
        raise argparse.ArgumentTypeError(f"expected NAME=FOLDER, got {text!r}")
    return name, Path(folder)


def read_photos(folder: Path, count: int | None = None) -> list[Tensor]:
    """The pictures of a folder in the order of their names, (1, 3, H, W) each."""
    files = list_photos(str(folder.resolve()), Path()).files[:count]
    return [_to_tensor(decode_photo(file.fetch())) for file in files]


def _to_tensor(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255


def _parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def by_entry(model: zoo.Predictor) -> Denoiser:
    """An entry with its slider at the true noise."""
    [control] = model.controls
    return lambda noisy, sigma: model(noisy, {control.name: sigma})


def by_ffdnet(network: FFDNet) -> Denoiser:
    """FFDNet in torch."""

    @torch.inference_mode()
    def denoise(noisy: Tensor, sigma: float) -> Tensor:
        restored: Tensor = network(noisy, sigma)
        return restored.clamp(0, 1)

    return denoise


def by_session(network: FFDNet) -> Denoiser:
    """FFDNet in onnxruntime."""
    import onnxruntime

    from tunable_models.export import to_onnx

    model = to_onnx(Body(network), channels=len(split_halves(torch.zeros(1, 3, 2, 2), 0.0)[0])).model_proto
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )

    def denoise(noisy: Tensor, sigma: float) -> Tensor:
        [features] = session.run(None, {"image": split_halves(noisy, sigma).numpy()})
        return join_halves(torch.from_numpy(features), noisy).clamp(0, 1)

    return denoise


def add_noise(clean: Tensor, sigma: float) -> Tensor:
    """The protocol's noise: numpy's seed 0 for each picture, not clipped."""
    height, width = clean.shape[-2:]
    noise = np.random.RandomState(0).randn(height, width, 3) * sigma / 255
    return clean + torch.from_numpy(noise).permute(2, 0, 1)[None].float()


def score(denoiser: Denoiser, photos: Sequence[Tensor]) -> list[dict[str, float]]:
    """Means over the pictures, for each sigma."""
    scores = []
    for sigma in SIGMAS:
        outputs = [denoiser(add_noise(clean, sigma), sigma) for clean in photos]
        pairs = list(zip(outputs, photos, strict=True))
        scores.append(
            {
                "sigma": sigma,
                "psnr": statistics.mean(psnr(output, clean).item() for output, clean in pairs),
                "ssim": statistics.mean(ssim(output, clean).item() for output, clean in pairs),
            }
        )
    return scores


def time_turns(denoisers: Mapping[str, Denoiser], clean: Tensor, turns: int) -> dict[str, float]:
    """Median seconds for a megapixel; all take turns, after one that does not count."""
    noisy = add_noise(clean, SIGMAS[1])
    megapixels = noisy.shape[-2] * noisy.shape[-1] / 1e6
    seconds: dict[str, list[float]] = {name: [] for name in denoisers}
    for turn in range(turns + 1):
        for name, denoiser in denoisers.items():
            began = time.perf_counter()
            denoiser(noisy, SIGMAS[1])
            if turn:
                seconds[name].append((time.perf_counter() - began) / megapixels)
    return {name: statistics.median(own) for name, own in seconds.items()}


def write_page(report: Mapping[str, Any]) -> str:
    """The report as a page."""
    lines = ["# Denoisers", ""]
    for title in ("machine", "versions", "settings"):
        named = ", ".join(f"{key} {value}" for key, value in report[title].items() if value is not None)
        lines += [f"{title}: {named}", ""]
    sets = list(next(iter(report["scores"].values())))
    levels = "/".join(f"{sigma:g}" for sigma in SIGMAS)
    lines.append("| | parameters | " + " | ".join(f"{of}, PSNR {levels} | SSIM" for of in sets) + " |")
    lines.append("|---" * (2 + 2 * len(sets)) + "|")
    for name, scores in report["scores"].items():
        cells = [name, f"{report['parameters'][name] / 1e6:.2f} M"]
        for of in sets:
            cells += ["/".join(f"{at['psnr']:.2f}" for at in scores[of])]
            cells += ["/".join(f"{at['ssim']:.3f}" for at in scores[of])]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "| | seconds for a megapixel |", "|---|---|"]
    lines += [f"| {name} | {seconds:.3f} |" for name, seconds in report["seconds_per_megapixel"].items()]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
