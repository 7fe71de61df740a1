"""Results: one typed, frozen object a task, with its picture, its numbers and its file.

Shapes are checked on creation, so that a result that exists is a result that holds together.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

from pixelry.boxes import Boxes
from pixelry.display import MAX_SIDE, Shown, downscaled, fitted, number, of_size, side_by_side
from pixelry.errors import ExistsError, UsageError
from pixelry.results import Results as Results
from pixelry.segments import Segments

# A probability that a table still shows.
LEAST_SHOWN = 0.001


@dataclass(frozen=True, eq=False)
class Labels(Shown):
    """What a classifier says of one image.

    Attributes:
        scores: (K,) float32, the probability of each class; they sum to 1.
        classes: K class names.
        name: What the image is called: its path, or "#3" for the fourth of a batch.
        source: The image as it was given, (H, W) or (H, W, C) of any dtype, or the path to read it from again.
        decision: Index of the label where a threshold decides on it; None for the most probable class.
        evidence: (h, w) float32 in [0, 1], where the evidence for the label lies, of the image as the network sees it:
            its central part of this aspect ratio. None unless it was asked for (`predict(..., explain=True)`).
    """

    scores: NDArray[np.float32]
    classes: tuple[str, ...]
    name: str
    source: NDArray[Any] | Path
    decision: int | None = None
    evidence: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        if self.scores.shape != (len(self.classes),):
            raise UsageError(f"scores have shape {self.scores.shape}; expected ({len(self.classes)},), one a class")

    @property
    def index(self) -> int:
        """Index of the label: the most probable class, unless a threshold decides otherwise."""
        return int(self.scores.argmax()) if self.decision is None else self.decision

    @property
    def label(self) -> str:
        """Name of the class that the image is given."""
        return self.classes[self.index]

    @property
    def score(self) -> float:
        """Probability of the label."""
        return float(self.scores[self.index])

    @property
    def image(self) -> NDArray[np.uint8]:
        """The image, (H, W) or (H, W, C) uint8; one that came from a file is read again."""
        from pixelry.pixels import read_image, to_uint8

        return to_uint8(read_image(self.source) if isinstance(self.source, Path) else self.source)

    def top(self, count: int = 5) -> list[tuple[str, float]]:
        """Return the most probable classes with their probabilities, best first."""
        order = np.argsort(-self.scores, kind="stable")[:count]
        return [(self.classes[i], float(self.scores[i])) for i in order]

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold: name, label, score and the five best classes."""
        return {
            "name": self.name,
            "label": self.label,
            "score": round(self.score, 6),
            "top": [{"label": label, "score": round(score, 6)} for label, score in self.top()],
        }

    def draw(self) -> NDArray[np.uint8]:
        """Return the image with its best classes as bars beside it, and with the evidence if it is known, (H, W, 3)."""
        from pixelry.draw import draw_scores
        from pixelry.heat import draw_explained

        if self.evidence is not None:
            return draw_explained(self.image, self.evidence, self.top(3))
        return draw_scores(self.image, self.top(3))

    def rows(self) -> list[dict[str, Any]]:
        """Return the one row of a table: name, label, score."""
        return [{"name": self.name, "label": self.label, "score": self.score}]

    def cells(self) -> dict[str, str]:
        """Return what a notebook's table has of it, by column."""
        second = ", ".join(f"{name} {score:.1%}" for name, score in self.top(3)[1:] if score >= LEAST_SHOWN)
        return {"label": self.label, "probability": number(f"{self.score:.1%}"), "next": second}

    def preview(self) -> NDArray[np.uint8]:
        """Return the image with its best classes as bars beside it."""
        return self.draw()

    def thumbnail(self, side: int) -> NDArray[np.uint8]:
        """Return the image alone, with its longer side at most `side` pixels, and at least half as many."""
        return fitted(self.image, side)

    def overlay(self) -> NDArray[np.uint8]:
        """Return the image with the evidence for its label as a heat map over it, (H, W, 3) uint8.

        Raises:
            UsageError: The evidence was not asked for.
        """
        from pixelry.heat import draw_heat

        if self.evidence is None:
            raise UsageError(f"{self.name} has no evidence: ask for it with predict(..., explain=True)")
        return draw_heat(self.image, self.evidence)

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the result: `.json` the numbers, an image suffix the picture.

        Raises:
            ExistsError: The file exists and `overwrite` is off.
        """
        save_result(path, self.draw, self.to_dict(), overwrite)

    def __str__(self) -> str:
        return f"{self.name}: {self.label} ({self.score:.1%})"

    def __repr__(self) -> str:
        return f"Labels({self})"


class _Picture(Shown):
    """A result that is a picture: NumPy takes it for its `image`, and `save` writes that."""

    image: NDArray[Any]

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        raise TypeError(f"{type(self).__name__} says nothing of itself")

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the picture; `.json` writes its numbers.

        Raises:
            ExistsError: The file exists and `overwrite` is off.
        """
        save_result(path, lambda: self.image, self.to_dict(), overwrite)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.image, dtype=dtype) if copy else np.asarray(self.image, dtype=dtype)


@dataclass(frozen=True, eq=False)
class Restored(_Picture):
    """A restored picture.

    Attributes:
        image: (H, W) or (H, W, C), of the shape and dtype of what was given, or enlarged a whole number of times.
        name: What the image is called: its path, or "#3" for the fourth of a batch.
        source: The image as it was given, or the path to read it from again.
        sigma: The standard deviation of its noise before, of 255 levels, where that was asked for.
        note: A warning, such as that its noise is not what the model was trained for.
    """

    image: NDArray[Any]
    name: str
    source: NDArray[Any] | Path
    sigma: float | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if self.image.ndim not in (2, 3):
            raise UsageError(f"a picture has shape (H, W) or (H, W, C); got {self.image.shape}")

    @property
    def original(self) -> NDArray[Any]:
        """The image before it was restored; one that came from a file is read again."""
        from pixelry.pixels import read_image

        return read_image(self.source) if isinstance(self.source, Path) else self.source

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold: name, shape, dtype, and the noise and a warning where there are any."""
        facts = {"name": self.name, "shape": list(self.image.shape), "dtype": str(self.image.dtype)}
        noise = {} if self.sigma is None or math.isnan(self.sigma) else {"sigma": round(self.sigma, 2)}
        return {**facts, **noise, **({"note": self.note} if self.note else {})}

    def rows(self) -> list[dict[str, Any]]:
        """Return the one row of a table: name, height, width, dtype."""
        height, width = self.image.shape[:2]
        return [{"name": self.name, "height": height, "width": width, "dtype": str(self.image.dtype)}]

    def cells(self) -> dict[str, str]:
        """Return what a notebook's table has of it, by column."""
        height, width = self.image.shape[:2]
        return {"pixels": f"{width}x{height}", "dtype": str(self.image.dtype)}

    def preview(self) -> NDArray[np.uint8]:
        """Return the image before and after, side by side, each with its longer side at most 512 pixels."""
        return downscaled(self.draw(longest=MAX_SIDE), 2 * MAX_SIDE + MAX_SIDE // 4)

    def draw(self, *, longest: int | None = None) -> NDArray[np.uint8]:
        """Return the image before and after, side by side, uint8; one that was enlarged is so before by interpolation.

        Args:
            longest: The longer side of each in pixels, where it would have more; None for as large as it is.
        """
        height, width = self.image.shape[:2]
        scale = min(1.0, longest / max(height, width)) if longest else 1.0
        size = max(1, round(scale * height)), max(1, round(scale * width))
        return side_by_side(*(of_size(picture, size) for picture in (self.original, self.image)))

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the picture, with EXIF and colour profile of the file that it came from; `.json` writes its numbers.

        Raises:
            ExistsError: The file exists and `overwrite` is off.
        """
        from pixelry.pixels import read_metadata, write_image

        path = Path(path)
        if path.suffix.lower() == ".json" or not isinstance(self.source, Path):
            super().save(path, overwrite=overwrite)
        else:
            write_image(path, self.image, overwrite=overwrite, metadata=read_metadata(self.source))

    def __str__(self) -> str:
        noise = "" if self.sigma is None else f", noise of sigma {self.sigma:.1f} (of 255)"
        note = f"; {self.note}" if self.note else ""
        return f"{self.name}: restored, {'x'.join(map(str, self.image.shape))} {self.image.dtype}{noise}{note}"

    def __repr__(self) -> str:
        return f"Restored({self})"


@dataclass(frozen=True, eq=False)
class Generated(_Picture):
    """A picture that a model made.

    Attributes:
        image: (H, W) or (H, W, 3) uint8.
        seed: Of the run; with `index` it makes the same picture again.
        index: Number of the picture in its run.
        label: The class that was asked for, if one was.
        given: What the model was given to complete, as `image`, if anything.
        known: (H, W) bool, the pixels of `given` that were kept.
    """

    image: NDArray[np.uint8]
    seed: int
    index: int
    label: str | None = None
    given: NDArray[np.uint8] | None = None
    known: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        if self.image.ndim not in (2, 3) or self.image.dtype != np.uint8:
            raise UsageError(f"a picture is uint8 (H, W) or (H, W, 3); got {self.image.dtype} {self.image.shape}")
        for other in (self.given, self.known):
            if other is not None and other.shape[:2] != self.image.shape[:2]:
                raise UsageError(f"a picture of {self.image.shape} cannot complete one of {other.shape}")

    @property
    def name(self) -> str:
        """What the picture is called: its seed, its number and its class."""
        return f"seed{self.seed}-{self.index:05d}" + (f"-{self.label}" if self.label is not None else "")

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold: name, seed, index, label, shape."""
        facts = {"name": self.name, "seed": self.seed, "index": self.index, "label": self.label}
        return {**facts, "shape": list(self.image.shape)}

    def rows(self) -> list[dict[str, Any]]:
        """Return the one row of a table: name, seed, index, label, height, width."""
        height, width = self.image.shape[:2]
        facts = {name: value for name, value in self.to_dict().items() if name != "shape"}
        return [{**facts, "height": height, "width": width}]

    def cells(self) -> dict[str, str]:
        """Return what a notebook's table has of it, by column."""
        return {"seed": str(self.seed), "index": str(self.index), "label": self.label or ""}

    def preview(self) -> NDArray[np.uint8]:
        """Return what `draw` does, at most a thousand pixels wide."""
        return downscaled(self.draw(), MAX_SIDE if self.given is None else 2 * MAX_SIDE)

    def draw(self) -> NDArray[np.uint8]:
        """Return the picture; of a completed one also what was known, on grey, before it."""
        if self.given is None or self.known is None:
            return self.image
        mask = self.known if self.image.ndim == 2 else self.known[..., None]
        return side_by_side(np.where(mask, self.given, np.uint8(128)), self.image)

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"Generated({self}, {'x'.join(map(str, self.image.shape))})"


def save_result(path: str | Path, picture: Callable[[], NDArray[Any]], facts: dict[str, Any], overwrite: bool) -> None:
    """Write a result: `.json` its facts, any other suffix its picture; raises ExistsError."""
    from pixelry.pixels import write_image
    from pixelry.pixels.io import replace_file

    path = Path(path)
    if path.suffix.lower() != ".json":
        write_image(path, picture(), overwrite=overwrite)
        return
    if path.exists() and not overwrite:
        raise ExistsError(f"{path} exists; give another name, or overwrite=True")
    replace_file(path, (json.dumps(facts, indent=2) + "\n").encode())


Result = Labels | Boxes | Segments | Restored | Generated
