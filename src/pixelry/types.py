"""Results: one typed, frozen object a task, with its picture, its numbers and its file.

Shapes are checked on creation, so that a result that exists is a result that holds together.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

from pixelry.errors import ExistsError, UsageError


@dataclass(frozen=True, eq=False)
class Labels:
    """What a classifier says of one image.

    Attributes:
        scores: (K,) float32, the probability of each class; they sum to 1.
        classes: K class names.
        name: What the image is called: its path, or "#3" for the fourth of a batch.
        source: The image as it was given, (H, W) or (H, W, C) of any dtype, or the path to read it from again.
    """

    scores: NDArray[np.float32]
    classes: tuple[str, ...]
    name: str
    source: NDArray[Any] | Path

    def __post_init__(self) -> None:
        if self.scores.shape != (len(self.classes),):
            raise UsageError(f"scores have shape {self.scores.shape}; expected ({len(self.classes)},), one a class")

    @property
    def index(self) -> int:
        """Index of the most probable class."""
        return int(self.scores.argmax())

    @property
    def label(self) -> str:
        """Name of the most probable class."""
        return self.classes[self.index]

    @property
    def score(self) -> float:
        """Probability of the most probable class."""
        return float(self.scores.max())

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
        """Return the image with its best classes as bars beside it, (H, W, 3) uint8."""
        from pixelry.draw import draw_scores

        return draw_scores(self.image, self.top(3))

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the result: `.json` the numbers, an image suffix the picture.

        Raises:
            ExistsError: The file exists and `overwrite` is off.
        """
        path = Path(path)
        if path.suffix.lower() != ".json":
            from pixelry.pixels import write_image

            write_image(path, self.draw(), overwrite=overwrite)
            return
        if path.exists() and not overwrite:
            raise ExistsError(f"{path} exists; give another name, or overwrite=True")
        path.write_text(json.dumps(self.to_dict(), indent=2) + "\n", encoding="utf-8")

    def __str__(self) -> str:
        return f"{self.name}: {self.label} ({self.score:.1%})"

    def __repr__(self) -> str:
        return f"Labels({self})"


Result = Labels


class Results(list[Result]):
    """One result an image, in the order of the input.

    Attributes:
        failed: (name, message) of each image that could not be read and was skipped because that was asked for.
    """

    def __init__(self, results: Iterable[Result] = (), failed: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(results)
        self.failed = list(failed)
