"""A grey photograph in every dtype that pictures come in."""

from __future__ import annotations

import numpy as np
import skimage.util
from skimage import data

GREY = data.camera()[:90, :75]


def in_dtype(dtype: str) -> np.ndarray:
    return {
        "bool": GREY > 100,
        "uint8": GREY,
        "uint16": skimage.util.img_as_uint(GREY),
        "int16": skimage.util.img_as_int(GREY) - 5000,
        "float32": skimage.util.img_as_float32(GREY),
        "float64": skimage.util.img_as_float64(GREY),
    }[dtype]
