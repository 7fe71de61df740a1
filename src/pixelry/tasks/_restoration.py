"""What tasks whose answer is a picture have in common: patches to learn from, pictures of any size, kind and depth."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from pixelry.blending import blended
from pixelry.data.dataset import Dataset, Split
from pixelry.data.loading import Batch, native_size
from pixelry.data.patches import cut_patches, in_channels, smallest_size
from pixelry.errors import ImageError, UsageError
from pixelry.pixels import as_float, read_image
from pixelry.pixels.color import has_alpha
from pixelry.tasks.base import Form, Source, Task, check_side, training_split
from pixelry.types import Restored

# Pixels of a picture that is seen at once; of a larger one tiles of this side.
AT_ONCE, TILE = 2**21, 1024
# Pictures of one size up to this side are trained on whole.
WHOLE = 128
NOISE_BEYOND = 1.0


@dataclass(frozen=True)
class Restoration(Task):
    """A better picture of a given one."""

    classes: tuple[str, ...] = ()

    monitor: ClassVar[str] = "psnr"
    higher_is_better: ClassVar[bool] = True
    patch: ClassVar[int] = 64

    @property
    def enlarged(self) -> int:
        """How many times as high and wide the answer is."""
        return 1

    @classmethod
    def from_dataset(cls, dataset: Dataset, **options: Any) -> Self:
        """Make the task; labels, where there are any, are not used.

        Raises:
            DataError: There are no training pictures.
        """
        training_split(dataset)
        return cls(**options)

    def input_form(self, split: Split, form: Form) -> Form:
        """Train on whole pictures where they are small and of one size, else on square patches."""
        smallest = smallest_size(split)
        if form.size is not None:
            if form.size[0] > smallest[0] or form.size[1] > smallest[1]:
                raise UsageError(
                    f"patches of {form.size[0]}x{form.size[1]} do not fit: the smallest training picture has "
                    f"{smallest[0]}x{smallest[1]} pixels; give a smaller --size"
                )
            return form
        native = native_size(split)
        if native is not None and max(native) <= WHOLE:
            return dataclasses.replace(form, size=native)
        return dataclasses.replace(form, size=(min(self.patch, smallest[0]), min(self.patch, smallest[1])))

    def fit_split(self, split: Split, *, size: tuple[int, int], channels: int, training: bool = False) -> Split:
        """Return patches that cover the training pictures; whole pictures, of any size, to be judged on."""
        bare = Split(split.images, {}, split.names)  # labels and other targets have no part in this
        return cut_patches(bare, size=size, channels=channels) if training else in_channels(bare, channels)

    def forward(self, network: nn.Module, batch: Batch) -> Tensor:
        """Return the better pictures, which are in [0, 1] but for what a network does not know yet.

        Large pictures are seen by overlapping tiles, whose edges are blended: memory does not grow with the picture.
        """
        images = batch["image"]
        count, channels, height, width = images.shape
        if height * width <= AT_ONCE:
            return self.intensities(self.output(network, images))

        def answer(top: int, left: int, high: int, wide: int) -> Tensor:
            part = images[..., top : top + high, left : left + wide]
            return self.intensities(self.output(network, part)).flatten(0, 1).cpu()

        rows = torch.cat(list(blended(answer, (height, width), TILE, scale=self.enlarged)), 1)
        return rows.unflatten(0, (count, channels))

    @staticmethod
    def output(network: nn.Module, images: Tensor) -> Tensor:
        """Return what a network says of pictures; one for grey takes the channels one by one."""
        check_side(network, images)
        if images.shape[1] == getattr(network, "channels", images.shape[1]):
            found: Tensor = network(images)
            return found
        found = network(images.flatten(0, 1)[:, None])
        return found.flatten(0, 1).unflatten(0, (len(images), images.shape[1]))

    @staticmethod
    @abstractmethod
    def intensities(output: Tensor) -> Tensor:
        """Return intensities of what a network says."""

    def to_input(self, image: NDArray[Any], *, size: tuple[int, int], channels: int) -> Tensor:
        """Return an image as float (C, H, W) in [0, 1], at its own size; alpha is left out."""
        colors = image[..., :-1] if has_alpha(image) else image
        pixels = torch.from_numpy(np.require(_in_range(colors), np.float32, ["C", "W"]))
        pixels = pixels[None] if pixels.ndim == 2 else pixels.movedim(-1, 0)
        if len(pixels) not in (1, 3):
            raise ImageError(f"an image has 1 or 3 channels, and alpha; got {image.shape}")
        return pixels.expand(channels, -1, -1) if channels > len(pixels) else pixels

    def decode(
        self, output: Tensor, sources: list[Source], names: list[str], *, size: tuple[int, int]
    ) -> list[Restored]:
        """Turn intensities (B, C, H, W) into one picture an image, of the dtype that the image had."""
        restored = output.clamp(0, 1).movedim(1, -1).cpu().numpy()
        return [
            Restored(image=_like(pixels, source), name=name, source=source)
            for pixels, source, name in zip(restored, sources, names, strict=True)
        ]


def _in_range(image: NDArray[Any]) -> NDArray[Any]:
    """Return an image as floats in [0, 1]; floats as they are, so that noise may leave the range as in training."""
    if image.dtype.kind != "f":
        return as_float(image)
    if not np.isfinite(image).all() or image.min() < -NOISE_BEYOND or image.max() > 1 + NOISE_BEYOND:
        raise ImageError(
            f"floats are intensities in [0, 1], which noise may leave by {NOISE_BEYOND:g}; got values from "
            f"{image.min():g} to {image.max():g}; divide by the largest possible value"
        )
    return image


def _like(pixels: NDArray[np.float32], source: Source) -> NDArray[Any]:
    """Return (H, W, C) in [0, 1] in the form of an image: its channels, alpha and dtype."""
    original = source if isinstance(source, np.ndarray) else read_image(source)
    alpha = original[..., -1:] if has_alpha(original) else None
    colors = 1 if original.ndim == 2 else original.shape[-1] - (alpha is not None)
    if colors < pixels.shape[-1]:
        pixels = pixels.mean(-1, keepdims=True)
    if alpha is not None and alpha.shape[:2] != pixels.shape[:2]:
        smooth = torch.from_numpy(as_float(alpha).astype(np.float32)).movedim(-1, 0)[None]
        larger = F.interpolate(smooth, pixels.shape[:2], mode="bilinear", align_corners=False)[0]
        alpha = _of_dtype(larger.movedim(0, -1).numpy(), original.dtype)
    form = _of_dtype(pixels, original.dtype)
    form = form if alpha is None else np.concatenate([form, alpha], -1)
    return form[..., 0] if original.ndim == 2 else form


def _of_dtype(pixels: NDArray[np.float32], kind: np.dtype[Any]) -> NDArray[Any]:
    """Return intensities in [0, 1] in the range of a dtype."""
    if kind == np.bool_:
        return pixels > 0.5
    if kind.kind == "f":
        return pixels.astype(kind)
    if kind in (np.uint8, np.uint16):
        levels: NDArray[Any] = (pixels * np.iinfo(kind).max).round().astype(kind)
        return levels
    raise ImageError(f"a picture of {kind} cannot be restored in kind; convert it to uint8, uint16 or floats first")
