"""A model at work on video: each frame's result as a line of JSON, and drawn into a video of its own."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pixelry.boxes import Boxes
from pixelry.errors import ImageError, PixelryError
from pixelry.inputs import Input
from pixelry.model import Model
from pixelry.pixels import to_uint8
from pixelry.segments import Segments
from pixelry.tiling import check_tile, tile_result
from pixelry.types import Labels, Restored, Result
from pixelry.video import Frame, Video, VideoWriter


@dataclass(frozen=True)
class Watched:
    """What came of a video.

    Attributes:
        name: Of the video.
        frames: How many were seen.
        seconds: That took, reading and writing included.
        found: How often each class was seen, of models that name classes.
        video: The drawn video, None where no frame came.
        lines: The file with a JSON line for each frame.
        error: Why it ended early, "" if it did not.
    """

    name: str
    frames: int
    seconds: float
    found: Mapping[str, int] = field(default_factory=dict)
    video: Path | None = None
    lines: Path | None = None
    error: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return everything, ready for JSON."""
        files = {"video": str(self.video) if self.video else None, "lines": str(self.lines) if self.lines else None}
        facts = {"name": self.name, "frames": self.frames, "seconds": round(self.seconds, 3)}
        return {**facts, "found": dict(self.found), **files, "error": self.error}

    def __str__(self) -> str:
        speed = self.frames / max(self.seconds, 1e-9)
        found = ", ".join(f"{count:,} {name}" for name, count in self.found.items())
        return f"{self.name}: {self.frames:,} frames, {speed:.1f} a second{'; ' + found if found else ''}"


def watch(
    model: Model, source: str | Path, *, settings: Mapping[str, Any] | None = None, tile: int | None = None
) -> Iterator[tuple[Frame, Result]]:
    """Yield each frame of a video with what the model says of it; memory stays the same for any length.

    Args:
        model: Any that predicts.
        source: A file, a stream's address, or the number of a camera.
        settings: Options of the task, where they are not the model's own.
        tile: Side in pixels of the tiles by which frames are seen; by default they are seen whole.

    Raises:
        ImageError: The video cannot be opened or breaks off.
        UsageError: The model does not see by tiles.
    """
    yield from _watch(model, Video(source), settings, tile)


def _watch(
    model: Model, video: Video, settings: Mapping[str, Any] | None, tile: int | None
) -> Iterator[tuple[Frame, Result]]:
    if tile is not None:
        check_tile(model, tile)
    for frame in video:
        item = Input(f"frame {frame.number}", frame.image)
        if tile is None:
            (result,) = model.predict_each([item], settings=settings)
        else:
            result = tile_result(model, item, tile, settings)
        yield frame, result


def save_watched(
    model: Model,
    source: str | Path,
    folder: Path,
    *,
    settings: Mapping[str, Any] | None = None,
    tile: int | None = None,
    strip: bool = False,
    on_frame: Callable[[int, float], None] = lambda number, seconds: None,
) -> Watched:
    """Predict for a video, and write `NAME.mp4`, at the video's own rate and without its sound, and `NAME.jsonl`.

    A camera or stream goes on until it ends or CTRL-C. What breaks off keeps what came before, and `error` says why. A
    file that cannot be written to its end is removed.

    Args:
        model: Any that predicts.
        source: A file, a stream's address, or the number of a camera.
        folder: Where to.
        settings: Options of the task, where they are not the model's own.
        tile: Side in pixels of the tiles by which frames are seen; by default they are seen whole.
        strip: Of a model that restores pictures: also write `NAME-strip.mp4`, frames before and after side by side.
        on_frame: Called after each frame with its number and the seconds since the beginning.

    Raises:
        ImageError: The video cannot be opened.
        PixelryError: The files cannot be written.
    """
    video = Video(source)
    stem = re.sub(r"[^\w.+-]+", "-", Path(video.name).stem) or "video"
    path, lines = _free(folder, stem, ".mp4"), _free(folder, stem, ".jsonl")
    start, frames, found, error = time.perf_counter(), 0, Counter[str](), ""
    try:
        with ExitStack() as stack:
            file = stack.enter_context(lines.open("w", encoding="utf-8"))
            writer = stack.enter_context(VideoWriter(path, video.rate))
            pairs = _free(folder, f"{stem}-strip", ".mp4")
            beside = stack.enter_context(VideoWriter(pairs, video.rate)) if strip else None
            try:
                for frame, result in _watch(model, video, settings, tile):
                    facts = {**result.to_dict(), "name": video.name}
                    line = {"frame": frame.number, "seconds": round(frame.seconds, 4), **facts}
                    file.write(json.dumps(line) + "\n")
                    writer.write(to_uint8(result.image) if isinstance(result, Restored) else result.draw())
                    if beside is not None:
                        beside.write(result.draw())
                    found.update(_names(result))
                    frames += 1
                    on_frame(frames, time.perf_counter() - start)
            except ImageError as broken:
                error = str(broken)
            except KeyboardInterrupt:
                error = f"{video.name} was stopped after frame {frames}"
    except OSError as problem:
        lines.unlink(missing_ok=True)
        raise PixelryError(f"{lines} cannot be written: {problem.strerror}") from None
    seconds = time.perf_counter() - start
    return Watched(video.name, frames, seconds, dict(found), path if frames else None, lines, error)


def _names(result: Result) -> list[str]:
    if isinstance(result, Boxes):
        return result.names
    if isinstance(result, Segments):
        return list(result.areas)
    return [result.label] if isinstance(result, Labels) else []


def _free(folder: Path, stem: str, suffix: str) -> Path:
    """Return a file in a folder that does not exist yet."""
    names = (f"{stem}{suffix}", *(f"{stem}-{number}{suffix}" for number in range(2, 10_000)))
    return next(folder / name for name in names if not (folder / name).exists())
