"""Video: frames in and out, detection frame by frame, and videos that break off."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import pixelry as px
from memory import memory_peaks
from pixelry.boxes import Boxes
from pixelry.data.dataset import Dataset
from pixelry.errors import ExistsError, ImageError, UsageError
from pixelry.inputs import gather
from pixelry.tiling import merge, predict_tiles
from pixelry.video import Video, VideoWriter, is_video
from pixelry.watching import watch
from rectangles import FAST, scenes

SIZE = (64, 96)
ONE = 1 << 16  # of fixed-point numbers in MP4


def write_video(path: Path, frames: int, *, rate: int = 10) -> list[np.ndarray]:
    """Write a video in which a red square moves to the right."""
    written = []
    with VideoWriter(path, rate) as writer:
        for i in range(frames):
            image = np.full((*SIZE, 3), 110, np.uint8)
            left = 4 + 2 * i % 60
            image[20:44, left : left + 24] = (220, 40, 40)
            writer.write(image)
            written.append(image)
    return written


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> px.Model:
    data = Dataset("rectangles", {"train": scenes(48, seed=0)}, ("red", "blue"))
    folder = tmp_path_factory.mktemp("d") / "run"
    settings = {"batch": 16, "mosaic": 0.0, "hue": 0.0}
    return px.train("detect", data, steps=150, size=(64, 96), val_fraction=0, settings=settings, out=folder, **FAST)


def test_frames_come_back_as_they_were_written(here: Path) -> None:
    written = write_video(here / "a.mp4", 12)
    video = Video(here / "a.mp4")
    assert video.rate == 10
    assert video.frames == 12
    frames = list(video)
    assert [frame.number for frame in frames] == list(range(12))
    assert frames[5].seconds == pytest.approx(0.5)
    for frame, image in zip(frames, written, strict=True):
        assert frame.image.shape == (*SIZE, 3)
        assert np.abs(frame.image.astype(int) - image).mean() < 6  # compressed, and its colours at half the size


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_a_filmed_turn_is_undone(quarters: int, here: Path) -> None:
    # The matrix of a track (ISO/IEC 14496-12, 8.3.2): a point (x, y) of the film is shown at (ax + cy, bx + dy), which
    # for a = d = 0, b = 1, c = -1 is a quarter turn clockwise. It stands 40 bytes into what `tkhd` holds.
    written = write_video(here / "a.mp4", 2)[0]
    content = bytearray((here / "a.mp4").read_bytes())
    place = content.index(b"tkhd") + 4 + 40
    a, b = ((1, 0), (0, 1), (-1, 0), (0, -1))[quarters]
    matrix = struct.unpack(">9i", content[place : place + 36])
    assert matrix == (ONE, 0, 0, 0, ONE, 0, 0, 0, 1 << 30)
    content[place : place + 36] = struct.pack(">9i", a * ONE, b * ONE, 0, -b * ONE, a * ONE, *matrix[5:])
    (here / "b.mp4").write_bytes(content)
    first = next(iter(Video(here / "b.mp4"))).image
    upright = np.rot90(written, -quarters)
    assert first.shape == upright.shape
    assert np.abs(first.astype(int) - upright).mean() < 6


def test_what_is_a_video(here: Path) -> None:
    assert is_video("a.MP4")
    assert is_video("0")
    assert is_video("rtsp://camera/stream")
    assert not is_video("a.png")
    assert not is_video(np.zeros((3, 3)))
    (here / "0").mkdir()
    assert not is_video("0")  # a folder of that name


def test_a_video_is_predicted_frame_by_frame(detector: px.Model, here: Path) -> None:
    write_video(here / "street.mp4", 15)
    results = px.predict(detector, str(here / "street.mp4"), out=here / "out", progress=False)
    (watched,) = results.videos
    assert watched.frames == 15
    assert watched.found["red"] >= 12
    lines = [json.loads(line) for line in (here / "out/street.jsonl").read_text().splitlines()]
    assert [line["frame"] for line in lines] == list(range(15))
    lefts = [line["boxes"][0]["xyxy"][0] for line in lines if line["boxes"]]
    assert lefts[-1] - lefts[0] == pytest.approx(28, abs=8)  # it moves two pixels a frame
    drawn = list(Video(here / "out/street.mp4"))
    assert len(drawn) == 15
    assert Video(here / "out/street.mp4").rate == 10
    assert "15 frames" in str(watched)


def test_frames_are_read_as_they_are_asked_for(detector: px.Model, here: Path) -> None:
    write_video(here / "long.mp4", 150)
    peaks = memory_peaks(watch(detector, here / "long.mp4"), every=50, kind=Boxes)
    assert peaks[-1] < 1.2 * peaks[1] + 100_000


def test_videos_that_cannot_be_read_are_named(detector: px.Model, here: Path) -> None:
    with pytest.raises(ImageError, match="no video file"):
        Video(here / "none.mp4")
    (here / "text.mp4").write_text("no video at all")
    with pytest.raises(ImageError, match=r"text\.mp4 cannot be opened as a video"):
        Video(here / "text.mp4")
    with av.open(str(here / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 16000
        for frame in (sound, None):
            container.mux(stream.encode(frame))
    with pytest.raises(ImageError, match="has no pictures in it, only: audio"):
        Video(here / "sound.mp4")
    with pytest.raises(UsageError, match="give --out FOLDER"):
        px.predict(detector, "none.mp4")


def test_a_cut_video_keeps_what_came_before(detector: px.Model, here: Path) -> None:
    # Matroska can be read from the front without an index, so that a copy that broke off plays to where it ends.
    with av.open(str(here / "whole.mkv"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = SIZE[1], SIZE[0], "yuv420p"
        noise = np.random.default_rng(0)
        for _ in range(40):
            image = noise.integers(0, 255, (*SIZE, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    content = (here / "whole.mkv").read_bytes()
    write_video(here / "cut.mp4", 60)
    cut = (here / "cut.mp4").read_bytes()
    (here / "cut.mp4").write_bytes(cut[: len(cut) // 2])
    with pytest.raises(ImageError, match=r"cut\.mp4 cannot be opened"):
        Video(here / "cut.mp4")
    (here / "cut.mkv").write_bytes(content[: len(content) // 2])
    frames = sum(1 for _ in Video(here / "cut.mkv"))
    assert 5 < frames < 40


def test_a_file_is_not_overwritten_and_frames_have_one_size(here: Path) -> None:
    write_video(here / "a.mp4", 2)
    with pytest.raises(ExistsError, match=r"a\.mp4 exists"):
        VideoWriter(here / "a.mp4", 10)
    with VideoWriter(here / "b.mp4", 10) as writer:
        writer.write(np.zeros((33, 47, 3), np.uint8))  # odd sides are cut
        with pytest.raises(UsageError, match="frames of 32x46"):
            writer.write(np.zeros((64, 64, 3), np.uint8))


def test_tiles_find_what_is_small_in_a_large_picture(detector: px.Model, here: Path) -> None:
    large = np.full((512, 768, 3), 110, np.uint8)
    corners = [(20, 30), (100, 600), (300, 90), (470, 400), (250, 380)]
    for top, left in corners:
        large[top : top + 24, left : left + 24] = (220, 40, 40)
    (found,) = predict_tiles(detector, gather(large)[0], 96, settings={"confidence": 0.3})
    assert isinstance(found, Boxes)
    hit = sum(
        any(abs(x - left) < 6 and abs(y - top) < 6 for x, y in found.xyxy[:, :2].tolist()) for top, left in corners
    )
    assert hit >= 4
    whole = detector.predict(large, settings={"confidence": 0.3})
    assert len(whole) < hit  # squares of 4 pixels, in a picture as small as those of training
    with VideoWriter(here / "large.mp4", 10) as writer:
        writer.write(large)
    ((_, frame),) = watch(detector, here / "large.mp4", settings={"confidence": 0.3}, tile=96)
    assert isinstance(frame, Boxes)
    assert len(frame) > len(whole)
    for wrong in (large, here / "large.mp4"):
        with pytest.raises(UsageError, match="expected 32 pixels or more"):
            px.predict(detector, wrong, tile=8, out=here / "out")
    assert not (here / "out").exists()


def test_merging_takes_parts_out() -> None:
    xyxy = np.array([[0, 0, 10, 10], [0, 0, 10, 4], [0, 0, 10, 10], [30, 30, 40, 40]], np.float32)
    scores, labels = np.array([0.9, 0.8, 0.7, 0.1]), np.array([0, 0, 1, 0])
    assert merge(xyxy, scores, labels).tolist() == [0, 2, 3]


def test_options_of_detectors_are_checked(detector: px.Model, here: Path) -> None:
    image: Any = np.full((*SIZE, 3), 110, np.uint8)
    image[20:44, 10:34] = (220, 40, 40)
    found = px.predict(detector, image, confidence=0.1)
    assert set(found.names) >= {"red"}
    assert px.predict(detector, image, confidence=0.1, only=["blue"]).names.count("red") == 0
    with pytest.raises(UsageError, match="unknown class 'rde'; did you mean 'red'"):
        px.predict(detector, image, only=["rde"])
    with pytest.raises(UsageError, match="confidence is 3"):
        px.predict(detector, image, confidence=3.0)
    digits = px.train("classify", "digits", network="logistic", steps=2, **FAST)
    with pytest.raises(UsageError, match="a model for classify has no --confidence: these are for detectors"):
        px.predict(digits, np.zeros((8, 8)), confidence=0.5)
