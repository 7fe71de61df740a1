"""What segmenters have in common: pictures of any size, scaled until they fit a frame, with nothing around them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from numpy.typing import NDArray
from torch import Tensor

from pixelry.data.dataset import Split, image_to_tensor
from pixelry.data.framing import SIZES, frame_for
from pixelry.data.letterbox import place_in, scaled
from pixelry.data.loading import native_size
from pixelry.data.patches import image_sizes
from pixelry.errors import UsageError
from pixelry.tasks.base import OF_TRAINING, Candidate, Form, Task, check_ranges
from pixelry.tasks.segment.augment import MaskJitter

Size = tuple[int, int]

STRIDE = 32
LONGEST = 512  # of a frame, unless the user says more: what a CPU trains on
SMALLER = (384, 256, 192)  # where the time does not suffice for that


@dataclass(frozen=True)
class Window(Task):
    """A task whose networks take pictures of any size.

    Attributes:
        classes: Class names.
        smallest: Training pictures are scaled by this factor
        largest: to this one.
        turn: They are turned by at most so many degrees.
        mirror: Share that is mirrored left to right.
        upend: Share that is mirrored top to bottom: for pictures without an up.
        hue: At most such a part of the colour circle.
        saturation: Changed by at most such a part, up or down.
        value: Brightness likewise.
        least: Pixels of the longer side to which frames of smaller pictures are enlarged, to no more than twice.
    """

    classes: tuple[str, ...]
    smallest: float = field(default=0.5, metadata=OF_TRAINING)
    largest: float = field(default=2.0, metadata=OF_TRAINING)
    turn: float = field(default=5.0, metadata=OF_TRAINING)
    mirror: float = field(default=0.5, metadata=OF_TRAINING)
    upend: float = field(default=0.0, metadata=OF_TRAINING)
    hue: float = field(default=0.015, metadata=OF_TRAINING)
    saturation: float = field(default=0.4, metadata=OF_TRAINING)
    value: float = field(default=0.4, metadata=OF_TRAINING)

    name: ClassVar[str] = "segment"
    placed: ClassVar[bool] = True
    tells: ClassVar[tuple[str, ...]] = ("classes",)
    size_multiple: ClassVar[int] = STRIDE
    min_side: ClassVar[int] = 3 * STRIDE
    recommended: ClassVar[str] = "fpn"
    ladder: ClassVar[tuple[str, ...]] = ("logistic", "unet", "fcn", "lraspp", "fpn")
    least: ClassVar[int] = 0

    def __post_init__(self) -> None:
        check_ranges(self, shares=("mirror", "upend"), below_one=("hue", "saturation", "value"))
        if not 0 <= self.turn <= 180:
            raise UsageError(f"turn is {self.turn}; expected 0 to 180 degrees")
        self.changes()  # says what is wrong with the scales

    def changes(self) -> MaskJitter:
        """Return how training pictures are changed together with their masks."""
        return MaskJitter(
            self.smallest, self.largest, self.turn, mirror=self.mirror, upend=self.upend, hue=self.hue,
            saturation=self.saturation, value=self.value,
        )  # fmt: skip

    def outputs(self) -> dict[str, Any]:
        """Return the number of classes, which `build` needs."""
        return {"classes": len(self.classes)}

    def input_form(self, split: Split, form: Form) -> Form:
        """Return frames of the pictures' own size where they share one, else of their aspect; at most 512 pixels."""
        if form.size is not None:
            return form
        native = native_size(split)
        if native is not None and self.least <= max(native) <= LONGEST:
            return Form(form.channels, native)
        return Form(form.channels, frame_for(split, longest=LONGEST, stride=STRIDE, least=self.least))

    @classmethod
    def candidates(cls, split: Split) -> tuple[Candidate, ...]:
        """Return the recommended segmenter at the usual size, and in smaller frames."""
        own = max(max(size) for size in image_sizes(split.subset(range(min(SIZES, len(split))))))
        frames = [frame_for(split, longest=longest, stride=STRIDE) for longest in SMALLER if longest < own]
        return (Candidate(cls.recommended), *(Candidate(cls.recommended, frame) for frame in dict.fromkeys(frames)))

    def to_input(self, image: NDArray[Any], *, size: Size, channels: int) -> Tensor:
        """Return an image as uint8 (C, H, W), as large as it fits into the frame."""
        return scaled(image_to_tensor(image, channels=channels), size)

    @staticmethod
    def seen_size(own: Size, frame: Size) -> Size:
        """Return (height, width) at which the network sees an image."""
        return place_in(own, frame).size
