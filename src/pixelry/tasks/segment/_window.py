"""What segmenters have in common: pictures of any size, scaled until they fit a frame, with nothing around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import NDArray
from torch import Tensor

from pixelry.data.dataset import Split, image_to_tensor
from pixelry.data.framing import frame_for, scaled
from pixelry.data.letterbox import place_in
from pixelry.data.loading import native_size
from pixelry.tasks.base import Form, Task

Size = tuple[int, int]

STRIDE = 32
LONGEST = 512  # of a frame, unless the user says more: what a CPU trains on


@dataclass(frozen=True)
class Window(Task):
    """A task whose networks take pictures of any size."""

    name: ClassVar[str] = "segment"
    placed: ClassVar[bool] = True
    tells: ClassVar[tuple[str, ...]] = ("classes",)
    recommended: ClassVar[str] = "fpn"
    ladder: ClassVar[tuple[str, ...]] = ("logistic", "unet", "fcn", "lraspp", "fpn")

    def outputs(self) -> dict[str, Any]:
        """Return the number of classes, which `build` needs."""
        return {"classes": len(self.classes)}

    def input_form(self, split: Split, form: Form) -> Form:
        """Return frames of the pictures' own size where they share one, else of their aspect; at most 512 pixels."""
        if form.size is not None:
            return form
        native = native_size(split)
        if native is not None and max(native) <= LONGEST:
            return Form(form.channels, native)
        return Form(form.channels, frame_for(split, longest=LONGEST, stride=STRIDE))

    def to_input(self, image: NDArray[Any], *, size: Size, channels: int) -> Tensor:
        """Return an image as uint8 (C, H, W), as large as it fits into the frame."""
        return scaled(image_to_tensor(image, channels=channels), size)

    @staticmethod
    def seen_size(own: Size, frame: Size) -> Size:
        """Return (height, width) at which the network sees an image."""
        return place_in(own, frame).size
