"""A detector on a minute of video: frames a second from end to end, and the memory that it takes along the way.

    pixelry train detect --data shapes --minutes 5 --out detector
    python benchmarks/video.py --model detector --out video

The video is made here: scenes of `shapes` that drift behind a window of 640x360, a minute at 25 frames a second. It is
then watched by `pixelry predict` as a user would, in a process of its own, whose resident memory is read every second.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import pixelry as px
from pixelry.data.sheet import as_picture
from pixelry.pixels import resize, to_uint8
from pixelry.video import VideoWriter

HEIGHT, WIDTH, RATE = 360, 640, 25
SCENES = 12


def make(path: Path, seconds: int) -> None:
    """Write the video: a strip of scenes, as high as the window, which moves along it."""
    scenes = px.load_dataset("shapes")["test"].images
    cells = [resize(as_picture(scenes[i]), shape=(HEIGHT, HEIGHT)) for i in range(SCENES)]
    strip = to_uint8(np.concatenate(cells, 1))
    with VideoWriter(path, RATE) as writer:
        for number in range(seconds * RATE):
            left = number % (strip.shape[1] - WIDTH)
            writer.write(strip[:, left : left + WIDTH])


def resident(pid: int) -> float:
    """Return the resident memory of a process in MiB (Linux)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def main() -> None:
    """Make the video, watch it, and print a JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--out", type=Path, default=Path("video"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    video = given.out / "drifting.mp4"
    if not video.exists():
        make(video, given.seconds)
    found = given.out / "found"
    command = [sys.executable, "-m", "pixelry", "predict", given.model, str(video), "--out", str(found)]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    memory = []
    while process.poll() is None:
        time.sleep(1)
        if process.poll() is None:
            memory.append(resident(process.pid))
    seconds = time.perf_counter() - start
    if process.returncode:
        raise SystemExit(f"pixelry predict failed with {process.returncode}")
    lines = (found / "drifting.jsonl").read_text().splitlines()
    # Imports and the first frames take their share; from a quarter of the run on nothing should be added.
    later = memory[len(memory) // 4 :]
    row = {
        "frames": len(lines),
        "boxes": sum(len(json.loads(line)["boxes"]) for line in lines),
        "frames_per_s": round(len(lines) / seconds, 1),
        "peak_mib": round(max(memory)),
        "at_a_quarter_mib": round(later[0]),
        "at_the_end_mib": round(later[-1]),
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main()
