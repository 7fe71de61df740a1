"""Video in and out through PyAV: files, streams and cameras as frames, one at a time, and frames as a file."""

from __future__ import annotations

import contextlib
import glob
import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import numpy as np
from natsort import natsorted
from numpy.typing import NDArray

from pixelry.errors import ExistsError, ImageError, PixelryError, UsageError

SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".ts")
STREAMS = ("rtsp://", "rtmp://", "http://", "https://", "udp://", "tcp://")
# What a camera is called and read by, system by system.
CAMERAS = {"Linux": ("/dev/video{}", "v4l2"), "Darwin": ("{}", "avfoundation"), "Windows": ("video={}", "dshow")}
USUAL_RATE = Fraction(25)
CODECS = ("libx264", "mpeg4")


@dataclass(frozen=True)
class Frame:
    """One picture of a video.

    Attributes:
        image: (H, W, 3) uint8.
        number: From 0 on.
        seconds: Since the video's beginning.
    """

    image: NDArray[np.uint8]
    number: int
    seconds: float


def is_video(source: Any) -> bool:
    """Return whether something names a video: a file by its suffix, a stream's address, or a camera's number."""
    if isinstance(source, int) and not isinstance(source, bool):
        return source >= 0
    if not isinstance(source, str | Path) or glob.has_magic(str(source)):
        return False
    text = str(source)
    camera = text.isdigit() and not Path(text).exists()
    return camera or text.startswith(STREAMS) or Path(text).suffix.lower() in SUFFIXES


def video_files(source: Any) -> list[Path]:
    """Return the videos in a folder, or those that a pattern matches, naturally sorted; none for anything else."""
    if not isinstance(source, str | Path):
        return []
    path, text = Path(source), str(source)
    if path.is_dir():
        found = [file for file in path.rglob("*") if file.is_file()]
    elif glob.has_magic(text) and not path.exists() and not text.startswith(STREAMS):
        found = [Path(name) for name in glob.glob(text, recursive=True)]  # noqa: PTH207 (absolute patterns)
    else:
        return []
    videos: list[Path] = natsorted(file for file in found if file.suffix.lower() in SUFFIXES)
    return videos


class Video:
    """The frames of a video, read as they are asked for: memory stays the same for any length.

    Args:
        source: A file, a stream's address, or the number of a camera, such as "0".

    Attributes:
        name: What it is called in messages.
        rate: Frames a second.
        frames: How many there are, as far as the file says so; None for streams and cameras.

    Raises:
        ImageError: It cannot be opened, or has no pictures in it.

    Examples:
        for frame in Video("street.mp4"):
            print(frame.number, frame.seconds, frame.image.shape)
    """

    def __init__(self, source: str | Path | int) -> None:
        address, form = str(source), None
        # A stream's address may hold a password, which is nobody's affair.
        self.name = re.sub(r"//[^@/]*@", "//", address)
        if address.isdigit() and not Path(address).exists():
            pattern, form = CAMERAS.get(platform.system(), CAMERAS["Linux"])
            address, self.name = pattern.format(address), f"camera {address}"
        elif not address.startswith(STREAMS) and not Path(address).is_file():
            raise ImageError(f"there is no video file {self.name}")
        try:
            self._container = av.open(address, format=form)
        except (av.FFmpegError, OSError) as error:
            raise ImageError(f"{self.name} cannot be opened as a video: {_reason(error)}") from None
        if not self._container.streams.video:
            kinds = ", ".join(sorted({stream.type for stream in self._container.streams})) or "nothing"
            self._container.close()
            raise ImageError(f"{self.name} has no pictures in it, only: {kinds}")
        stream = self._container.streams.video[0]
        stream.thread_type = "AUTO"
        self.rate = Fraction(stream.average_rate or USUAL_RATE)
        self.frames: int | None = stream.frames or None

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames.

        Raises:
            ImageError: The video breaks off or cannot be decoded; the frame is named.
        """
        number, first = 0, None
        with self._container as container:
            try:
                for picture in container.decode(video=0):
                    seconds = picture.time if picture.time is not None else float(number / self.rate)
                    first = seconds if first is None else first
                    image: NDArray[np.uint8] = np.asarray(picture.to_ndarray(format="rgb24"), dtype=np.uint8)
                    # Telephones film as they are held, and note how to turn the picture.
                    upright = np.rot90(image, round(picture.rotation / 90))
                    yield Frame(np.ascontiguousarray(upright), number, seconds - first)
                    number += 1
            except av.FFmpegError as error:
                raise ImageError(f"{self.name} cannot be read beyond frame {number}: {_reason(error)}") from None
        if self.frames is not None and number < self.frames:
            raise ImageError(f"{self.name} ends after frame {number} of the {self.frames} that it announces: it is cut")

    def __enter__(self) -> Video:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()


class VideoWriter:
    """Writes frames as an MP4 file, all of the size of the first (cut to even sides, as the codec wants them).

    A file that cannot be written to its end, such as on a full disk, is removed: without its end no player opens it.

    Args:
        path: The file, which must not exist.
        rate: Frames a second.

    Raises:
        ExistsError: The file exists.
    """

    def __init__(self, path: str | Path, rate: Fraction | float) -> None:
        self.path = Path(path)
        if self.path.exists():
            raise ExistsError(f"{path} exists; give another name")
        self._rate = Fraction(rate).limit_denominator(1001)
        self._container: Any = None
        self._stream: Any = None

    def write(self, image: NDArray[np.uint8]) -> None:
        """Add a frame (H, W, 3) uint8.

        Raises:
            ImageError: It is narrower or lower than 2 pixels.
            UsageError: It has another size than the first.
            PixelryError: The file cannot be written.
        """
        height, width = (side - side % 2 for side in image.shape[:2])
        if not height or not width:
            raise ImageError(
                f"a frame has {image.shape[0]} x {image.shape[1]} pixels; {self.path} takes frames of 2 x 2 or more"
            )
        if self._container is None:
            with self._whole():
                self._open(height, width)
        if (height, width) != (self._stream.height, self._stream.width):
            raise UsageError(
                f"frames of {self._stream.height}x{self._stream.width} are written to {self.path}; got one of "
                f"{height}x{width}"
            )
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image[:height, :width]), format="rgb24")
        with self._whole():
            self._container.mux(self._stream.encode(picture))

    def close(self) -> None:
        """Finish the file.

        Raises:
            PixelryError: It cannot be written.
        """
        if self._container is not None:
            with self._whole():
                self._container.mux(self._stream.encode(None))
                self._container.close()
            self._container = None

    def _open(self, height: int, width: int) -> None:
        self._container = av.open(str(self.path), "w")
        codec = next(name for name in CODECS if name in av.codecs_available)
        self._stream = self._container.add_stream(codec, rate=self._rate)
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"

    @contextlib.contextmanager
    def _whole(self) -> Iterator[None]:
        """Remove the file where it cannot be written."""
        try:
            yield
        except (av.FFmpegError, OSError) as error:
            container, self._container = self._container, None
            with contextlib.suppress(av.FFmpegError, OSError):
                if container is not None:
                    container.close()
            self.path.unlink(missing_ok=True)
            raise PixelryError(f"{self.path} cannot be written: {_reason(error)}") from None

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error)
