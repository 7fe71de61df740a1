"""Enhancement, against scikit-image as the reference."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import scipy.ndimage
import skimage.color
import skimage.exposure
import skimage.filters
import skimage.restoration
from grey import GREY, in_dtype
from skimage import data

from pixelry import cli
from pixelry.errors import ImageError, UsageError
from pixelry.pixels import as_float, deblur, equalize, expose, process, psnr, read_image, sharpen, to_grey, write_image

PHOTO = data.astronaut()[:96, :120]
COLORS = as_float(PHOTO)
FLOATS = as_float(GREY)
DTYPES = ["uint8", "uint16", "float32", "float64"]
ROUNDING = {"uint8": 0.5 / 255, "uint16": 0.5 / 65535, "float32": 1e-6, "float64": 1e-12}
VERBS = {
    "expose": expose,
    "expose with options": lambda a: expose(a, gamma=0.7, gain=1.1, low=1, high=98),
    "equalize": equalize,
    "sharpen": lambda a: sharpen(a, radius=2),
    "deblur": lambda a: deblur(a, sigma=1.2, iterations=5),
    "deblur motion": lambda a: deblur(a, length=5, angle=30, iterations=5),
    "deblur wiener": lambda a: deblur(a, sigma=1.2, method="wiener"),
}
every_verb = pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)


def blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Blur within a picture whose borders go on; rounded to bytes as a file has them."""
    blurred = scipy.ndimage.gaussian_filter(image, (sigma, sigma, 0)[: image.ndim], mode="reflect")
    return np.rint(blurred * 255) / 255


def point_spread(sigma: float) -> np.ndarray:
    reach = round(4 * sigma)
    way = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    return np.outer(way, way) / way.sum() ** 2


def gradient(image: np.ndarray) -> float:
    return float(np.abs(np.diff(as_float(image), axis=0)).mean() + np.abs(np.diff(as_float(image), axis=1)).mean())


@pytest.mark.parametrize("image", [FLOATS, COLORS], ids=["grey", "color"])
@pytest.mark.parametrize("gamma", [0.5, 2.2])
def test_gamma_is_scikit_images(image, gamma):
    np.testing.assert_allclose(expose(image, gamma=gamma), skimage.exposure.adjust_gamma(image, gamma))
    brighter = np.clip(skimage.exposure.adjust_gamma(image, gamma, 1.5), 0, 1)
    np.testing.assert_allclose(expose(image, gamma=gamma, gain=1.5), brighter)


@pytest.mark.parametrize("image", [FLOATS, COLORS], ids=["grey", "color"])
@pytest.mark.parametrize(("low", "high"), [(2, 98), (0, 90), (5, 100)])
def test_stretching_is_scikit_images(image, low, high):
    ends = tuple(np.percentile(image, (low, high)))
    expected = skimage.exposure.rescale_intensity(image, in_range=ends, out_range=(0, 1))
    np.testing.assert_allclose(expose(image, low=low or None, high=high), expected)
    np.testing.assert_allclose(expose(image, low=low, high=high, gamma=2, gain=0.5), expected**2 / 2)


@pytest.mark.parametrize("picture", [FLOATS * 0.2, FLOATS * 0.2 + 0.75, COLORS**2, COLORS**0.6])
def test_automatic_exposure_brings_the_midtones_to_the_middle(picture):
    found = expose(picture)
    stretched = to_grey(expose(picture, low=0.1, high=99.9))
    middle = to_grey(found)[(stretched > 0.06) & (stretched < 0.97)]
    assert 0.39 < middle.mean() < 0.61
    assert np.percentile(found, 0.05) == 0
    assert np.percentile(found, 99.95) == 1
    # The order of the values is kept: nothing but a curve is applied.
    where = np.argsort(picture, axis=None)
    assert (np.diff(found.ravel()[where]) >= 0).all()


def test_automatic_exposure_leaves_a_good_picture_as_it_is():
    good = np.linspace(0, 1, 10_000).reshape(100, 100)
    np.testing.assert_allclose(expose(good), good, atol=0.002)
    # A black background is no reason to brighten what stands before it.
    framed = np.pad(good, 200)
    np.testing.assert_allclose(expose(framed), framed, atol=0.03)


def test_automatic_exposure_has_limits():
    night = np.zeros((50, 50))
    night[:10, :10] = 0.1
    night[0, :10] = 1
    np.testing.assert_allclose(expose(night), skimage.exposure.adjust_gamma(night, 0.6))
    np.testing.assert_allclose(expose(1 - night), skimage.exposure.adjust_gamma(1 - night, 1.5))
    # One pixel in a thousand: both percentiles are the same, and its brightness is all there is to stretch.
    star = np.full((40, 50), 0.2)
    star[20, 20] = 0.4
    found = expose(star)
    assert (found[20, 20], found.min()) == (1, 0)
    with pytest.raises(ImageError, match=r"percentiles 1 and 99 are both 0\.2.*higher high"):
        expose(star, low=1, high=99)


def test_transparent_pixels_do_not_count_for_the_exposure():
    rgba = np.dstack([PHOTO // 3, np.full(PHOTO.shape[:2], 255, np.uint8)])
    wide = np.pad(rgba, ((0, 0), (0, 300), (0, 0)))
    np.testing.assert_array_equal(expose(wide)[:, :120], expose(rgba))
    np.testing.assert_array_equal(expose(wide, low=3)[:, :120], expose(rgba, low=3))
    invisible = np.dstack([PHOTO // 3, np.zeros(PHOTO.shape[:2], np.uint8)])
    np.testing.assert_array_equal(expose(invisible)[..., :3], expose(PHOTO // 3))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("clip", "tiles"), [(0.01, 8), (0.05, 2), (1.0, 1)])
def test_equalize_is_scikit_images(dtype, clip, tiles):
    image = in_dtype(dtype)
    kernel = (max(90 // tiles, 32), max(75 // tiles, 32))
    expected = skimage.exposure.equalize_adapthist(as_float(image), kernel_size=kernel, clip_limit=clip)
    found = equalize(image, strength=1, clip=clip, tiles=tiles)
    assert found.dtype == image.dtype
    np.testing.assert_allclose(as_float(found), expected, atol=ROUNDING[dtype] * 1.01)


def test_half_of_equalize_lies_between_the_stretched_picture_and_all_of_it():
    none, half, whole = (equalize(COLORS, strength=strength) for strength in (0, 0.5, 1))
    light = skimage.color.rgb2gray(COLORS)
    np.testing.assert_allclose(skimage.color.rgb2gray(none), (light - light.min()) / np.ptp(light), atol=1e-9)
    grey = [skimage.color.rgb2gray(image) for image in (none, half, whole)]
    np.testing.assert_allclose(grey[1], (grey[0] + grey[2]) / 2, atol=1e-9)
    np.testing.assert_array_equal(equalize(COLORS), half)


def test_equalize_raises_the_spread_of_a_dark_picture():
    dark = (PHOTO // 5).astype(np.uint8)
    found = equalize(dark)
    assert to_grey(found).std() > 4 * to_grey(dark).std()
    pale = data.moon()[:200, :200]
    spreads = [equalize(pale, clip=clip).std() for clip in (0.005, 0.01, 0.03, 0.1)]
    assert spreads == sorted(spreads)
    assert spreads[-1] > 2 * pale.std()


@pytest.mark.parametrize("shape", [(8, 8), (12, 12), (28, 28), (96, 120), (1, 60), (60, 2)])
@pytest.mark.parametrize("tiles", [1, 8, 100])
def test_equalize_leaves_bright_values_apart(shape, tiles):
    # With tiles of fewer pixels than grey levels, up to 0.43 of a picture becomes white.
    image = as_float(data.camera()[: 4 * shape[0] : 4, : 4 * shape[1] : 4])
    found = equalize(image, tiles=tiles)
    assert (found[image < image.max()] == 1).mean() < 0.02
    assert np.corrcoef(found.ravel(), image.ravel())[0, 1] > 0.8


def test_equalize_keeps_hues_and_changes_the_luminance_alone():
    found = equalize(COLORS, strength=1)
    light = skimage.color.rgb2gray(COLORS)
    expected = skimage.exposure.equalize_adapthist(light, kernel_size=32)
    np.testing.assert_allclose(skimage.color.rgb2gray(found), expected, atol=1e-9)
    before, after = skimage.color.rgb2hsv(COLORS), skimage.color.rgb2hsv(found)
    colored = (after[..., 1] > 1e-6) & (before[..., 1] > 1e-6)
    assert colored.mean() > 0.9
    turn = np.abs(before - after)[..., 0][colored]
    np.testing.assert_allclose(np.minimum(turn, 1 - turn), 0, atol=1e-6)
    # What stays in range keeps its saturation too; the rest gets paler, never stronger.
    assert (after[..., 1] <= before[..., 1] + 1e-9).all()
    grey = np.repeat(FLOATS[..., None], 3, axis=2)
    np.testing.assert_allclose(equalize(grey)[..., 1], equalize(FLOATS), atol=1e-9)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("radius", "amount"), [(1.0, 1.0), (3.0, 0.5), (0.7, 4.0)])
def test_sharpen_is_scikit_images(dtype, radius, amount):
    image = in_dtype(dtype)
    expected = skimage.filters.unsharp_mask(as_float(image), radius, amount)
    np.testing.assert_allclose(
        as_float(sharpen(image, radius=radius, amount=amount)), expected, atol=ROUNDING[dtype] * 1.01
    )
    each = [skimage.filters.unsharp_mask(COLORS[..., channel], radius, amount) for channel in range(3)]
    np.testing.assert_allclose(sharpen(COLORS, radius=radius, amount=amount), np.stack(each, axis=-1))


def test_sharpen_raises_gradients():
    strengths = [gradient(sharpen(PHOTO, radius=1.5, amount=amount)) for amount in (0, 0.5, 1, 2)]
    assert strengths[0] == gradient(PHOTO)
    assert strengths == sorted(strengths)
    assert strengths[2] > 1.3 * strengths[0]


@pytest.mark.parametrize("dtype", DTYPES)
def test_deblur_is_scikit_images(dtype):
    image = in_dtype(dtype)
    spread = point_spread(1.5)
    wide = np.pad(as_float(image).astype(float), 26, mode="symmetric")
    for options, expected in (
        ({"iterations": 7}, skimage.restoration.richardson_lucy(wide, spread, num_iter=7)),
        ({"method": "wiener", "balance": 0.1}, skimage.restoration.wiener(wide, spread, 0.1)),
    ):
        found = deblur(image, sigma=1.5, **options)
        assert found.dtype == image.dtype
        np.testing.assert_allclose(
            as_float(found), np.clip(expected, 0, 1)[26:-26, 26:-26], atol=ROUNDING[dtype] * 1.01 + 1e-9
        )


@pytest.mark.parametrize("method", ["richardson_lucy", "wiener"])
@pytest.mark.parametrize(("sigma", "gain"), [(1.0, 1.5), (2.0, 1.5), (3.0, 1.2)])
def test_deblur_undoes_the_same_blur(method, sigma, gain):
    # The blur comes from a larger picture, so that what lies beyond the border is not known.
    for picture in (as_float(data.camera()[60:300, 100:340]), as_float(data.astronaut()[:200, 100:300])):
        part = np.s_[40:-40, 40:-40]
        blurred = blur(picture, sigma)[part]
        found = deblur(blurred, sigma=sigma, method=method)
        assert psnr(found, reference=picture[part]) > psnr(blurred, reference=picture[part]) + gain
        # The rim is no darker and not much worse than it was.
        for rim in (np.s_[:3], np.s_[-3:], np.s_[:, :3], np.s_[:, -3:]):
            assert found[rim].mean() == pytest.approx(picture[part][rim].mean(), abs=0.03)


@pytest.mark.parametrize("angle", [0, 90, 45, -30])
def test_deblur_undoes_a_motion(angle):
    picture = as_float(data.camera()[100:260, 150:310])
    way = np.linspace(-4, 4, 81)
    shifts = [(-np.sin(np.radians(angle)) * t, np.cos(np.radians(angle)) * t) for t in way]
    blurred = np.mean([scipy.ndimage.shift(picture, shift, order=1, mode="reflect") for shift in shifts], axis=0)
    right = psnr(deblur(blurred, length=8, angle=angle), reference=picture)
    assert right > psnr(blurred, reference=picture) + 2
    assert right > psnr(deblur(blurred, length=8, angle=angle + 60), reference=picture) + 4


def test_a_motion_to_the_side_is_a_mean_of_neighbours():
    blurred = scipy.ndimage.uniform_filter1d(FLOATS, 9, axis=1, mode="reflect")
    row = np.zeros((11, 11))
    row[5, 1:-1] = 1 / 9
    wide = np.pad(blurred, 22, mode="symmetric")
    expected = skimage.restoration.richardson_lucy(wide, row, num_iter=10)[22:-22, 22:-22]
    np.testing.assert_allclose(deblur(blurred, length=9, iterations=10), expected, atol=1e-9)


@every_verb
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16", "float32", "float64"])
def test_shape_dtype_range_and_alpha_stay(verb, dtype):
    top = 1 if "float" in dtype else np.iinfo(dtype).max
    color = (COLORS[:30, :40] * top).astype(dtype)
    alpha = np.random.default_rng(0).uniform(top / 10, top, (30, 40)).astype(dtype)
    grey = color[..., 1]
    for image in (grey, grey[..., None], np.dstack([grey, alpha]), color, np.dstack([color, alpha])):
        before = image.copy()
        found = verb(image)
        assert (found.shape, found.dtype) == (image.shape, image.dtype)
        assert 0 <= found.min() < found.max() <= top
        assert (found != image).any()
        assert not np.shares_memory(found, image)
        np.testing.assert_array_equal(image, before)
        if image.shape[2:] in ((2,), (4,)):
            np.testing.assert_array_equal(found[..., -1], alpha)
    np.testing.assert_array_equal(verb(np.dstack([grey, alpha]))[..., 0], verb(grey))


@every_verb
@pytest.mark.parametrize("value", [0, 90, 255])
@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3), (1, 1), (1, 7, 4)])
def test_a_constant_picture_stays_constant(verb, value, shape):
    image = np.full(shape, value, np.uint8)
    found = verb(image)
    assert np.ptp(found) == 0 or (shape[-1] == 4 and np.ptp(found[..., :3]) == 0)
    if verb in (VERBS["equalize"], VERBS["sharpen"], VERBS["deblur"], VERBS["deblur wiener"]):
        np.testing.assert_array_equal(found, image)


@every_verb
@pytest.mark.parametrize("shape", [(1, 40), (40, 1, 3), (2, 2), (3, 200), (200, 4)])
def test_narrow_pictures(verb, shape):
    rows, columns = np.indices(shape[:2])
    image = 0.5 + 0.3 * np.cos(rows / 3 + columns / 4).reshape(*shape[:2], *[1] * (len(shape) - 2)) * np.ones(shape)
    found = verb(image)
    assert found.shape == shape
    assert np.isfinite(found).all()
    # They remain what they were: bright where it was bright.
    assert np.corrcoef(found.ravel(), image.ravel())[0, 1] > 0.5


@pytest.mark.parametrize("verb", [verb for name, verb in VERBS.items() if name != "expose with options"])
def test_a_star_in_the_night_stays_finite(verb):
    night = np.zeros((40, 40))
    night[20, 20] = 1
    night[5, 5] = 1e-6
    found = verb(night)
    assert np.isfinite(found).all()
    assert found.argmax() == night.argmax()


@every_verb
@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((0, 3)), "empty"),
        (np.zeros(4), "shape"),
        (np.zeros((3, 3, 5)), "1 to 4 channels"),
        ([[0.5]], "is a list"),
        (np.array([[0.2, np.nan]]), "1 of 2 values are NaN"),
        (np.array([[0.2, np.inf]]), "NaN or infinite"),
        (np.array([[-0.5, 0.5]]), r"expected \[0, 1\]"),
        (np.array([[0.0, 200.0]]), "go from 0 to 200"),
        (np.zeros((2, 2), bool), "dtype bool; expected uint8, uint16 or floats"),
        (np.zeros((2, 2), np.int16), "int16"),
        (np.zeros((2, 2), np.int64), "int64"),
        (np.zeros((2, 2), np.uint32), "uint32"),
    ],
)
def test_what_is_no_picture_is_refused(verb, image, message):
    with pytest.raises(ImageError, match=message):
        verb(image)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: expose(GREY, gamma=0), "gamma is 0; expected a number above 0 and up to 100"),
        (lambda: expose(GREY, gamma="auto"), "gamma is auto"),
        (lambda: expose(GREY, gamma=float("nan")), "gamma is nan"),
        (lambda: expose(GREY, gain=-1), "gain is -1"),
        (lambda: expose(GREY, low=-1), "low is -1; expected a number from 0 to 100"),
        (lambda: expose(GREY, high=101), "high is 101"),
        (lambda: expose(GREY, low=60, high=40), "low is 60 and high 40; expected percentiles with low below high"),
        (lambda: equalize(GREY, strength=2), "strength is 2; expected a number from 0 to 1"),
        (lambda: equalize(GREY, clip=0), "clip is 0; expected a number above 0 and up to 1"),
        (lambda: equalize(GREY, clip=True), "clip is True"),
        (lambda: equalize(GREY, tiles=0), "tiles is 0; expected a whole number from 1 to 1,000"),
        (lambda: equalize(GREY, tiles=2.5), "tiles is 2.5"),
        (lambda: sharpen(GREY, radius=0), "radius is 0"),
        (lambda: sharpen(GREY, amount=-1), "amount is -1; expected a number from 0 to 100"),
        (lambda: deblur(GREY), "either sigma .* or length"),
        (lambda: deblur(GREY, sigma=1, length=4), "either sigma .* or length"),
        (lambda: deblur(GREY, sigma=0), "sigma is 0; expected a number above 0 and up to 50"),
        (lambda: deblur(GREY, sigma=1000), "sigma is 1000"),
        (lambda: deblur(GREY, length=0.5), "length is 0.5; expected a number from 1 to 200"),
        (lambda: deblur(GREY, length=5, angle=float("inf")), "angle is inf"),
        (lambda: deblur(GREY, sigma=1, method="weiner"), "unknown method 'weiner'; did you mean 'wiener'"),
        (lambda: deblur(GREY, sigma=1, iterations=0), "iterations is 0"),
        (lambda: deblur(GREY, sigma=1, balance=0.1), "richardson_lucy takes no balance"),
        (lambda: deblur(GREY, sigma=1, method="wiener", iterations=3), "wiener takes no iterations"),
        (lambda: deblur(GREY, sigma=1, method="wiener", balance=0), "balance is 0"),
        (lambda: deblur(GREY, length=9, method="wiener"), "a Gaussian blur .* take richardson_lucy for a motion"),
    ],
)
def test_wrong_options_say_what_was_expected(call, message):
    with pytest.raises(UsageError, match=message):
        call()


def test_files(tmp_path):
    for name in ("a.png", "b/c.tif"):
        write_image(tmp_path / "in" / name, PHOTO // 2)
    (tmp_path / "in" / "bad.png").write_text("text")
    result = process(tmp_path / "in", "expose", tmp_path / "out", low="1", high="99", gamma="0.8")
    assert [path.relative_to(tmp_path / "out").as_posix() for path in result.written] == ["a.png", "b/c.tif"]
    assert [path.name for path, _ in result.failed] == ["bad.png"]
    for path in result.written:
        np.testing.assert_array_equal(read_image(path), expose(PHOTO // 2, low=1, high=99, gamma=0.8))
    with pytest.raises(UsageError, match="deblur takes either sigma"):
        process(tmp_path / "in" / "a.png", "deblur", tmp_path / "none")
    with pytest.raises(UsageError, match="sharpen has no option 'raduis'; did you mean 'radius'"):
        process(tmp_path / "in", "sharpen", tmp_path / "none", raduis=1)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("expose", lambda a: expose(a)),
        (
            "expose --gamma 0.5 --gain 1.2 --low 1 --high 99.5",
            lambda a: expose(a, gamma=0.5, gain=1.2, low=1, high=99.5),
        ),
        ("equalize --clip 0.03 --tiles 4", lambda a: equalize(a, clip=0.03, tiles=4)),
        ("sharpen --radius 2 --amount 0.5", lambda a: sharpen(a, radius=2, amount=0.5)),
        ("deblur --length 4 --angle -30 --iterations 4", lambda a: deblur(a, length=4, angle=-30, iterations=4)),
        (
            "deblur --sigma 2 --method wiener --balance 0.1",
            lambda a: deblur(a, sigma=2, method="wiener", balance=0.1),
        ),
    ],
)
def test_the_command_line(tmp_path, run, words, expected):
    verb, *options = words.split()
    photo = write_image(tmp_path / "photo.png", PHOTO // 2)
    said = run("pixels", verb, photo, "--out", tmp_path / "out", *options)
    assert said.code == 0, said.err
    np.testing.assert_array_equal(read_image(tmp_path / "out" / "photo.png"), expected(PHOTO // 2))


def test_a_wrong_option_on_the_command_line(tmp_path, monkeypatch, capsys):
    photo = write_image(tmp_path / "photo.png", PHOTO)
    monkeypatch.setattr(sys, "argv", ["pixelry", "pixels", "deblur", str(photo), "--out", "out", "--sigma", "-1"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert "sigma is -1.0; expected a number above 0 and up to 50" in capsys.readouterr().err
