"""How long `pixelry --help` and `import pixelry` take: the median of many whole processes.

python benchmarks/startup.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import pixelry": [sys.executable, "-c", "import pixelry"],
    "pixelry --help": [str(Path(sys.executable).with_name("pixelry")), "--help"],
    "pixelry train --help": [str(Path(sys.executable).with_name("pixelry")), "train", "--help"],
}


def main(runs: int = 15) -> None:
    """Time each command and print its median."""
    for name, command in COMMANDS.items():
        times = []
        for _ in range(runs):
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            times.append(time.perf_counter() - start)
        print(f"{name}: {statistics.median(times):.3f} s (fastest {min(times):.3f})")


if __name__ == "__main__":
    main()
