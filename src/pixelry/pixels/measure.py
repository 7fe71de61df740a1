"""Objects in label images: connected parts, and their measurements by scikit-image's `regionprops`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelry.errors import ImageError, UsageError
from pixelry.pixels.color import blend_alpha, to_grey
from pixelry.pixels.dtype import Image

Row = dict[str, Any]

LENGTHS = ("perimeter", "equivalent_diameter", "major_axis", "minor_axis")
PROPERTIES = (
    "label", "area", "centroid", "bbox", "perimeter", "equivalent_diameter_area", "axis_major_length",
    "axis_minor_length", "eccentricity", "orientation", "solidity",
)  # fmt: skip
INTENSITIES = ("intensity_mean", "intensity_min", "intensity_max")
CHANNELS = ("red", "green", "blue")


@dataclass(frozen=True)
class PixelSize:
    """The side of a pixel.

    Attributes:
        length: In units, above 0.
        unit: Such as "um".
    """

    length: float
    unit: str


def parse_pixel_size(given: str | PixelSize | None) -> PixelSize | None:
    """Read the side of a pixel with its unit.

    Raises:
        UsageError: It is not a number above 0 with a unit.

    Examples:
        >>> parse_pixel_size("0.65um")
        PixelSize(length=0.65, unit='um')
    """
    if given is None or isinstance(given, PixelSize):
        return given
    match = re.fullmatch(r"\s*(\d+\.?\d*(?:[eE]-?\d+)?|\.\d+)\s*([^\W\d_]+)\s*", str(given))
    if not match or float(match[1]) <= 0:
        raise UsageError(f"the size of a pixel is '{given}'; expected a number above 0 and a unit, such as 0.65um")
    # Columns of tables are read by many programs: plain letters.
    return PixelSize(float(match[1]), match[2].replace("µ", "u").replace("μ", "u"))


def columns_of(size: PixelSize | None) -> list[str]:
    """Return the columns of a table of regions, in their order."""
    names = ["image", "class", "label", "score", "area_px"]
    names += [f"area_{size.unit}2"] if size else []
    names += ["centroid_row", "centroid_column", "left", "top", "right", "bottom"]
    for length in LENGTHS:
        names += [f"{length}_px", *([f"{length}_{size.unit}"] if size else [])]
    names += ["eccentricity", "orientation_deg", "solidity", *INTENSITIES]
    return [*names, *(f"{channel}_mean" for channel in CHANNELS), "touches_border"]


def connected_parts(ids: NDArray[np.integer], *, nothing: int, connectivity: int = 2) -> NDArray[np.int32]:
    """Return the number of the connected part that each pixel belongs to, from 1 on, 0 for none.

    Args:
        ids: (H, W), the class of each pixel; parts of different classes are different parts.
        nothing: The class of pixels that are in no part.
        connectivity: 2 connects pixels through sides and corners (8 neighbors), 1 through sides alone (4 neighbors).

    Returns:
        (H, W) int32, in the order of rows.

    Raises:
        UsageError: Another connectivity.

    Examples:
        >>> connected_parts(np.array([[1, 0], [0, 1]]), nothing=0).tolist()
        [[1, 0], [0, 1]]
    """
    from skimage.measure import label

    if connectivity not in (1, 2):
        raise UsageError(f"connectivity is {connectivity}; expected 1 (4 neighbors) or 2 (8 neighbors)")
    parts: NDArray[np.int32] = label(ids, background=nothing, connectivity=connectivity).astype(np.int32)
    return parts


def measure_labels(
    labels: NDArray[np.integer], image: Image | None = None, *, pixel_size: str | PixelSize | None = None
) -> list[Row]:
    """Measure the regions of a label image.

    Args:
        labels: (H, W), the number of the region of each pixel, 0 for none.
        image: (H, W) or (H, W, C) of the same height and width, whose values under the regions are measured as they
            are: of colors the luminance, and the mean of each channel. Alpha is blended over white.
        pixel_size: Side of a pixel with its unit, such as "0.65um".

    Returns:
        A row for each region, by number. `label` is the number; areas and lengths are in pixels, and in units where the
        size of a pixel is known; the centroid and the box (right and bottom exclusive) are in pixels, from 0 on;
        the perimeter is that of `skimage.measure.perimeter`; `orientation_deg` is the angle between the vertical and
        the long axis, from -90 to 90, counter-clockwise; `touches_border` is whether the region reaches the edge.

    Raises:
        ImageError: Label image and image do not fit.
        UsageError: The size of a pixel cannot be read.

    Examples:
        >>> [row["area_px"] for row in measure_labels(np.array([[1, 1, 0], [0, 0, 2]]))]
        [2, 1]
    """
    from skimage.measure import regionprops_table

    size = parse_pixel_size(pixel_size)
    if labels.ndim != 2:
        raise ImageError(f"a label image has shape (H, W); got {labels.shape}")
    if image is not None and image.shape[:2] != labels.shape:
        raise ImageError(
            f"the image has {image.shape[0]}x{image.shape[1]} pixels, the label image {labels.shape[0]}x"
            f"{labels.shape[1]}; they must lie over each other"
        )
    if not labels.any():
        return []
    stack = None if image is None else _channels(image)
    properties = (*PROPERTIES, *(INTENSITIES if stack is not None else ()))
    table = regionprops_table(labels, intensity_image=stack, properties=properties)
    return [_row(table, k, labels.shape, size) for k in range(len(table["label"]))]


def _channels(image: Image) -> NDArray[Any]:
    """Return the luminance, then red, green and blue of colors, (H, W, 1 or 4)."""
    opaque = blend_alpha(image)
    grey = to_grey(opaque)[..., None]
    return np.concatenate([grey, opaque], axis=2) if opaque.ndim == 3 and opaque.shape[2] == 3 else grey


def _row(table: dict[str, NDArray[Any]], k: int, shape: tuple[int, ...], size: PixelSize | None) -> Row:
    """Return the measurements of the k-th region of a table, in the order of `columns_of`, without image and class."""
    top, left, bottom, right = (int(table[f"bbox-{side}"][k]) for side in range(4))
    area = int(table["area"][k])
    row: Row = {"label": int(table["label"][k]), "area_px": area}
    if size:
        row[f"area_{size.unit}2"] = area * size.length**2
    row |= {"centroid_row": float(table["centroid-0"][k]), "centroid_column": float(table["centroid-1"][k])}
    row |= {"left": left, "top": top, "right": right, "bottom": bottom}
    columns = ("perimeter", "equivalent_diameter_area", "axis_major_length", "axis_minor_length")
    for name, column in zip(LENGTHS, columns, strict=True):
        row[f"{name}_px"] = float(table[column][k])
        if size:
            row[f"{name}_{size.unit}"] = row[f"{name}_px"] * size.length
    row["eccentricity"] = float(table["eccentricity"][k])
    row["orientation_deg"] = float(np.degrees(table["orientation"][k]))
    row["solidity"] = float(table["solidity"][k])
    if "intensity_mean-0" in table:
        row |= {name: float(table[f"{name}-0"][k]) for name in INTENSITIES}
    if "intensity_mean-3" in table:
        row |= {f"{name}_mean": float(table[f"intensity_mean-{c}"][k]) for c, name in enumerate(CHANNELS, 1)}
    row["touches_border"] = top == 0 or left == 0 or bottom == shape[0] or right == shape[1]
    return row
