"""Pixels: read and write images, collections, dtypes, colour, geometry, noise, enhancement, quality, plots.

Pure functions on NumPy arrays (H, W) or (H, W, C): `image` first, everything else by keyword. What
scikit-image and Pillow do is theirs; this is one door to both, with one rule for dtypes and errors that say
what to do. Heavy modules are imported when a function first runs.
"""

from __future__ import annotations

from pixelry.pixels.batch import BatchResult, InfoResult, inspect_files, process
from pixelry.pixels.collection import ImageCollection, image_files
from pixelry.pixels.color import blend_alpha, drop_alpha, to_color, to_grey
from pixelry.pixels.deblur import deblur
from pixelry.pixels.depth import used_bits
from pixelry.pixels.dtype import as_float, as_int, as_ubyte, as_uint, to_uint8
from pixelry.pixels.encode import encode_image
from pixelry.pixels.enhance import equalize, expose, sharpen
from pixelry.pixels.geometry import crop, downscale, pad, rescale
from pixelry.pixels.header import Header, read_header
from pixelry.pixels.information import ImageInfo, image_info
from pixelry.pixels.io import (
    MAX_PIXELS,
    SUFFIXES,
    read_image,
    write_image,
)
from pixelry.pixels.metadata import Metadata, read_metadata
from pixelry.pixels.noise import gaussian_noise, noise, poisson_noise, salt_pepper_noise
from pixelry.pixels.operations import OPERATIONS, check_options, convert
from pixelry.pixels.plot import contact_sheet, histogram, show_collection, side_by_side
from pixelry.pixels.profile import profile_name, to_srgb
from pixelry.pixels.quality import psnr, ssim
from pixelry.pixels.resizing import resize
from pixelry.pixels.rewriting import auto_orient, strip_metadata
from pixelry.pixels.turning import flip, rotate

__all__ = [
    "MAX_PIXELS",
    "OPERATIONS",
    "SUFFIXES",
    "BatchResult",
    "Header",
    "ImageCollection",
    "ImageInfo",
    "InfoResult",
    "Metadata",
    "as_float",
    "as_int",
    "as_ubyte",
    "as_uint",
    "auto_orient",
    "blend_alpha",
    "check_options",
    "contact_sheet",
    "convert",
    "crop",
    "deblur",
    "downscale",
    "drop_alpha",
    "encode_image",
    "equalize",
    "expose",
    "flip",
    "gaussian_noise",
    "histogram",
    "image_files",
    "image_info",
    "inspect_files",
    "noise",
    "pad",
    "poisson_noise",
    "process",
    "profile_name",
    "psnr",
    "read_header",
    "read_image",
    "read_metadata",
    "rescale",
    "resize",
    "rotate",
    "salt_pepper_noise",
    "sharpen",
    "show_collection",
    "side_by_side",
    "ssim",
    "strip_metadata",
    "to_color",
    "to_grey",
    "to_srgb",
    "to_uint8",
    "used_bits",
    "write_image",
]
