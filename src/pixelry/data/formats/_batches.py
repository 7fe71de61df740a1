"""CIFAR's Python batches are pickles. They are read here by a reader that can build lists and arrays, nothing else.

A pickle runs code by naming a function that is to be called. This reader looks no name up: the few that NumPy
writes into its arrays stand for inert classes of this file, and any other name is an error.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from pixelry.errors import DataError


class _Dtype:
    """Stands for numpy.dtype: remembers its code."""

    def __init__(self, code: Any = "", *rest: Any) -> None:
        self.code = code.decode() if isinstance(code, bytes) else str(code)

    def __setstate__(self, state: Any) -> None:
        pass  # byte order and flags, which bytes do not have


class _Array:
    """Stands for numpy.ndarray: keeps shape, dtype and bytes."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.shape: tuple[int, ...]
        _, self.shape, self.dtype, self.columns_first, self.content = state

    def array(self) -> np.ndarray:
        if not isinstance(self.dtype, _Dtype) or self.dtype.code not in ("u1", "|u1"):
            raise DataError("has an array that is not of bytes")
        content = self.content.encode("latin-1") if isinstance(self.content, str) else self.content
        flat = np.frombuffer(bytearray(content), np.uint8)
        return flat.reshape(self.shape, order="F" if self.columns_first else "C")


def _make_array(*arguments: Any) -> _Array:
    return _Array()


def _encode(text: Any, *rest: Any) -> bytes:
    return text.encode("latin-1") if isinstance(text, str) else bytes(text)


STAND_INS = {
    ("numpy.core.multiarray", "_reconstruct"): _make_array,
    ("numpy._core.multiarray", "_reconstruct"): _make_array,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encode,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in STAND_INS:
            raise DataError(f"asks for {module}.{name}, which a CIFAR batch has no use for; it was not run")
        return STAND_INS[module, name]


def read_batch(path: Path) -> dict[str, Any]:
    """Read a Python batch: a dict of lists and uint8 arrays.

    Raises:
        DataError: It is damaged, or holds anything else; nothing in it is run.
    """
    try:
        value = _Reader(io.BytesIO(path.read_bytes()), encoding="bytes").load()
    except DataError as error:
        raise DataError(f"{path} {error}") from None
    except Exception as error:  # a damaged pickle raises whatever the place of the damage leads to
        raise DataError(f"{path} cannot be read as a CIFAR batch: {error}") from None
    if not isinstance(value, dict):
        raise DataError(f"{path} holds a {type(value).__name__}; expected the dict of a CIFAR batch")
    try:
        return {
            key.decode() if isinstance(key, bytes) else str(key): item.array() if isinstance(item, _Array) else item
            for key, item in value.items()
        }
    except (DataError, ValueError, AttributeError) as error:
        raise DataError(f"{path} {error}") from None
