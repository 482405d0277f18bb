"""Run a published network on pictures: files, PIL images, arrays and tensors."""

import logging
import math
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, Literal, TypeGuard, overload

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from tunable_models import Control, ControlSpace, OmegaError, TunableNetwork
from tunable_models.controls import SUM_TOLERANCE
from zoo.catalog import resolve
from zoo.engine.choice import EngineName, Precision, make_engine
from zoo.errors import ImageError, ImageTooLargeError
from zoo.manifest import WEIGHTS, ImageInput, Manifest
from zoo.pictures.images import DEFAULT_MAX_PIXELS, read_picture, upright
from zoo.pictures.picture import Picture
from zoo.pictures.planes import Planes, check_range
from zoo.pixels import PicturePixels, Pixels, TensorPixels, restore_tiles
from zoo.storage import Store
from zoo.tiling import Area, Network, OnTile, plan_tiles, surround, take_whole
from zoo.weights import rebuild_network

Array = NDArray[Any]
Settings = Mapping[str, float] | None
EachSettings = Sequence[Mapping[str, float]]
"""Settings of each picture of a batch."""

Restorable = Tensor | Array | Picture | Image.Image | str | Path

WHOLE_PX = 1024 * 1024
"""Pixels up to which an image goes through the network in one piece, where tiles are exact too."""

ALPHA_RADIUS_PX = 2
"""How far bicubic enlargement of transparency looks."""

UNTILED_MAX_PIXELS = 4 * 1024 * 1024
"""The largest image for a network that sees all of it at once: its features at full size must fit into
memory together, some kilobytes a pixel."""

TILE_PX = 512

Region = tuple[int, int, int, int]
"""Left, top, width and height of a part of a picture, in pixels of the picture as it is read, upright."""

_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_log = logging.getLogger(__name__)


def load(
    ref: str | Path,
    stores: Iterable[Store] | None = None,
    device: str | torch.device = "cpu",
    engine: EngineName = "auto",
    precision: Precision = "float32",
) -> "Predictor":
    """The predictor of an entry, every file of it verified by SHA-256; what is not at hand is pulled.

    Args:
        ref: ``name``, ``name@version``, ``name@alias``, one of these behind the URL of a zoo, or the path of
            an entry's folder.
        stores: where to look; by default the bundled entries, the user's, and the sources that were added.
        device: where to compute.
        engine: what computes. ``onnx`` is ONNX Runtime, on the CPU alone: several times as fast there, and
            within 1e-5 of torch. Its graph is made when an entry is first loaded, which takes seconds, and
            kept in ``$TUNABLE_ZOO_CACHE`` or the user's cache folder; the weights are always the entry's.
            ``torch`` runs everything, everywhere, in channels_last. ``auto`` is onnx on the CPU where it is
            installed and the network can be exported, otherwise torch, and logs why; or what
            ``$TUNABLE_ZOO_ENGINE`` says.
        precision: of the network's products: ``float32``, or ``bfloat16`` or ``float16`` on torch, which is
            then what ``auto`` means; faster on devices made for it, and right to about 8 bits.

    Raises:
        EntryNotFoundError: no such entry.
        ManifestError: its manifest cannot be used by this version.
        IntegrityError: its files are not what was published.
        EngineError: the engine or the precision named cannot be had here.
        FetchError: it is elsewhere and cannot be fetched.

    Example:
        >>> model = load("tiny", stores=[store])
        >>> [(control.name, control.low, control.high) for control in model.controls]
        [('denoise', 0.0, 1.0)]
    """
    entry = resolve(ref, stores)
    network = rebuild_network(entry.manifest, entry.contents()[WEIGHTS])
    model = Predictor(network, entry.manifest, device=device, engine=engine, precision=precision)
    _log.info("%s@%s runs on %s, device %s", model.name, model.version, model.engine, model.device)
    return model


class Predictor:
    """A network with sliders for pictures of any size and kind; threads may share it.

    It can be copied and pickled, for workers of a DataLoader or of Ray: a copy computes with its own network.
    :class:`zoo.Mapper` loads it there, and restores batches and folders of pictures.

    Attributes:
        network: the tunable network, frozen; not to be changed.
        manifest: of its entry.
        device: where it computes.
        engine: what computes, ``onnx`` or ``torch``; :func:`load` says more.
        precision: what it computes in.
        whole_px: larger images are computed in tiles, if the network's radius is known.
        tile_px: side of a tile, at least.
        max_pixels: files with more are refused before they are decoded; so are larger pictures of any
            kind where the network sees all of one at once.

    Example:
        >>> import numpy as np
        >>> model = load("tiny", stores=[store])
        >>> picture = np.full((32, 48, 3), 128, dtype=np.uint8)
        >>> restored = model(picture, denoise=0.8)
        >>> restored.shape, restored.dtype
        ((32, 48, 3), dtype('uint8'))
        >>> batch = torch.rand(2, 3, 32, 48)
        >>> model(batch, {"denoise": 0.8}).shape
        torch.Size([2, 3, 32, 48])
        >>> model(batch, [{"denoise": 0.8}, {"denoise": 0.2}]).shape
        torch.Size([2, 3, 32, 48])
        >>> for picture in map(model, [picture, picture], [{"denoise": 0.8}, {"denoise": 0.2}]):
        ...     print(picture.shape)
        (32, 48, 3)
        (32, 48, 3)
    """

    def __init__(
        self,
        network: TunableNetwork,
        manifest: Manifest,
        *,
        device: str | torch.device = "cpu",
        engine: EngineName = "torch",
        precision: Precision = "float32",
        whole_px: int = WHOLE_PX,
        tile_px: int = TILE_PX,
        max_pixels: int | None = None,
    ) -> None:
        self.network = network.requires_grad_(False).eval()
        self.manifest = manifest
        self.device = torch.device(device)
        self.precision: Precision = precision
        self._engine = make_engine(engine, self.network, manifest, self.device, precision)
        self.whole_px = whole_px
        self.tile_px = tile_px
        self.max_pixels = default_max_pixels(manifest.input) if max_pixels is None else max_pixels

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.manifest.name

    @property
    def version(self) -> str:
        """Version of its entry."""
        return self.manifest.version

    @property
    def engine(self) -> Literal["onnx", "torch"]:
        """What computes."""
        return self._engine.name

    @property
    def space(self) -> ControlSpace:
        """The controls and how they go together."""
        return self.network.space

    @property
    def controls(self) -> tuple[Control, ...]:
        """The sliders."""
        return self.space.controls

    @overload
    def __call__(
        self, image: Tensor, /, values: Settings | EachSettings = ..., **controls: float
    ) -> Tensor: ...
    @overload
    def __call__(self, image: Array, /, values: Settings = ..., **controls: float) -> Array: ...
    @overload
    def __call__(self, image: Picture, /, values: Settings = ..., **controls: float) -> Picture: ...
    @overload
    def __call__(
        self, image: Image.Image | str | Path, /, values: Settings = ..., **controls: float
    ) -> Image.Image: ...

    def __call__(
        self,
        image: Restorable,
        /,
        values: Settings | EachSettings = None,
        **controls: float,
    ) -> Tensor | Array | Picture | Image.Image:
        """Restore a picture; the same kind comes out, a path gives a PIL image.

        A PIL image has 8 bits a channel unless it is grey; what :func:`zoo.read_picture` reads keeps the
        depth of any file.

        Args:
            image: a path; a :class:`zoo.Picture`; a PIL image; an array (H, W), (H, W, 3) or (H, W, 4),
                uint8, uint16 or floating point in [0, 1]; a floating point tensor (3, H, W) or
                (B, 3, H, W) in [0, 1]. Grey stays grey, alpha stays as it is:
                :mod:`zoo.pictures.planes` has the rules. A path, and what ``Image.open`` gave, are turned
                upright as their EXIF says; any other PIL image, such as what ``rotate``, ``convert`` or
                ``ImageOps.exif_transpose`` made of that, is taken as it is.
            values: settings by name in the controls' native units; unset ones take their defaults. With a
                tensor (B, 3, H, W) also a sequence of B such mappings, one for each picture.
            **controls: the same as keywords, for every picture.

        Returns:
            The picture, its sides times the network's scale, clamped to [0, 1] and rounded where it
            is of integers; a tensor on the input's device and of its dtype.

        Raises:
            OmegaError: a setting is unknown, not a number, or out of range; or settings of each picture are
                not as many as the pictures.
            ImageTooLargeError: a file, or a picture that cannot be computed in tiles, has more than
                ``max_pixels``.
            ImageError: the picture is none of the above, cannot be read, or makes the network overflow.
            EngineError: ONNX Runtime failed, for lack of memory for instance.
        """
        if isinstance(image, Tensor) and image.dim() == 4 and _is_sequence(values):
            return self._batch(image, values, controls)
        view = self._view(values, **controls)
        if isinstance(image, Tensor):
            return self._tensor(image, view)
        if isinstance(image, np.ndarray):
            return self._array(image, view)
        restored = self._picture(self._read(image), view)
        return restored if isinstance(image, Picture) else restored.image()

    def restore(
        self,
        picture: Picture | Image.Image | str | Path,
        values: Settings = None,
        *,
        region: Region | None = None,
        on_tile: OnTile | None = None,
    ) -> Picture:
        """Restore a picture or a part of it, at the depth of its file, with progress reports.

        Args:
            picture: a :class:`zoo.Picture`, a PIL image or a path, read as for a call.
            values: the same.
            region: left, top, width and height of the part that is wanted, in pixels of the upright
                picture. What comes out is that part of the whole result, exactly, at the cost of the part,
                but for networks that see all of a picture at once.
            on_tile: called with the tiles done and their number behind each; an image that is computed in
                one piece is one tile. What it raises ends the work.

        Raises:
            OmegaError, ImageError, EngineError: as for a call; ImageError also for a region that is not
                within the picture.

        Example:
            >>> import numpy as np
            >>> model = load("tiny", stores=[store])
            >>> photo = Picture(np.zeros((32, 48, 3), np.uint16))
            >>> model.restore(photo, on_tile=print).size
            1 1
            (48, 32)
            >>> model.restore(photo, region=(8, 4, 20, 10)).size
            (20, 10)
        """
        return self._picture(self._read(picture), self._view(values), on_tile, region)

    def sweep(
        self, image: Restorable, control: str, positions: int | Sequence[float] = 5, values: Settings = None
    ) -> Iterator[tuple[float, Any]]:
        """Restore a picture along a slider.

        Args:
            image: as for a call; a file is read once.
            control: name of the slider.
            positions: its values in native units, or how many, evenly from its lowest to its highest.
            values: settings of the others.

        Yields:
            The value and the picture, which is of the kind that a call gives.

        Raises:
            OmegaError, ImageError, EngineError: as for a call.

        Example:
            >>> photo = np.zeros((8, 8, 3), np.uint8)
            >>> [value for value, _ in load("tiny", stores=[store]).sweep(photo, "denoise", 3)]
            [0.0, 0.5, 1.0]
        """
        for settings, restored in self.grid(image, {control: positions}, values):
            yield settings[control], restored

    def grid(
        self, image: Restorable, positions: Mapping[str, int | Sequence[float]], values: Settings = None
    ) -> Iterator[tuple[dict[str, float], Any]]:
        """Restore a picture at every combination of positions of some sliders, the last one fastest.

        Args:
            image: as for a call; a file is read once.
            positions: of each slider as for :meth:`sweep`. Where sliders share a sum of 1, combinations
                that have another one are left out.
            values: settings of the other sliders.

        Yields:
            The values of the sliders named, and the picture, which is of the kind that a call gives.

        Raises:
            OmegaError, ImageError, EngineError: as for a call.
        """
        axes = [self._place(name, wanted) for name, wanted in positions.items()]
        source = self._read(image) if isinstance(image, str | Path | Image.Image) else image
        for point in product(*axes):
            settings = dict(zip(positions, point, strict=True))
            every = {**(values or {}), **settings}
            if not self._fits(every):
                continue
            made = self(source, every)
            as_image = isinstance(made, Picture) and source is not image
            yield settings, made.image() if as_image else made  # type: ignore[union-attr]

    def _fits(self, values: Mapping[str, float]) -> bool:
        """Whether values can be set together: on a simplex their sum has a limit."""
        if self.space.kind != "simplex":
            return True
        unit = [control.to_unit(values[control.name]) for control in self.controls if control.name in values]
        missing = 1 - sum(unit)
        return abs(missing) < SUM_TOLERANCE or (missing > 0 and len(unit) < len(self.controls))

    def _place(self, name: str, positions: int | Sequence[float]) -> list[float]:
        """Positions of a slider in native units."""
        if isinstance(positions, Sequence):
            return [float(value) for value in positions]
        try:
            count = operator.index(positions)
        except TypeError:
            raise OmegaError(
                f"expected a number of positions of {name} or a list of values, got {positions!r}"
            ) from None
        if count < 2:
            raise OmegaError(f"expected at least 2 positions of {name}, got {count}; or say [value]")
        ranges = {control.name: (control.low, control.high) for control in self.controls}
        # An unknown name is refused with the first picture.
        return [float(value) for value in np.linspace(*ranges.get(name, (0.0, 1.0)), count)]

    def _view(self, values: Settings | EachSettings, **controls: float) -> Network:
        return self._engine.at(self._omega(values, controls))

    def _omega(self, values: Any, controls: Mapping[str, float]) -> tuple[float, ...]:
        return tuple(self.space.omega(values, **controls).tolist())

    def _read(self, image: object) -> Picture:
        if isinstance(image, Picture):
            return image
        if isinstance(image, Image.Image):
            return Picture.of(upright(image))
        if isinstance(image, str | Path):
            return read_picture(image, max_pixels=self.max_pixels)
        raise ImageError(
            f"expected a path, Picture or PIL image, got {type(image).__name__}; a call of the predictor "
            "takes arrays and tensors too, and read_picture a file's bytes"
        )

    def _picture(
        self, picture: Picture, view: Network, on_tile: OnTile | None = None, region: Region | None = None
    ) -> Picture:
        return replace(picture, pixels=self._array(picture.pixels, view, on_tile, region))

    def _array(
        self, array: Array, view: Network, on_tile: OnTile | None = None, region: Region | None = None
    ) -> Array:
        planes = Planes.of(array)
        self._check_size(*array.shape[:2])
        own: Area | None = None
        if region is not None:
            (rows, columns), own = self._surround(region, *array.shape[:2])
            planes = planes.cut(rows, columns)
        pixels = PicturePixels(planes, self.manifest.input.scale)
        self._run(pixels, planes.like.shape[:2], view, on_tile)
        return pixels.result if own is None else pixels.result[own].copy()

    def _surround(self, region: Region, height: int, width: int) -> tuple[Area, Area]:
        """What the network has to see for a region, in the picture; and the region in its output."""
        check_region(region, width, height)
        contract = self.manifest.input
        left, top, wide, high = region
        # What sees the whole picture at once is given all of it.
        radius_px = max(height, width) if contract.radius_px is None else contract.radius_px
        radius_px, grid = max(radius_px, ALPHA_RADIUS_PX), math.lcm(contract.multiple, contract.alignment)
        rows, own_rows = surround(top, top + high, height, radius_px=radius_px, grid=grid)
        columns, own_columns = surround(left, left + wide, width, radius_px=radius_px, grid=grid)
        scaled = (
            slice(contract.scale * own.start, contract.scale * own.stop) for own in (own_rows, own_columns)
        )
        return (rows, columns), (next(scaled), next(scaled))

    def _batch(self, batch: Tensor, values: EachSettings, controls: Mapping[str, float]) -> Tensor:
        """Restore a batch at the settings of each picture; those of equal settings go together."""
        self._check_tensor(batch)
        if len(values) != len(batch):
            raise OmegaError(
                f"expected settings of {len(batch)} pictures, got {len(values)}; give one mapping for all of "
                "the batch, or one for each picture"
            )
        rows: dict[tuple[float, ...], list[int]] = {}
        for row, own in enumerate(values):
            try:
                rows.setdefault(self._omega(own, controls), []).append(row)
            except OmegaError as error:
                raise OmegaError(f"picture {row} of the batch: {error}") from error
        scale = self.manifest.input.scale
        height, width = batch.shape[-2:]
        result = batch.new_empty(*batch.shape[:2], scale * height, scale * width)
        for omega, own_rows in rows.items():
            result[own_rows] = self._tensor(batch[own_rows], self._engine.at(omega))
        return result

    def _tensor(self, tensor: Tensor, view: Network) -> Tensor:
        self._check_tensor(tensor)
        pixels = TensorPixels(tensor if tensor.dim() == 4 else tensor.unsqueeze(0), self.manifest.input.scale)
        self._run(pixels, tensor.shape[-2:], view)
        return pixels.result if tensor.dim() == 4 else pixels.result.squeeze(0)

    def _check_tensor(self, tensor: Tensor) -> None:
        if tensor.dtype not in _FLOATS or tensor.dim() not in (3, 4) or tensor.shape[-3] != 3:
            raise ImageError(
                "expected a floating point tensor (3, H, W) or (B, 3, H, W) in [0, 1], "
                f"got {tensor.dtype} {tuple(tensor.shape)}; divide 0..255 by 255, permute channels to the "
                "front, and give grey or alpha as an array"
            )
        if tensor.numel() == 0:
            raise ImageError(f"expected at least one pixel, got shape {tuple(tensor.shape)}")
        check_range(*(bound.item() for bound in tensor.detach().aminmax()))
        self._check_size(*tensor.shape[-2:])

    @torch.no_grad()
    def _run(
        self, pixels: Pixels, sides: Sequence[int], view: Network, on_tile: OnTile | None = None
    ) -> None:
        contract = self.manifest.input
        height, width = sides
        if contract.radius_px is None or height * width <= self.whole_px:
            tiles = [take_whole(height, width, contract.multiple)]
        else:
            tiles = plan_tiles(
                height,
                width,
                tile_px=max(self.tile_px, 2 * contract.radius_px),  # halo at most as large as the tile
                radius_px=contract.radius_px,
                multiple=contract.multiple,
                alignment=contract.alignment,
            )

        def restore(batch: Tensor) -> Tensor:
            output = view(batch.to(self.device))
            if not output.isfinite().all():
                raise ImageError(
                    f"{self.name}@{self.version} gave values that are not finite for this picture"
                )
            return output.clamp(0, 1)

        try:
            restore_tiles(restore, pixels, tiles, contract.scale, on_tile)
        finally:
            if len(tiles) > 1:
                self._engine.release_memory()

    def _check_size(self, height: int, width: int) -> None:
        if self.manifest.input.radius_px is None and height * width > self.max_pixels:
            raise ImageTooLargeError(
                f"{self.name} sees the whole picture at once: expected at most {self.max_pixels:,} pixels, "
                f"got {width} x {height} = {width * height:,}; make the picture smaller or raise max_pixels"
            )


def check_region(region: Region, width: int, height: int) -> None:
    """Check that a region is a part of a picture.

    Raises:
        ImageError: it is empty, or not within the picture.
    """
    left, top, wide, high = region
    if min(left, top) < 0 or min(wide, high) < 1 or left + wide > width or top + high > height:
        raise ImageError(
            f"expected a region x,y,width,height within {width} x {height} pixels, got "
            f"{','.join(map(str, region))}"
        )


def _is_sequence(values: Settings | EachSettings) -> TypeGuard[EachSettings]:
    return isinstance(values, Sequence) and not isinstance(values, str)


def default_max_pixels(contract: ImageInput) -> int:
    """What memory is likely to hold: of the output, and of all features where nothing can be tiled."""
    largest = DEFAULT_MAX_PIXELS // contract.scale**2
    return largest if contract.radius_px is not None else min(largest, UNTILED_MAX_PIXELS)
