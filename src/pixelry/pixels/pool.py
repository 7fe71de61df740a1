"""One task for each of many files, in threads: those that fail are named, and the others go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TypeVar

from pixelry.errors import PixelryError, UsageError
from pixelry.machine import available_cores

Failure = tuple[Path, str]
Progress = Callable[[int, int], None]
Result = TypeVar("Result")


def run_tasks(
    tasks: Sequence[tuple[Path, Callable[[], Result]]], jobs: int | None, on_progress: Progress | None
) -> tuple[list[Result], list[Failure]]:
    """Run tasks in threads: decoding, filtering and encoding all run outside Python's lock.

    Args:
        tasks: Each with the file that it is for.
        jobs: Tasks at the same time; None for one for each processor core.
        on_progress: Called after each task with the number of tasks done and of all.

    Returns:
        What the tasks returned, in their order, and the files whose task failed, each with the reason.

    Raises:
        UsageError: jobs is below 1, or a task raised it: a wrong option is wrong for every file.
    """
    if jobs is not None and jobs < 1:
        raise UsageError(f"jobs is {jobs}; expected 1 or more")
    outcomes: dict[int, Result | str] = {}
    with ThreadPoolExecutor(jobs or available_cores()) as pool:
        futures = {pool.submit(_attempt, path, task): number for number, (path, task) in enumerate(tasks)}
        try:
            for done, future in enumerate(as_completed(futures), 1):
                outcomes[futures[future]] = future.result()
                if on_progress is not None:
                    on_progress(done, len(tasks))
        except BaseException:
            # A wrong option is wrong for every file, and CTRL-C means now.
            pool.shutdown(cancel_futures=True)
            raise
    found, failed = [], []
    for number, (path, _) in enumerate(tasks):
        outcome = outcomes[number]
        if isinstance(outcome, str):
            failed.append((path, outcome))
        else:
            found.append(outcome)
    return found, failed


def _attempt(path: Path, task: Callable[[], Result]) -> Result | str:
    try:
        return task()
    except UsageError:
        raise
    except PixelryError as error:
        message = str(error)
    except Exception as error:
        message = f"{type(error).__name__}: {error}"
    return message if str(path) in message else f"{path}: {message}"
