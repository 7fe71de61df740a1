"""The verb `report`: the page of a run or of a comparison, made again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pixelry.api import read_dataset
from pixelry.arguments import verb
from pixelry.errors import DataError, UsageError


@verb
def report(run: str | Path, *, data: Any = None, test: Any = None, evaluate: bool = True) -> Path:
    """Make the page of a run or a comparison again from its folder, without training, and return it.

    An earlier index.html is replaced. A run's model is evaluated on its validation images again, which needs the data
    that it was trained on.

    Args:
        run: The folder of a run or of a comparison.
        data: The data of the run, where it no longer lies where it lay, or was in memory.
        test: A second source that is the test split, where it was given in training.
        evaluate: Evaluate the model again; without, the page has the curves and the metrics of the model file alone.

    Raises:
        UsageError: The folder holds no run and no comparison, or the data is not what the run was trained on.
        DataError: The data cannot be read.
        ModelError: The run did not finish.
    """
    folder = Path(run)
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}; give the folder of a run or of a comparison")
    from pixelry.run_report import COMPARISON, check_run, rebuild_run

    check_run(folder)
    if (folder / COMPARISON).is_file():
        from pixelry.comparison import rebuild_comparison

        return rebuild_comparison(folder)
    return rebuild_run(folder, _run_data(folder, data, test) if evaluate else None)


def _run_data(folder: Path, data: Any, test: Any) -> Any:
    """Return the data of a run: as given, else from where its settings say."""
    from pixelry.runs import resumed

    config = resumed(folder)
    source = data if data is not None else config.data.source
    without = "or leave tables and pictures out with --no-evaluate"
    if source is None:
        raise UsageError(f"the run in {folder} was trained on data in memory: pass the same data again, {without}")
    try:
        dataset = read_dataset(source, test=test if test is not None else config.data.test, format=config.data.format)
    except DataError as error:
        raise DataError(f"the data of the run in {folder} cannot be read: {error}; give --data, {without}") from None
    if dataset.fingerprint != config.data.fingerprint:
        raise UsageError(f"{source} is not the data that the run in {folder} was trained on; give --data, {without}")
    return dataset
