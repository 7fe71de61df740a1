"""Data sets from what a program has in memory: arrays, tensors, torch data sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pixelry.data.dataset import Dataset, Images, Split, image_to_tensor
from pixelry.data.lists import listed_images
from pixelry.errors import DataError, ImageError
from pixelry.pixels import to_uint8

Pair = tuple[Any, Any]


def dataset_from_arrays(
    splits: Mapping[str, Pair],
    *,
    classes: Sequence[str] | None = None,
    name: str = "arrays",
    format: str = "memory",
    source: str | None = None,
) -> Dataset:
    """Make a data set of arrays or tensors.

    Args:
        splits: {"train": (images, labels), ...}. Images of NumPy are (N, H, W), (N, H, W, C) or (N, C, H, W),
            those of torch (N, H, W) or (N, C, H, W); uint8, or another dtype with scikit-image's ranges; or a list of
            paths, PIL images, arrays or tensors. Labels are integers or strings (N,), or None.
        classes: Names by label; by default the labels themselves.
        name: What the data set is called.
        format: Who read it.
        source: Where it was read from.

    Raises:
        DataError: Shapes, dtypes or lengths do not fit; a value lies outside its range.
    """
    names = tuple(classes) if classes is not None else _names([labels for _, labels in splits.values()])
    made = {}
    for split, (images, labels) in splits.items():
        pixels = _pixels(images, f"{name}, split '{split}'")
        targets = {} if labels is None else {"label": _labels(labels, names, f"{name}, split '{split}'")}
        made[split] = Split(pixels, targets)
    return Dataset(name, made, names, format, source)


def dataset_from_torch(data: Any, *, name: str | None = None) -> Dataset:
    """Make a data set of a torch or torchvision one whose samples are (image, label); it is read as it is used.

    Images are PIL images, arrays, or tensors (C, H, W) of uint8 or of floats in [0, 1]. Random transforms are the
    business of training here: give the data set without them.

    Raises:
        DataError: Its samples are not (image, label).
    """
    called = name or type(data).__name__
    if not len(data):
        raise DataError(f"{called} is empty")
    labels = _torch_labels(data, called)
    names = getattr(data, "classes", None) or [str(k) for k in range(int(labels.max()) + 1)]
    return Dataset(called, {"train": Split(_TorchImages(data), {"label": labels})}, tuple(map(str, names)))


class _TorchImages:
    """The images of a torch data set."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Tensor:
        return _one_image(self.data[index][0], f"sample {index} of {type(self.data).__name__}")


def _one_image(image: Any, what: str) -> Tensor:
    if isinstance(image, Tensor):
        return _pixels(image[None], what)[0]
    try:
        return image_to_tensor(np.asarray(image))
    except ImageError as error:
        raise DataError(f"{what}: {error}") from None


def _torch_labels(data: Any, called: str) -> Tensor:
    known = getattr(data, "targets", getattr(data, "labels", None))
    if known is not None and len(known) == len(data):
        return torch.as_tensor(np.asarray(known)).long()
    labels = []
    for index in range(len(data)):
        sample = data[index]
        if not isinstance(sample, tuple | list) or len(sample) != 2:
            raise DataError(f"{called}: expected samples (image, label); sample {index} is {type(sample).__name__}")
        labels.append(int(sample[1]))
    return torch.tensor(labels)


def _names(labels: Sequence[Any]) -> tuple[str, ...]:
    """Return class names: the strings that occur, sorted, or 0 to the largest number."""
    arrays = [_whole(np.asarray(part)).ravel() for part in labels if part is not None]
    if not arrays:
        return ()
    if any(array.dtype.kind in "US" for array in arrays):
        return tuple(sorted({str(value) for array in arrays for value in array}))
    top = max((int(array.max()) for array in arrays if array.size and array.dtype.kind in "iu"), default=-1)
    return tuple(str(label) for label in range(top + 1))


def _whole(labels: np.ndarray) -> np.ndarray:
    """Return labels that are whole numbers as integers, whatever their dtype; others as they are."""
    if labels.dtype.kind == "b" or (labels.dtype.kind == "f" and (labels == labels.round()).all()):
        return labels.astype(np.int64)
    return labels


def _labels(labels: Any, names: tuple[str, ...], what: str) -> Tensor:
    array = _whole(np.asarray(labels))
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 2 and array.dtype.kind in "iu":
        raise DataError(f"{what}: labels have shape {array.shape}; of one-hot rows give labels.argmax(1)")
    if array.ndim != 1 or array.dtype.kind not in "iuUS":
        raise DataError(f"{what}: labels are integers or strings of shape (N,); got {array.dtype} {array.shape}")
    if array.dtype.kind in "US":
        index = {name: label for label, name in enumerate(names)}
        missing = sorted({str(value) for value in array} - set(index))
        if missing:
            raise DataError(f"{what}: label '{missing[0]}' is none of the classes {', '.join(names)}")
        return torch.tensor([index[str(value)] for value in array])
    return torch.from_numpy(array.astype(np.int64))


def _pixels(images: Any, what: str) -> Images:
    """Return images as uint8 (N, C, H, W), or one by one where they are files or have several sizes."""
    if isinstance(images, list | tuple) and images and not isinstance(images[0], list | tuple):
        return listed_images(images, what)
    array = images.detach().cpu().numpy() if isinstance(images, Tensor) else np.asarray(images)
    if array.ndim == 3:
        array = array[:, None]
    elif array.ndim == 4 and not isinstance(images, Tensor) and array.shape[-1] in (1, 3, 4):
        array = np.moveaxis(array, -1, 1)
    if array.ndim != 4 or array.shape[1] not in (1, 3, 4) or 0 in array.shape[2:]:
        raise DataError(
            f"{what}: images are (N, H, W), (N, H, W, C) or (N, C, H, W), C of 1, 3 or 4; got {array.shape}"
        )
    if array.dtype.kind not in "uif" or (array.dtype.itemsize > 4 and array.dtype.kind != "f"):
        remedy = "; if their values are bytes, use images.astype('uint8')" if array.dtype.kind in "ui" else ""
        raise DataError(f"{what}: images of {array.dtype}; expected uint8, uint16 or floats in [0, 1]{remedy}")
    try:
        pixels = array if array.dtype == np.uint8 else _as_bytes(array)
    except ImageError as error:
        raise DataError(f"{what}: {error}") from None
    tensor = torch.from_numpy(np.ascontiguousarray(pixels))
    if tensor.shape[1] == 4:
        alpha = tensor[:, 3:].float() / 255
        tensor = (tensor[:, :3].float() * alpha + 255 * (1 - alpha)).round().to(torch.uint8)
    return tensor


def _as_bytes(array: np.ndarray) -> np.ndarray:
    """Convert by scikit-image's ranges; the planes are laid out as one tall picture, which the rule does not mind."""
    return to_uint8(array.reshape(-1, array.shape[-1])).reshape(array.shape)
