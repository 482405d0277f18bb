import copy
import itertools
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import zoo
from no_network import forbid_connections
from tunable_models import Control, ControlSpace, OmegaError, TunableNetwork, View
from zoo.engine.choice import CACHED_VIEWS, EngineName
from zoo.entry import Entry
from zoo.errors import ImageError, ImageTooLargeError, IntegrityError, ManifestError
from zoo.manifest import WEIGHTS, content_version
from zoo.pictures.formats import BY_NAME
from zoo.pictures.picture import Kind, Picture
from zoo.predictor import UNTILED_MAX_PIXELS, Predictor


def expected(predictor: Predictor, x: torch.Tensor, **settings: float) -> torch.Tensor:
    omega = predictor.space.omega(settings)
    with torch.no_grad():
        output: torch.Tensor = predictor.network(x, omega=omega).clamp(0, 1)
    return output


def test_a_predictor_knows_itself(predictor: Predictor, entry: Entry) -> None:
    assert (predictor.name, predictor.version) == ("tiny", entry.version)
    assert predictor.manifest == entry.manifest
    assert [control.name for control in predictor.controls] == ["denoise", "sigma"]


def test_settings_are_native_and_by_name_or_mapping(predictor: Predictor) -> None:
    x = torch.rand(1, 3, 8, 8)
    output = predictor(x, denoise=0.25, sigma=50)
    assert torch.equal(output, expected(predictor, x, denoise=0.25, sigma=50))
    assert torch.equal(output, predictor(x, {"denoise": 0.25}, sigma=50))
    assert torch.equal(output, predictor(x, values={"denoise": 0.25, "sigma": 50}))
    assert torch.equal(predictor(x), expected(predictor, x, denoise=0.5, sigma=25))
    assert not torch.equal(output, predictor(x))


@pytest.mark.parametrize(
    "values",
    [{"denoise": "0.5"}, {"denoise": float("nan")}, {"denoise": 1.5}, {"denoize": 0.5}, {"sigma": -1e-9},
     {"denoise": float("inf")}, {"denoise": [0.5]}, {"denoise": None}, {"denoise": True}],
)  # fmt: skip
def test_bad_settings_are_omega_errors(predictor: Predictor, values: dict[str, Any]) -> None:
    with pytest.raises(OmegaError):
        predictor(torch.rand(3, 4, 4), values)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_tensors(predictor: Predictor, dtype: torch.dtype) -> None:
    x = torch.rand(2, 3, 5, 7).to(dtype)
    output = predictor(x)
    assert (output.shape, output.dtype, output.requires_grad) == (x.shape, dtype, False)
    torch.testing.assert_close(predictor(x[0]), output[0], rtol=0, atol=1e-3 if dtype.itemsize == 2 else 1e-6)


EACH = [{"denoise": 0.2}, {}, {"denoise": 0.2}, {"denoise": 0.9}]


@pytest.mark.parametrize("engine", ["torch", "onnx"])
@pytest.mark.slow
def test_a_batch_with_settings_of_each_picture_is_as_many_calls(entry: Entry, engine: EngineName) -> None:
    predictor = zoo.load(entry.folder, engine=engine)
    batch = torch.rand(4, 3, 9, 7)
    output = predictor(batch, EACH, sigma=40)
    assert (output.shape, output.requires_grad) == (batch.shape, False)
    for restored, picture, values in zip(output, batch, EACH, strict=True):
        wanted = predictor(picture, values, sigma=40)
        torch.testing.assert_close(restored, wanted, rtol=0, atol=1e-5)
    assert not torch.equal(output, predictor(batch, sigma=40))


def test_settings_of_each_picture_of_other_dtypes_and_scales(enlarging: Predictor) -> None:
    batch = torch.rand(2, 3, 5, 7, dtype=torch.float64)
    output = enlarging(batch, ({"denoise": 0.2}, {"denoise": 0.9}))
    assert (output.shape, output.dtype) == ((2, 3, 10, 14), torch.float64)
    torch.testing.assert_close(output[1], enlarging(batch[1], denoise=0.9), rtol=0, atol=1e-5)


def test_pictures_and_their_settings_are_mapped_lazily(predictor: Predictor) -> None:
    pictures = (np.full((4, 4, 3), value, np.uint8) for value in itertools.count(50))
    restored = map(predictor, pictures, EACH)
    for number, values in enumerate(EACH):
        wanted = predictor(np.full((4, 4, 3), 50 + number, np.uint8), values)
        assert np.array_equal(next(restored), wanted)


@pytest.mark.parametrize(
    ("batch", "values", "error", "words"),
    [
        (torch.rand(2, 3, 4, 4), EACH[:1], OmegaError, "settings of 2 pictures, got 1; give one mapping for"),
        (torch.rand(2, 3, 4, 4), [{}, {"denoise": 2}], OmegaError, "^picture 1 of the batch: denoise:"),
        (torch.rand(2, 3, 4, 4), [{}, 0.5], OmegaError, "^picture 1 .*by name.*got float"),
        (torch.rand(2, 3, 4, 4), "no", OmegaError, "by name.*got str"),
        (torch.rand(3, 4, 4), [{}], OmegaError, "by name.*got list"),
        (np.zeros((4, 4, 3), np.uint8), [{}], OmegaError, "by name.*got list"),
        (torch.rand(0, 3, 4, 4), [], ImageError, "at least one pixel"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), [{}, {}], ImageError, "floating point"),
    ],
)
def test_settings_that_do_not_fit_the_batch_are_refused(
    predictor: Predictor, batch: Any, values: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        predictor(batch, values)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (5, 7, 4)])
def test_arrays(predictor: Predictor, dtype: str, shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).uniform(0.05, 1, shape)  # no alpha of 0, which hides colours
    scale = 1 if dtype[0] == "f" else np.iinfo(dtype).max
    array = (values * scale).astype(dtype)
    output = predictor(array)
    assert (output.shape, output.dtype) == (shape, array.dtype)
    rgb = array[..., :3] if len(shape) == 3 else array[..., None].repeat(3, 2)
    whole = expected(predictor, torch.tensor(rgb / scale).permute(2, 0, 1)[None].float())[0]
    wanted = whole.permute(1, 2, 0).numpy() * scale
    colours = output[..., :3] if len(shape) == 3 else output
    tolerance = 1e-5 if dtype[0] == "f" else 0.51
    assert np.abs(colours - (wanted if len(shape) == 3 else wanted.mean(2))).max() <= tolerance
    if shape[-1] == 4:
        assert np.array_equal(output[..., 3], array[..., 3])


def test_strided_and_read_only_arrays(predictor: Predictor) -> None:
    array = np.random.default_rng(0).random((8, 8, 3), dtype=np.float32)
    flipped = array[::-1, ::2]
    flipped.flags.writeable = False
    assert np.array_equal(predictor(flipped), predictor(flipped.copy()))
    assert predictor(np.zeros((1, 1, 3), np.float32)).shape == (1, 1, 3)


@pytest.mark.parametrize(
    ("mode", "back"),
    [("1", "L"), ("L", "L"), ("LA", "LA"), ("P", "RGB"), ("RGB", "RGB"), ("RGBA", "RGBA"), ("CMYK", "RGB"),
     ("I;16", "I;16"), ("F", "F")],
)  # fmt: skip
def test_pictures(predictor: Predictor, mode: str, back: str) -> None:
    output = predictor(Image.new(mode, (6, 4)))
    assert (output.mode, output.size) == (back, (6, 4))


def test_a_path_gives_a_picture_turned_upright_with_its_profile(predictor: Predictor, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "photo.png"
    Image.new("RGB", (6, 4)).save(path, exif=exif, icc_profile=b"a profile")
    for picture in (path, str(path), Image.open(path)):
        output = predictor(picture)
        assert output.size == (4, 6)
        assert output.info == {"icc_profile": b"a profile"}
        assert 0x0112 not in output.getexif()

    turned = Image.open(path).transpose(Image.Transpose.ROTATE_270)
    assert predictor(turned).size == (4, 6)
    assert predictor(Image.open(path).convert("RGB")).size == (6, 4)


def test_restore_takes_pictures_of_all_kinds_at_their_depth(predictor: Predictor, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "photo.png"
    Image.new("RGBA", (6, 4), (9, 99, 199, 128)).save(path, exif=exif)
    wanted = predictor(zoo.read_picture(path)).pixels
    assert wanted.shape == (6, 4, 4)
    for picture in (path, str(path), Image.open(path), zoo.read_picture(path)):
        assert np.array_equal(predictor.restore(picture).pixels, wanted)
    deep = tmp_path / "deep.tif"
    deep.write_bytes(BY_NAME["TIFF"].encode(Picture(np.full((4, 6, 3), 300, np.uint16))))
    assert predictor.restore(deep).kind == Kind(3, 16)


@pytest.mark.parametrize("image", [None, [[0.0]], b"bytes", np.zeros((4, 4), np.uint8), torch.zeros(3, 4, 4)])
def test_restore_refuses_what_is_no_picture(predictor: Predictor, image: Any) -> None:
    with pytest.raises(ImageError, match=f"got {type(image).__name__}; a call of the predictor"):
        predictor.restore(image)


def test_a_large_file_is_refused(entry: Entry, network: TunableNetwork, tmp_path: Path) -> None:
    Image.new("L", (6, 4)).save(tmp_path / "photo.png")
    small = Predictor(network, entry.manifest, max_pixels=20)
    with pytest.raises(ImageError, match="at most 20 pixels"):
        small(tmp_path / "photo.png")


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.zeros(3, 4, 4, dtype=torch.uint8), "floating point tensor"),
        (torch.zeros(1, 4, 4), "floating point tensor"),
        (torch.zeros(4, 4), "floating point tensor"),
        (torch.zeros(0, 3, 4, 4), "at least one pixel"),
        (torch.full((3, 4, 4), 255.0), "divide 0..255"),
        (torch.full((3, 4, 4), float("nan")), "nan to nan; replace what is not finite"),
        (torch.zeros(3, 4, 4).to(torch.float8_e5m2), "floating point tensor"),
        (np.full((4, 4), np.inf), "inf to inf; replace what is not finite"),
        (np.zeros((4, 4, 5), np.uint8), "shape"),
        ([[0.0]], "got list"),
        (b"bytes", "got bytes"),
        (None, "got NoneType"),
        (Picture(Image.new("L", (4, 4))), "array as pixels, got Image; Picture.of takes a PIL image"),  # type: ignore[arg-type]
        (Picture([[0]]), "array as pixels, got list"),  # type: ignore[arg-type]
    ],
)
def test_other_things_are_refused(predictor: Predictor, image: Any, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        predictor(image)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 3), (3000, 1), (1, 3000)])
def test_any_size(predictor: Predictor, size: tuple[int, int]) -> None:
    assert predictor(torch.rand(3, *size)).shape == (3, *size)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 3), (40, 23), (9, 64)])
def test_tiled_is_whole(entry: Entry, network: TunableNetwork, size: tuple[int, int]) -> None:
    x = torch.rand(2, 3, *size)
    for multiple in (1, 4, 16):
        manifest = entry.manifest.replace(input={"multiple": multiple, "radius_px": 5})
        tiled, whole = (Predictor(network, manifest, whole_px=px, tile_px=8) for px in (0, 10**6))
        torch.testing.assert_close(tiled(x), whole(x), rtol=0, atol=1e-6)


def test_tiles_are_used_only_where_they_are_exact(entry: Entry, network: TunableNetwork) -> None:
    blind = Predictor(network, entry.manifest.replace(input={"radius_px": None}), whole_px=0)
    x = torch.rand(1, 3, 20, 20)
    assert torch.equal(blind(x), expected(blind, x))


@pytest.mark.parametrize(
    ("architecture", "config"),
    [
        ("drunet", {"widths": [4, 8, 16], "blocks": 1}),
        ("swinir", {"width": 8, "depths": [2], "heads": [2], "window": 4, "scale": 2}),
    ],
)
@pytest.mark.parametrize("size", [(33, 70), (64, 47), (9, 90)])
def test_tiled_is_whole_on_a_grid_of_features(
    publish: Callable[..., Entry],
    make_network: Callable[..., TunableNetwork],
    architecture: str,
    config: dict[str, Any],
    size: tuple[int, int],
) -> None:
    network = make_network(architecture, **config)
    entry = publish(network)
    contract = entry.manifest.input
    assert contract.alignment > 1
    assert contract.radius_px
    tiled, whole = (Predictor(network, entry.manifest, whole_px=px, tile_px=1) for px in (0, 10**6))
    x = torch.rand(1, 3, *size)
    output = tiled(x)
    assert output.shape[-2:] == (contract.scale * size[0], contract.scale * size[1])
    torch.testing.assert_close(output, whole(x), rtol=0, atol=1e-5)


REGIONS = [(0, 0, 1, 1), (0, 0, 90, 70), (89, 69, 1, 1), (31, 17, 40, 33), (60, 0, 30, 12), (5, 50, 3, 20)]


@pytest.mark.parametrize(
    ("architecture", "config"),
    [
        ("drunet", {"widths": [4, 8, 16], "blocks": 1}),
        ("swinir", {"width": 8, "depths": [2], "heads": [2], "window": 4, "scale": 2}),
        ("nafnet", {"width": 4, "middle_blocks": 1, "enc_blocks": [1], "dec_blocks": [1]}),
    ],
)
@pytest.mark.parametrize("shape", [(70, 90), (70, 90, 4)])
def test_a_region_is_that_part_of_the_whole(
    publish: Callable[..., Entry],
    make_network: Callable[..., TunableNetwork],
    architecture: str,
    config: dict[str, Any],
    shape: tuple[int, ...],
) -> None:
    network = make_network(architecture, **config)
    predictor = Predictor(network, publish(network).manifest, whole_px=40 * 40, tile_px=16)
    pixels = np.random.default_rng(0).random(shape, np.float32)
    if len(shape) == 3:  # what cannot be seen is filled from all around
        pixels[..., 3] = np.random.default_rng(1).random(shape[:2]) < 0.1
    scale = predictor.manifest.input.scale
    whole = predictor.restore(Picture(pixels)).pixels
    for region in REGIONS:
        left, top, width, height = (scale * side for side in region)
        part = predictor.restore(Picture(pixels), region=region)
        np.testing.assert_allclose(
            part.pixels,
            whole[top : top + height, left : left + width],
            rtol=0,
            atol=1e-5,
            err_msg=str(region),
        )
        assert part.pixels.base is None  # the rest is not kept in memory


@pytest.mark.parametrize(
    "region", [(0, 0, 0, 4), (0, 0, 9, 5), (0, 0, 8, 6), (-1, 0, 4, 4), (8, 0, 1, 1), (0, -2, 4, 4)]
)
def test_a_region_outside_the_picture_is_refused(predictor: Predictor, region: Any) -> None:
    with pytest.raises(ImageError, match=f"within 8 x 5 pixels, got {','.join(map(str, region))}"):
        predictor.restore(Picture(np.zeros((5, 8), np.uint8)), region=region)


def test_a_network_that_sees_all_at_once_has_a_limit(
    publish: Callable[..., Entry], make_network: Callable[..., TunableNetwork], tmp_path: Path
) -> None:
    config = {"width": 4, "middle_blocks": 1, "enc_blocks": [1], "dec_blocks": [1]}
    network = make_network("nafnet", **config)
    entry = publish(network)
    assert entry.manifest.input.radius_px is None
    assert zoo.load(entry.folder).max_pixels == UNTILED_MAX_PIXELS
    small = Predictor(network, entry.manifest, whole_px=0, max_pixels=400)
    assert small(torch.rand(3, 20, 20)).shape == (3, 20, 20)
    with pytest.raises(ImageTooLargeError, match=r"whole picture at once.*at most 400.*20 x 21 = 420"):
        small(np.zeros((21, 20, 3), np.uint8))
    Image.new("RGB", (20, 21)).save(tmp_path / "photo.png")
    with pytest.raises(ImageTooLargeError, match="at most 400"):
        small(tmp_path / "photo.png")


def test_the_limit_of_files_counts_the_outputs_pixels(enlarging: Predictor, predictor: Predictor) -> None:
    assert enlarging.max_pixels == predictor.max_pixels // 4


def test_sliders_that_share_a_sum(
    publish: Callable[..., Entry], make_network: Callable[..., TunableNetwork]
) -> None:
    space = ControlSpace.simplex(
        Control(name="accuracy", default=0.6),
        Control(name="detail", default=0.3),
        Control(name="calm", default=0.1),
    )
    shared = zoo.load(publish(make_network(space=space)).folder)
    x = torch.rand(1, 3, 8, 8)
    output = shared(x, accuracy=0.2)
    assert torch.equal(output, expected(shared, x, accuracy=0.2, detail=0.6, calm=0.2))
    assert torch.equal(shared(x), shared(x, accuracy=0.6, detail=0.3))
    assert not torch.equal(output, shared(x, accuracy=0.2, detail=0.7))
    with pytest.raises(OmegaError, match="sum to 1"):
        shared(x, accuracy=0.8, detail=0.4)
    with pytest.raises(OmegaError, match="sum to 1"):
        shared(x, accuracy=0.2, detail=0.2, calm=0.2)


def test_scale_enlarges_everything(enlarging: Predictor) -> None:
    assert enlarging(torch.rand(3, 5, 7)).shape == (3, 10, 14)
    output = enlarging(Image.new("RGBA", (7, 5), (10, 20, 30, 77)))
    assert output.size == (14, 10)
    assert output.getchannel("A").getextrema() == (77, 77)
    enlarging.whole_px, enlarging.tile_px = 0, 8
    assert enlarging(np.zeros((21, 30), np.uint8)).shape == (42, 60)


def test_output_is_clamped(predictor: Predictor) -> None:
    output = predictor(torch.rand(3, 16, 16) * 5 - 2)
    assert 0 <= output.min() <= output.max() <= 1


def test_output_that_is_not_finite_is_an_error(entry: Entry, network: TunableNetwork) -> None:
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(1e30)
    with pytest.raises(ImageError, match="not finite"):
        Predictor(network, entry.manifest)(torch.rand(3, 4, 4))


def test_a_setting_is_mixed_once_while_it_rests(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixed: list[torch.Tensor] = []
    at = predictor.network.at

    def counted(omega: torch.Tensor) -> View:
        mixed.append(omega)
        return at(omega)

    monkeypatch.setattr(predictor.network, "at", counted)
    for _ in range(3):
        predictor(torch.rand(3, 4, 4), denoise=0.5)
    assert len(mixed) == 1
    for value in range(CACHED_VIEWS):
        predictor(torch.rand(3, 4, 4), denoise=value / 100)
    assert len(mixed) == 1 + CACHED_VIEWS
    predictor(torch.rand(3, 4, 4), denoise=0.5)  # forgotten by now
    assert len(mixed) == 2 + CACHED_VIEWS


def test_threads_share_a_predictor(predictor: Predictor) -> None:
    x = torch.rand(1, 3, 12, 12)
    settings = [{"denoise": d / 4, "sigma": s} for d, s in itertools.product(range(5), (0, 10, 50))]
    wanted = [expected(predictor, x, **setting) for setting in settings]
    with ThreadPoolExecutor(4) as pool:
        outputs = list(pool.map(lambda setting: predictor(x, setting), settings * 10))
    assert all(torch.equal(output, wanted[index % len(wanted)]) for index, output in enumerate(outputs))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_compute_with_their_own_network(
    predictor: Predictor, copied: Callable[[Predictor], Predictor]
) -> None:
    x = torch.rand(3, 12, 12)
    wanted = predictor(x, denoise=0.25)  # its kernels are kept now
    other = copied(predictor)
    assert torch.equal(other(x, denoise=0.25), wanted)
    assert (other.manifest, other.device, other.engine) == (predictor.manifest, predictor.device, "torch")
    again = copied(predictor)
    for parameter in again.network.parameters():
        parameter.data.zero_()
    assert torch.equal(again(x, denoise=0.25), expected(again, x, denoise=0.25))
    assert not torch.equal(again(x, denoise=0.25), wanted)
    assert torch.equal(predictor(x, denoise=0.25), wanted)


def test_loading_needs_no_network(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    forbid_connections(monkeypatch)
    assert zoo.load(entry.folder)(torch.rand(3, 4, 4)).shape == (3, 4, 4)


def test_loading_verifies_every_file(entry: Entry) -> None:
    (entry.folder / "preview.png").write_bytes(b"not really a Picture")
    with pytest.raises(IntegrityError, match=r"preview\.png"):
        zoo.load(entry.folder)


def test_a_pickle_by_another_name_is_not_loaded(publish: Callable[..., Entry], tmp_path: Path) -> None:
    entry = publish()
    torch.save({"a": torch.zeros(1)}, entry.folder / WEIGHTS)
    with pytest.raises(IntegrityError, match="bytes"):
        zoo.load(entry.folder)


def test_an_unknown_architecture_is_a_fault_of_the_manifest(entry: Entry) -> None:
    manifest = entry.manifest.replace(architecture={"id": "from-tomorrow", "config": {}})
    manifest = manifest.replace(version=content_version(manifest))
    (entry.folder / "manifest.json").write_bytes(manifest.to_bytes())
    with pytest.raises(ManifestError, match=r"unknown architecture 'from-tomorrow'.*a newer"):
        zoo.load(entry.folder)


def test_restoring_is_told_and_ends_when_told_to(predictor: Predictor) -> None:
    picture = Picture(np.asarray(Image.linear_gradient("L").resize((60, 40))))
    told: list[tuple[int, int]] = []
    whole = predictor.restore(picture, {"denoise": 0.25}, on_tile=lambda *state: told.append(state))
    assert told == [(1, 1)]
    assert np.array_equal(whole.pixels, predictor(picture, denoise=0.25).pixels)
    predictor.whole_px, predictor.tile_px = 0, 8
    predictor.restore(picture, on_tile=lambda *state: told.append(state))
    assert told[-1][0] == told[-1][1] > 1

    def stop(done: int, _: int) -> None:
        raise KeyboardInterrupt(done)

    with pytest.raises(KeyboardInterrupt, match="1"):
        predictor.restore(picture, on_tile=stop)


def test_a_sweep_is_a_call_at_each_value(predictor: Predictor, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 11, 3), dtype=np.uint8)).save(path)
    swept = list(predictor.sweep(path, "sigma", 3, {"denoise": 0.2}))
    assert [value for value, _ in swept] == [0.0, 25.0, 50.0]
    for value, restored in swept:
        assert restored == predictor(path, denoise=0.2, sigma=value)


def test_a_grid_has_every_combination(predictor: Predictor) -> None:
    image = torch.rand(3, 6, 7)
    found = list(predictor.grid(image, {"denoise": [0.1, 0.9], "sigma": 2}))
    assert [tuple(settings.values()) for settings, _ in found] == [(0.1, 0), (0.1, 50), (0.9, 0), (0.9, 50)]
    for settings, restored in found:
        assert torch.equal(restored, predictor(image, settings))


def test_a_grid_on_a_simplex_stays_on_it(
    publish: Callable[..., Entry], make_network: Callable[..., TunableNetwork]
) -> None:
    controls = [Control(name="a", high=100.0, default=50.0), "b", "c"]
    space = ControlSpace.simplex(*controls)
    shared = zoo.load(publish(make_network(space=space)).folder)
    image = torch.rand(3, 4, 4)
    found = [tuple(s.values()) for s, _ in shared.grid(image, {"a": 3, "b": np.int64(3)})]
    assert found == [(0, 0), (0, 0.5), (0, 1), (50, 0), (50, 0.5), (100, 0)]
    found = [tuple(s.values()) for s, _ in shared.grid(image, dict.fromkeys("abc", 2))]
    assert found == [(0, 0, 1), (0, 1, 0), (100, 0, 0)]


@pytest.mark.parametrize(
    ("positions", "words"),
    [
        ({"denoize": 3}, "denoise"),
        ({"denoise": 1}, "at least 2"),
        ({"denoise": 0.5}, "number of positions"),
    ],
)
def test_positions_that_are_none_are_refused(
    predictor: Predictor, positions: dict[str, int], words: str
) -> None:
    with pytest.raises(OmegaError, match=words):
        next(predictor.grid(torch.rand(3, 4, 4), positions))
