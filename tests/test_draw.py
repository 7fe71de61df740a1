"""Pictures of results: what is drawn is what was given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pixelry.draw import (
    confusion_figure,
    curves_figure,
    draw_boxes,
    draw_mask,
    draw_objects,
    draw_scores,
    name_regions,
    to_png,
)
from pixelry.errors import ImageError
from pixelry.pixels import read_image
from pixelry.tasks._classify_figures import reliability_figure

GREY = np.arange(96, dtype=np.uint8).reshape(8, 12) * 2
OPAQUE, CLEAR = np.full_like(GREY, 255), np.zeros_like(GREY)
MASK = (np.indices(GREY.shape).sum(0) % 3).astype(np.uint8)
DRAWN: dict[str, Callable[[NDArray[Any]], NDArray[np.uint8]]] = {
    "boxes": lambda image: draw_boxes(image, np.array([[1, 1, 6, 5.0]]), np.array([1])),
    "objects": lambda image: draw_objects(image, np.stack([MASK == 1, MASK > 0])),
    "mask": lambda image: draw_mask(image, MASK, ("background", "cat")),
    "scores": lambda image: draw_scores(image, [("cat", 0.9)]),
}


def test_figures_become_png() -> None:
    figure = curves_figure({"a": ([0, 1, 2], [0.1, 0.9, 0.95])}, xlabel="seconds", ylabel="score")
    assert isinstance(figure, Figure)
    picture = read_image(to_png(figure))
    assert picture.shape[0] > 300
    assert picture.std() > 1


@pytest.mark.parametrize("ends", [(0.96, 0.99), (1.2, 1.0), (0.5, 0.5)])
def test_the_focus_is_on_the_ends_of_curves(ends: tuple[float, float]) -> None:
    start = 0.1 if ends[0] < 1 else 9.0
    curves = {str(k): ([0, 1], [start, end]) for k, end in enumerate(ends)}
    low, high = curves_figure(curves, xlabel="x", ylabel="y", focus=True).axes[0].get_ylim()
    assert low < min(ends) <= max(ends) < high
    assert not low <= start <= high
    whole = curves_figure(curves, xlabel="x", ylabel="y").axes[0].get_ylim()
    assert whole[0] <= start <= whole[1]


@pytest.mark.parametrize("classes", [2, 10, 40])
def test_confusion_matrices_of_any_size(classes: int) -> None:
    matrix = np.diag(np.arange(classes)) + 1
    figure = confusion_figure(matrix, [f"class {k}" for k in range(classes)])
    shown = figure.axes[0].images[0].get_array()
    assert shown is not None
    np.testing.assert_allclose(np.asarray(shown).sum(1), 1)
    assert len(figure.axes[0].texts) == (classes**2 if classes <= 15 else 0)


def test_reliability_of_an_honest_model_lies_on_the_diagonal() -> None:
    random = np.random.default_rng(0)
    confidence = random.uniform(0.5, 1, 50_000)
    figure = reliability_figure(confidence, random.random(50_000) < confidence, 10)
    line = figure.axes[0].lines[-1]
    np.testing.assert_allclose(line.get_xdata(), line.get_ydata(), atol=0.02)


@pytest.mark.parametrize("shape", [(8, 8), (300, 200, 3), (1, 1), (5, 400)])
def test_scores_stand_beside_the_picture(shape: tuple[int, ...]) -> None:
    drawn = draw_scores(np.zeros(shape, np.uint8), [("cat", 0.9), ("a very long name of a class indeed", 0.1)])
    assert drawn.dtype == np.uint8
    assert drawn.shape[2] == 3
    assert drawn.shape[1] > 260
    assert (drawn[:, -240:] < 200).any()


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
@pytest.mark.parametrize(
    ("image", "shown"),
    [
        (GREY, GREY),
        (GREY[..., None], GREY),
        (np.stack([GREY, OPAQUE], 2), GREY),
        (np.stack([GREY, CLEAR], 2), OPAQUE),
        (np.stack([GREY] * 3, 2), GREY),
        (np.stack([GREY, GREY, GREY, OPAQUE], 2), GREY),
        (np.stack([GREY, GREY, GREY, CLEAR], 2), OPAQUE),
        (GREY > 90, (GREY > 90) * OPAQUE),
        (np.stack([GREY > 90] * 3, 2), (GREY > 90) * OPAQUE),
        (GREY.astype(np.uint16) * 257, GREY),
        (np.stack([GREY, GREY, GREY, OPAQUE], 2).astype(np.uint16) * 257, GREY),
        (GREY / 255, GREY),
        (np.stack([GREY / np.float32(255)] * 3, 2), GREY),
    ],
    ids=[
        "L",
        "L1",
        "LA",
        "LA-clear",
        "RGB",
        "RGBA",
        "RGBA-clear",
        "bool",
        "bool3",
        "uint16",
        "uint16-A",
        "float",
        "float3",
    ],
)
def test_pictures_of_any_kind_are_drawn_over(
    draw: Callable[[NDArray[Any]], NDArray[np.uint8]], image: NDArray[Any], shown: NDArray[np.uint8]
) -> None:
    before = image.copy()
    drawn = draw(image)
    assert drawn.dtype == np.uint8
    np.testing.assert_array_equal(drawn, draw(np.stack([shown] * 3, 2)))
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_what_is_no_picture_is_refused(draw: Callable[[NDArray[Any]], NDArray[np.uint8]]) -> None:
    with pytest.raises(ImageError, match=r"float values go from 0 to 190; expected"):
        draw(GREY.astype(float))


def test_objects_lie_over_the_picture_the_first_on_top() -> None:
    masks = np.zeros((2, 8, 12), bool)
    masks[0, :4], masks[1, 2:6] = True, True
    grey = np.full((8, 12), 100, np.uint8)
    drawn = draw_objects(grey, list(masks), strength=1.0)
    colors = [(128, 0, 0), (0, 128, 0), (100, 100, 100)]
    assert [tuple(drawn[row, 0].tolist()) for row in (0, 3, 4, 7)] == [colors[k] for k in (0, 0, 1, 2)]


def test_names_stand_in_the_regions_of_their_classes() -> None:
    ids = np.zeros((120, 200), np.uint8)
    ids[:, 100:], ids[:4, :4] = 1, 2
    page = np.full((120, 200, 3), 90, np.uint8)
    for first, halves in (("sky", (True, True)), ("background", (False, True))):
        changed = (name_regions(page, ids, (first, "road", "speck")) != page).any(2)
        assert (bool(changed[:, :100].any()), bool(changed[:, 100:].any())) == halves
        # In the middle of each half, and nowhere near the border between them.
        assert not changed[:, 90:110].any()
        assert not changed[:30].any()
