"""What tasks whose answer is a picture have in common: patches to learn from, pictures of any size, kind and depth."""

from __future__ import annotations

import dataclasses
import os
from abc import abstractmethod
from dataclasses import dataclass
from itertools import product
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
from pixelry.pixels import read_image
from pixelry.pixels.color import has_alpha
from pixelry.pixels.dtype import check_finite, check_image
from pixelry.tasks.base import Form, Source, Task, check_side, training_split
from pixelry.types import Restored

# Pixels of a picture that is seen at once; of a larger one tiles of this side.
AT_ONCE, TILE = 2**21, 1024
# Pictures of one size up to this side are trained on whole.
WHOLE = 128
# Numbers of a large picture that are brought into its dtype at once.
BAND = 2**22
# Of a picture: by itself, in its batch, and in the network's order of channels.
FLOAT_COPIES = 3


@dataclass(frozen=True)
class Restoration(Task):
    """A better picture of a given one.

    Attributes:
        self_ensemble: Restore a picture eight times, mirrored and turned, and answer with the mean (Lim et al. 2017,
            section 3.4): a little better, and eight times as slow. Of a model's use, not of its training.
    """

    classes: tuple[str, ...] = ()
    self_ensemble: bool = False

    monitor: ClassVar[str] = "psnr"
    higher_is_better: ClassVar[bool] = True
    patch: ClassVar[int] = 64

    @property
    def enlarged(self) -> int:
        """How many times as high and wide the answer is."""
        return 1

    @property
    def beyond(self) -> float:
        """By how much floats may leave [0, 1]: noise does, and what is meant as 0 to 255 does by far more."""
        return 1.0

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

        Large pictures are seen by overlapping tiles, whose edges are blended: beside the pictures and the answer memory
        holds two rows of tiles.
        """
        images = batch["image"]
        count, channels, height, width = images.shape
        if height * width <= AT_ONCE:
            return self.restored(network, images)

        def answer(top: int, left: int, high: int, wide: int) -> Tensor:
            part = images[..., top : top + high, left : left + wide]
            return self.restored(network, part).flatten(0, 1).cpu()

        whole, top = torch.empty(count * channels, self.enlarged * height, self.enlarged * width), 0
        for rows in blended(answer, (height, width), TILE, scale=self.enlarged):
            whole[:, top : top + rows.shape[1]] = rows
            top += rows.shape[1]
        return whole.unflatten(0, (count, channels))

    def restored(self, network: nn.Module, images: Tensor) -> Tensor:
        """Return intensities (B, C, H, W) of what a network says of pictures, or of eight views of each."""
        if not self.self_ensemble:
            return self.intensities(self.output(network, images))
        answers = []
        for turned, mirrored in product((False, True), ((), (-1,), (-2,), (-2, -1))):
            view = (images.mT if turned else images).flip(mirrored)
            found = self.intensities(self.output(network, view)).flip(mirrored)
            answers.append(found.mT if turned else found)
        return torch.stack(answers).mean(0)

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
        """Return an image as float (C, H, W) in [0, 1], at its own size; alpha is left out.

        Raises:
            ImageError: It is no image, of a dtype or range that a restored picture cannot have, or so large that there
                is no memory for the result.
        """
        _check_range(check_image(image), self.beyond)
        colors = image[..., :-1] if has_alpha(image) else image
        _check_memory(colors, self.enlarged, channels)
        pixels = _channels_first(colors)
        return pixels.expand(channels, -1, -1) if channels > len(pixels) else pixels

    def decode(
        self, output: Tensor, sources: list[Source], names: list[str], *, size: tuple[int, int]
    ) -> list[Restored]:
        """Turn intensities (B, C, H, W) into one picture an image, of the dtype that the image had."""
        return [
            Restored(image=_like(pixels, source), name=name, source=source)
            for pixels, source, name in zip(output, sources, names, strict=True)
        ]


def _check_memory(image: NDArray[Any], factor: int, channels: int) -> None:
    """Raise ImageError where a picture, its result and two rows of tiles, as float32, are more than a machine holds."""
    height, width = image.shape[:2]
    rows = height * (FLOAT_COPIES + factor**2) + 2 * min(height, TILE) * factor**2
    needed = 4 * rows * width * max(channels, 1 if image.ndim == 2 else image.shape[2])
    there = physical_memory()
    if needed > there:
        raise ImageError(
            f"the result has {factor * height:,} x {factor * width:,} pixels, which takes {needed / 2**30:,.0f} GiB of "
            f"memory with all that it is made of, and there are {there / 2**30:,.1f} GiB; cut the picture into parts"
        )


def physical_memory() -> float:
    """Return the machine's memory in bytes; infinity where the system does not tell."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return float("inf")


def _check_range(image: NDArray[Any], beyond: float) -> None:
    """Raise ImageError unless an image is of a kind and in a range that can be restored."""
    if image.dtype.kind != "f":
        if image.dtype.type not in (np.bool_, np.uint8, np.uint16):
            raise ImageError(
                f"a picture of {image.dtype} cannot be restored in kind; convert it to uint8, uint16 or floats first"
            )
        return
    check_finite(image)
    if image.min() < -beyond or image.max() > 1 + beyond:
        raise ImageError(
            f"floats are intensities in [0, 1], which noise may leave by {beyond:.3g}; got values from "
            f"{image.min():g} to {image.max():g}; divide by the largest possible value"
        )


def _channels_first(image: NDArray[Any]) -> Tensor:
    """Return (H, W) or (H, W, C) as float (C, H, W) in [0, 1]; floats as they are, with what noise left the range."""
    if image.dtype.kind == "u":
        # As float32 at once: float64 of a large picture takes gigabytes.
        image = np.divide(image, np.float32(np.iinfo(image.dtype).max), dtype=np.float32)
    pixels = torch.from_numpy(np.require(image, np.float32, ["C", "W"]))
    return pixels[None] if pixels.ndim == 2 else pixels.movedim(-1, 0)


def _like(pixels: Tensor, source: Source) -> NDArray[Any]:
    """Return (C, H, W) in the form of an image: its channels, alpha and dtype."""
    original = source if isinstance(source, np.ndarray) else read_image(source)
    alpha = original[..., -1:] if has_alpha(original) else None
    colors = 1 if original.ndim == 2 else original.shape[-1] - (alpha is not None)
    size = (int(pixels.shape[-2]), int(pixels.shape[-1]))
    picture = np.empty((*size, colors + (alpha is not None)), original.dtype)
    _fill(picture[..., :colors], pixels)
    if alpha is not None and alpha.shape[:2] == size:
        picture[..., -1:] = alpha
    elif alpha is not None:
        smooth = F.interpolate(_channels_first(alpha)[None], size, mode="bilinear", align_corners=False)
        _fill(picture[..., -1:], smooth[0])
    return picture[..., 0] if original.ndim == 2 else picture


def _fill(picture: NDArray[Any], pixels: Tensor) -> None:
    """Write intensities (C, H, W) into a picture (H, W, C) of any dtype; a grey one takes the mean of the channels.

    Band by band: of a large picture each further copy as floats takes gigabytes.
    """
    rows = max(1, BAND // (pixels.shape[0] * pixels.shape[-1]))
    for top in range(0, pixels.shape[-2], rows):
        band = pixels[:, top : top + rows].clamp(0, 1).movedim(0, -1).cpu().numpy()
        if picture.shape[-1] < band.shape[-1]:
            band = band.mean(-1, keepdims=True)
        picture[top : top + rows] = _of_dtype(band, picture.dtype)


def _of_dtype(pixels: NDArray[np.float32], kind: np.dtype[Any]) -> NDArray[Any]:
    """Return intensities in [0, 1] in the range of a dtype."""
    if kind == np.bool_:
        return pixels > 0.5
    if kind.kind == "f":
        return pixels.astype(kind)
    levels: NDArray[Any] = (pixels * np.iinfo(kind).max).round().astype(kind)
    return levels
