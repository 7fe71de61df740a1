"""Operations on arrays, against scikit-image as the reference."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.color
import skimage.metrics
import skimage.transform
import skimage.util
from grey import GREY, in_dtype
from skimage import data

from pixelry.errors import ImageError, UsageError
from pixelry.pixels import (
    as_float,
    as_int,
    as_ubyte,
    as_uint,
    blend_alpha,
    convert,
    crop,
    downscale,
    drop_alpha,
    gaussian_noise,
    noise,
    pad,
    poisson_noise,
    psnr,
    rescale,
    resize,
    salt_pepper_noise,
    ssim,
    to_color,
    to_grey,
    to_uint8,
)

PHOTO = data.astronaut()[:96, :120]
RNG = np.random.default_rng(0)
KINDS = {"float": as_float, "ubyte": as_ubyte, "uint": as_uint, "int": as_int}


DTYPES = ["bool", "uint8", "uint16", "int16", "float32", "float64"]
GEOMETRY = [
    lambda a: resize(a, shape=(31, 47)),
    lambda a: rescale(a, factor=0.4),
    lambda a: downscale(a, factors=4),
    lambda a: crop(a, shape=20),
    lambda a: pad(a, width=3, mode="edge"),
]
EVERY = [
    *GEOMETRY,
    *KINDS.values(),
    to_uint8,
    to_grey,
    to_color,
    drop_alpha,
    blend_alpha,
    gaussian_noise,
    salt_pepper_noise,
    poisson_noise,
    convert,
    lambda a: psnr(a, reference=a),
    lambda a: ssim(a, reference=a),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_kinds_are_scikit_images(dtype, kind):
    image = in_dtype(dtype)
    expected = getattr(skimage.util, f"img_as_{kind}")(image)
    found = KINDS[kind](image)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(convert(image, dtype=kind), expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_to_uint8(dtype):
    image = in_dtype(dtype)
    np.testing.assert_array_equal(to_uint8(image), skimage.util.img_as_ubyte(image))
    assert to_uint8(GREY) is GREY


@pytest.mark.parametrize(
    ("image", "kind", "expected"),
    [
        (np.array([[0, 255, 256, 511]], np.uint16), "ubyte", [0, 0, 1, 1]),
        (np.array([[0, 100, 200]], np.uint16), "int", [0, 50, 100]),
        (np.array([[-300, 127, 128, 255]], np.int16), "ubyte", [0, 0, 1, 1]),
    ],
)
def test_dark_images_are_scaled_like_all_others(image, kind, expected):
    # scikit-image warns and leaves such values as they are; with one bright pixel more it scales them.
    np.testing.assert_array_equal(KINDS[kind](image), [expected])
    bright = np.append(image, [[np.iinfo(image.dtype).max]], axis=1).astype(image.dtype)
    np.testing.assert_array_equal(getattr(skimage.util, f"img_as_{kind}")(bright)[:, :-1], [expected])


@pytest.mark.parametrize("convert_to", [*KINDS.values(), to_uint8])
@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.array([[0.0, 1.5]]), r"go from 0 to 1.5; expected \[-1, 1\].*astype\('uint8'\)"),
        (np.array([[0.0, 200.0]], np.float32), "go from 0 to 200"),
        (np.array([[0.0, np.nan]]), "1 of 2 values are NaN or infinite"),
        (np.array([[-np.inf, 0.0]]), "NaN or infinite"),
        (np.array([[0, 255]]), "int64.*8 or 16-bit"),
        (np.array([[1j]]), "complex128"),
        (np.array([["a"]]), "dtype <U1"),
        (np.array([[None]]), "dtype object"),
        (np.zeros(3), r"shape \(3,\)"),
        (np.zeros((2, 2, 7)), "1 to 4 channels"),
        (np.zeros((0, 2), np.uint8), "empty"),
        ([[0.0]], "is a list"),
    ],
)
def test_kinds_refuse_to_guess(convert_to, image, message):
    with pytest.raises(ImageError, match=message):
        convert_to(image)


@pytest.mark.parametrize("function", EVERY)
@pytest.mark.parametrize(
    "image", [np.zeros((0, 0)), np.zeros(4), np.zeros((3, 3, 9)), [[1]], np.zeros((2, 2), complex)]
)
def test_every_function_refuses_what_is_no_image(function, image):
    with pytest.raises(ImageError):
        function(image)


@pytest.mark.parametrize(
    "function", [f for f in EVERY if f not in (drop_alpha, blend_alpha, to_color, convert, *GEOMETRY[3:])]
)
def test_nan_is_refused_where_it_would_spread(function):
    image = np.full((50, 50, 3), 0.5)
    image[3, 4, 1] = np.nan
    with pytest.raises(ImageError, match="NaN"):
        function(image)


@pytest.mark.parametrize("function", [f for f in EVERY if f not in (*GEOMETRY, EVERY[-1])])
def test_one_pixel_is_an_image(function):
    function(np.full((1, 1), 7, np.uint8))


def test_grey_and_color():
    expected = np.rint(skimage.color.rgb2gray(PHOTO) * 255)
    np.testing.assert_array_equal(to_grey(PHOTO), expected)
    floats = skimage.util.img_as_float32(PHOTO)
    assert to_grey(floats).dtype == np.float32
    np.testing.assert_allclose(to_grey(floats), skimage.color.rgb2gray(floats), atol=1e-6)
    np.testing.assert_array_equal(to_color(GREY), skimage.color.gray2rgb(GREY))
    np.testing.assert_array_equal(to_color(GREY[..., None]), skimage.color.gray2rgb(GREY))
    assert to_color(PHOTO) is PHOTO
    assert to_grey(GREY) is GREY


@pytest.mark.parametrize("background", [0.0, 0.3, 1.0])
def test_alpha(background):
    rgba = RNG.integers(0, 256, (8, 9, 4), dtype=np.uint8)
    expected = skimage.color.rgba2rgb(rgba, background=(background,) * 3)
    np.testing.assert_array_equal(blend_alpha(rgba, background=background), np.rint(expected * 255))
    grey = rgba[..., [0, 3]]
    as_rgba = grey[..., [0, 0, 0, 1]]
    np.testing.assert_array_equal(
        blend_alpha(grey, background=background), blend_alpha(as_rgba, background=background)[..., 0]
    )
    np.testing.assert_array_equal(drop_alpha(rgba), rgba[..., :3])
    np.testing.assert_array_equal(drop_alpha(grey), rgba[..., 0])
    assert to_grey(rgba).shape == to_grey(grey).shape == (8, 9)
    assert to_color(rgba).shape == to_color(grey).shape == (8, 9, 3)
    with pytest.raises(UsageError, match="background is 255"):
        blend_alpha(rgba, background=255)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(31, 47), (180, 100), 60])
@pytest.mark.parametrize("antialias", [True, False])
def test_resize(dtype, shape, antialias):
    image = in_dtype(dtype)
    found = resize(image, shape=shape, antialias=antialias)
    size = (shape, shape) if isinstance(shape, int) else shape
    floats = image.astype(np.float32 if dtype == "float32" else float)
    expected = skimage.transform.resize(floats, size, preserve_range=True, anti_aliasing=antialias)
    if image.dtype.kind in "ui":
        expected = np.rint(expected)
    if image.dtype == bool:
        expected = expected > 0.5
    assert found.dtype == image.dtype
    np.testing.assert_array_equal(found, expected)


def test_resize_nearest_keeps_labels():
    labels = RNG.integers(0, 200, (10, 12)).astype(np.int32) * 1000
    found = resize(labels, shape=(30, 24), interpolation="nearest")
    np.testing.assert_array_equal(found, np.kron(labels, np.ones((3, 2), np.int32)))
    expected = skimage.transform.resize(GREY, (41, 33), order=0, preserve_range=True, anti_aliasing=False)
    np.testing.assert_array_equal(resize(GREY, shape=(41, 33), interpolation="nearest"), expected)


@pytest.mark.parametrize("factor", [0.5, 1.7, (0.25, 2.0)])
@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
def test_rescale(factor, interpolation):
    order = {"linear": 1, "cubic": 3}[interpolation]
    expected = skimage.transform.rescale(
        PHOTO, factor, order=order, preserve_range=True, anti_aliasing=True, channel_axis=-1
    )
    found = rescale(PHOTO, factor=factor, interpolation=interpolation)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, np.rint(expected))


def test_downscale():
    expected = skimage.transform.downscale_local_mean(PHOTO, (4, 6, 1))
    np.testing.assert_array_equal(downscale(PHOTO, factors=(4, 6)), np.rint(expected))
    floats = as_float(GREY)
    np.testing.assert_allclose(downscale(floats, factors=3), skimage.transform.downscale_local_mean(floats, (3, 3)))
    # Where the sides are no multiples, the border is as bright as the picture.
    assert (downscale(np.full((7, 5), 200, np.uint8), factors=4) == 200).all()
    assert downscale(np.ones((7, 5)), factors=4).shape == (2, 2)


def test_crop_and_pad():
    np.testing.assert_array_equal(crop(PHOTO, shape=(20, 30), at=(5, 7)), PHOTO[5:25, 7:37])
    np.testing.assert_array_equal(crop(PHOTO, shape=96), PHOTO[:, 12:108])
    padded = pad(GREY, shape=(100, 101), value=255)
    assert padded.shape == (100, 101)
    np.testing.assert_array_equal(crop(padded, shape=GREY.shape), GREY)
    assert padded[0, 0] == 255
    for mode in ("edge", "reflect", "symmetric"):
        expected = np.pad(PHOTO, ((2, 2), (3, 3), (0, 0)), mode=mode)
        np.testing.assert_array_equal(pad(PHOTO, width=(2, 3), mode=mode), expected)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: resize(GREY, shape=(0, 5)), UsageError, r"shape is \(0, 5\); expected one whole number"),
        (lambda: resize(GREY, shape=(1, 2, 3)), UsageError, "shape is"),
        (lambda: resize(GREY, shape=2.5), UsageError, "shape is 2.5"),
        (lambda: resize(GREY, shape=5, interpolation="linar"), UsageError, "did you mean 'linear'"),
        (lambda: rescale(GREY, factor=-1), UsageError, "factor is -1"),
        (lambda: rescale(GREY, factor=float("nan")), UsageError, "factor is nan"),
        (lambda: rescale(GREY, factor="half"), UsageError, "factor is half"),
        (lambda: rescale(GREY, factor=0.001), ImageError, "would leave 0 x 0 pixels of 90 x 75"),
        (lambda: downscale(GREY, factors=0), UsageError, "factors is 0"),
        (
            lambda: crop(GREY, shape=200),
            ImageError,
            "200 x 200 pixels from its middle are not in an image of 90 x 75",
        ),
        (lambda: crop(GREY, shape=20, at=(80, 0)), ImageError, "at 80 x 0"),
        (lambda: crop(GREY, shape=20, at=(-1, 0)), UsageError, "at is"),
        (lambda: pad(GREY), UsageError, "either width or shape"),
        (lambda: pad(GREY, width=1, shape=9), UsageError, "either width or shape"),
        (lambda: pad(GREY, shape=50), ImageError, "does not fit into 50 x 50"),
        (lambda: pad(GREY, shape=0), UsageError, "shape is 0"),
        (lambda: pad(GREY, width=1, value=300), ImageError, "300 is none that uint8 holds"),
        (lambda: pad(GREY, width=1, value=0.5), ImageError, "0.5 is none that uint8 holds"),
        (lambda: pad(GREY, width=1, value=float("nan")), ImageError, "nan is none that uint8 holds"),
        (lambda: pad(GREY, width=1, mode="edg"), UsageError, "did you mean 'edge'"),
        (lambda: gaussian_noise(GREY, sigma=-1), UsageError, "sigma is -1"),
        (lambda: gaussian_noise(GREY, clip=False), UsageError, "uint8 cannot hold unclipped noise"),
        (lambda: gaussian_noise(np.full((2, 2), -0.5)), ImageError, r"expected \[0, 1\]"),
        (lambda: gaussian_noise(np.zeros((2, 2), np.int16)), ImageError, "int16"),
        (lambda: gaussian_noise(np.zeros((2, 2), np.int64)), ImageError, "int64"),
        (lambda: salt_pepper_noise(GREY, amount=2), UsageError, "amount is 2"),
        (lambda: noise(GREY, kind="gausian"), UsageError, "did you mean 'gaussian'"),
        (lambda: noise(GREY, kind="poisson", amount=1), UsageError, "takes no amount"),
        (lambda: noise(GREY, seed=-1), UsageError, "seed is -1"),
        (lambda: psnr(GREY, reference=PHOTO), ImageError, "expected the same"),
        (lambda: psnr(GREY, reference=as_float(GREY)), ImageError, "dtype uint8 and the reference float64"),
        (lambda: psnr(GREY * 2.0, reference=GREY * 2.0), ImageError, "float values go from"),
        (lambda: psnr(GREY, reference=GREY, data_range=0), UsageError, "data_range is 0"),
        (lambda: ssim(GREY[:5], reference=GREY[:5]), ImageError, "SSIM needs 7 x 7"),
        (lambda: ssim(GREY, reference=GREY, window=4), UsageError, "odd"),
        (lambda: convert(GREY, color="gray"), UsageError, "did you mean 'grey'"),
        (lambda: convert(GREY, dtype="byte"), UsageError, "kind of numbers"),
    ],
)
def test_wrong_calls_say_what_is_wrong(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("function", EVERY)
def test_nothing_is_changed_in_place(function):
    before = PHOTO.copy()
    function(PHOTO)
    np.testing.assert_array_equal(PHOTO, before)
