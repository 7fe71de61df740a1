"""How much memory is held while something comes piece by piece."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable


def memory_peaks(pieces: Iterable[tuple[object, object]], *, every: int, kind: type) -> list[int]:
    """Return the most bytes that Python and NumPy held in each run of so many frames.

    Args:
        pieces: (frame, result), as `watch` gives them.
        every: Frames of a run.
        kind: Of every result.
    """
    peaks = []
    tracemalloc.start()
    for number, (_, result) in enumerate(pieces, 1):
        assert isinstance(result, kind)
        if number % every == 0:
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.reset_peak()
    tracemalloc.stop()
    return peaks
