"""What happens beside the steps of a run: stop in time, validate, log, save, show progress."""

from __future__ import annotations

import csv
import math
import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn

from pixelry.data.dataset import Split
from pixelry.errors import DataError, PixelryError
from pixelry.pixels import write_image
from pixelry.progress import live_progress
from pixelry.tasks.base import Evaluator, Task
from pixelry.training.clock import rate_factor
from pixelry.training.evaluate import evaluate_network
from pixelry.training.module import TrainingModule

Row = dict[str, Any]

# Validation takes at most about a twentieth of a run.
VALIDATION_SHARE = 0.05
# A curve of more points says no more.
VALIDATION_PART = 0.02
LOG_SECONDS = 5.0
# Short runs have rows more often, so that their loss is a curve too.
LOG_PART, LEAST_LOG_SECONDS = 0.01, 0.1
LINE_SECONDS = 10.0
QUIET_SECONDS = 30.0  # between two lines where there is no new validation


def _ours(module: LightningModule) -> TrainingModule:
    return cast(TrainingModule, module)


class StopInTime(Callback):
    """Ends the run when the budget is spent."""

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        module = _ours(pl_module)
        done = module.clock.is_done(module.step)
        if trainer.world_size > 1 and module.clock.seconds is not None:
            done = trainer.strategy.broadcast(done)
        if done:
            trainer.should_stop = True


class MetricsLog(Callback):
    """Writes `metrics.csv`: a row a few seconds and one for each validation.

    Lightning's CSVLogger deletes the file of an earlier sitting, and a resumed run would lose its first half.

    Args:
        path: The CSV file; rows of an earlier sitting up to `step` are kept.
        step: Where the run continues.
    """

    def __init__(self, path: Path, *, step: int = 0) -> None:
        self.path = path
        self.rows: list[Row] = [row for row in _read_rows(path) if int(row["step"]) <= step]
        self._last = (time.perf_counter(), step)
        self._progress = 0.0

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        now, module = time.perf_counter(), _ours(pl_module)
        seconds, step = self._last
        progress = module.clock.progress(module.step)
        due = progress - self._progress >= LOG_PART and now - seconds >= LEAST_LOG_SECONDS
        if due or now - seconds >= LOG_SECONDS or module.clock.is_done(module.step):
            rate = (module.step - step) * module.recipe.batch / max(now - seconds, 1e-9)
            losses = {name: float(value) for name, value in module.losses.items()}
            self.write(trainer, module, {**losses, "images_per_second": round(rate, 1)})
            self._last, self._progress = (now, module.step), progress

    def write(self, trainer: Trainer, module: TrainingModule, values: Row) -> None:
        """Add a row and rewrite the file (a run has few rows, and their columns grow)."""
        row = {
            "step": module.step,
            "seconds": round(module.clock.elapsed, 3),
            "progress": round(module.clock.progress(module.step), 6),
            "lr": module.recipe.lr * rate_factor(module.recipe, module.clock.progress(module.step)),
            **values,
        }
        self.rows.append(row)
        for logger in trainer.loggers:
            logger.log_metrics({name: float(value) for name, value in row.items()}, step=module.step)
        if trainer.is_global_zero:
            _write_rows(self.path, self.rows)

    def series(self, name: str) -> list[tuple[float, float]]:
        """Return (seconds, value) of every row that has the value."""
        return [(float(row["seconds"]), float(row[name])) for row in self.rows if row.get(name) not in (None, "")]


def _read_rows(path: Path) -> list[Row]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _write_rows(path: Path, rows: list[Row]) -> None:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    part = path.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    part.replace(path)


class Validate(Callback):
    """Evaluates the network on the validation split after an epoch, remembers the best, and stops early if asked.

    Args:
        split: Prepared validation images.
        metrics: Where the figures go.
        patience: Validations without a better score before the run ends; 0 never ends it.
        keep: Whether to remember the weights that have the best score.
        every_epoch: Validate after each, so that a resumed run decides as the undisturbed one; else validations are
            spaced so that they take a twentieth of the time.
        seconds: What a validation is expected to take, until one was made.
    """

    def __init__(
        self,
        split: Split,
        metrics: MetricsLog,
        *,
        patience: int = 0,
        keep: bool = False,
        every_epoch: bool = False,
        seconds: float = 0.0,
    ) -> None:
        self.split, self.metrics, self.patience = split, metrics, patience
        self.keep, self.every_epoch = keep, every_epoch
        self.best: tuple[float, dict[str, torch.Tensor]] | None = None
        # What the best weights gave on the split; None after a resume, which keeps the weights alone.
        self.best_evaluator: Evaluator | None = None
        self.best_step = self.misses = 0
        self.latest: dict[str, float] = {}
        self._seconds, self._finished, self._progress = seconds, -math.inf, -math.inf

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        _ours(pl_module).clock.reserve = self._seconds
        if self._seconds > 0:
            self._finished = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        module = _ours(pl_module)
        pause = time.perf_counter() - self._finished
        progress = module.clock.progress(module.step)
        if not self.every_epoch and (
            pause * VALIDATION_SHARE < self._seconds
            or progress - self._progress < VALIDATION_PART
            or module.clock.is_done(module.step)  # the fit function evaluates the finished network itself
        ):
            return
        self._progress = progress
        start = time.perf_counter()
        evaluator = evaluate_network(
            module.result,
            module.task,
            self.split,
            memory_format=module.memory_format,
            rank=trainer.global_rank,
            world=trainer.world_size,
        )
        self.latest = evaluator.compute()
        self._finished = time.perf_counter()
        self._seconds = self._finished - start
        module.clock.reserve = self._seconds
        self.metrics.write(trainer, module, {f"val_{name}": value for name, value in self.latest.items()})
        if self.keep:
            self._judge(trainer, module, evaluator)

    def _judge(self, trainer: Trainer, module: TrainingModule, evaluator: Evaluator) -> None:
        score = rank_of(module.task, self.latest)
        if self.best is None or score > self.best[0]:
            weights = {name: value.detach().clone() for name, value in module.result.state_dict().items()}
            self.best, self.best_step, self.misses = (score, weights), module.step, 0
            self.best_evaluator = evaluator
        else:
            self.misses += 1
        if self.patience and self.misses >= self.patience:
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {"best": self.best, "best_step": self.best_step, "misses": self.misses}

    def restore(self, checkpoint: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        state = checkpoint["callbacks"].get(self.state_key, {})
        self.best, self.misses = state.get("best"), state.get("misses", 0)
        self.best_step = state.get("best_step", 0)


def rank_of(task: Task, figures: Mapping[str, float]) -> float:
    """Return what a task is judged by, larger where the network is better; what is no number is the least."""
    score = figures[task.monitor] * (1 if task.higher_is_better else -1)
    return -math.inf if math.isnan(score) else score


class Samples(Callback):
    """Writes what a generator makes as training goes on, after an epoch, always of the same random numbers.

    Sheets are spaced like validations: together they take at most about a twentieth of the time.

    Args:
        folder: Of the pictures, `step-000500.png`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seconds, self._finished, self._progress = 0.0, -math.inf, -math.inf

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        module = _ours(pl_module)
        start, progress = time.perf_counter(), module.clock.progress(module.step)
        crowded = (start - self._finished) * VALIDATION_SHARE < self._seconds
        if not trainer.is_global_zero or crowded or progress - self._progress < VALIDATION_PART:
            return
        network = module.result
        was_training = network.training
        sheet = module.task.samples(network.eval())
        network.train(was_training)
        if sheet is not None:
            self.folder.mkdir(exist_ok=True)
            write_image(self.folder / f"step-{module.step:06d}.png", sheet, overwrite=True)
        self._progress, self._finished = progress, time.perf_counter()
        self._seconds = self._finished - start


class Checkpoint(Callback):
    """Keeps `checkpoints/last.ckpt`, replaced atomically, so that a kill at any moment leaves a whole one.

    Args:
        path: The file.
        seconds: At most so long between two checkpoints.
    """

    def __init__(self, path: Path, *, seconds: float) -> None:
        self.path, self.seconds = path, seconds
        self._last, self._written = time.perf_counter(), False

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        # Saving is collective: every process must come to the same answer, so the first one's clock decides.
        due = time.perf_counter() - self._last >= self.seconds
        if trainer.world_size > 1:
            due = trainer.strategy.broadcast(due)
        if self._written:
            # What was written has been through a step since: only what gives a finite loss replaces the one before.
            _ours(pl_module).check_loss()
            self._keep(trainer)
        if due:
            self.save(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        _ours(pl_module).check_loss()
        self.save(trainer)
        self._keep(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if trainer.is_global_zero:
            self._part.unlink(missing_ok=True)

    @property
    def _part(self) -> Path:
        return self.path.with_suffix(".part")

    def _keep(self, trainer: Trainer) -> None:
        if trainer.is_global_zero:
            self._part.replace(self.path)
        self._written = False

    def save(self, trainer: Trainer) -> None:
        """Write a checkpoint beside the one that is kept, which it replaces when it has proved good."""
        try:
            trainer.save_checkpoint(self._part)
        except (OSError, RuntimeError) as error:  # torch's writer turns a full disk into a RuntimeError
            raise PixelryError(
                f"the checkpoint {self.path} cannot be written ({error}); the one before is untouched: make room, and "
                f"continue with --resume {self.path.parent.parent}"
            ) from None
        self._last, self._written = time.perf_counter(), True


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint; only tensors and plain values are unpickled.

    Raises:
        DataError: The file cannot be read.
    """
    try:
        return cast(dict[str, Any], torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:
        raise DataError(f"the checkpoint {path} cannot be read: {error}") from None


class ProgressBar(Callback):
    """Shows how far the run is, the time left, loss, speed and the last validation.

    Args:
        console: Where to; on one that is no terminal a line for each validation, and at least every half minute.
        validate: Whose figures to show.
    """

    def __init__(self, console: Console, validate: Validate | None) -> None:
        self.console, self.validate = console, validate
        self.bar = live_progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%  {task.fields[left]} left  {task.fields[facts]}"),
            console=console,
        )
        self._first_step = 0
        self._shown: dict[str, float] = {}
        self._said = time.perf_counter()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        module = _ours(pl_module)
        self._first_step = module.step
        self.bar.start()
        self.task = self.bar.add_task(f"training {module.task.name}", total=1.0, left="…", facts="")

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        module = _ours(pl_module)
        if not self.bar.disable and module.step % 10:
            return
        progress, sitting = module.clock.progress(module.step), module.clock.elapsed - module.clock.spent
        speed = (module.step - self._first_step) * module.recipe.batch / max(sitting, 1e-9)
        passes = module.step / module.steps_per_epoch
        facts = f"step {module.step:,}  pass {passes:.1f}  loss {float(module.loss):.4f}  {speed:,.0f} images/s"
        latest = self.validate.latest if self.validate else {}
        if latest:
            facts += f"  val {module.task.monitor} {latest[module.task.monitor]:.4f}"
        now, left = time.perf_counter(), _time_left(module, progress)
        pause = LINE_SECONDS if latest is not self._shown else QUIET_SECONDS
        if self.bar.disable and now - self._said >= pause:
            self.console.print(f"{progress:4.0%}  {facts}  {left} left", highlight=False, soft_wrap=True)
            self._shown, self._said = latest, now
        self.bar.update(self.task, completed=progress, left=left, facts=facts)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.bar.stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self.bar.stop()


def _time_left(module: TrainingModule, progress: float) -> str:
    if not progress > 0:
        return "…"
    seconds = int(module.clock.elapsed * (1 - progress) / progress)
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


class GracefulInterrupt(AbstractContextManager["GracefulInterrupt"]):
    """CTRL-C ends the run after the current step, with a checkpoint and a usable model; twice stops at once.

    Args:
        stop: Called on the first interrupt.
        say: Tells the user.
    """

    def __init__(self, stop: Callable[[], None], say: Callable[[str], None]) -> None:
        self.stop, self.say = stop, say
        self.interrupted = False

    def __enter__(self) -> GracefulInterrupt:
        try:
            self._before = signal.signal(signal.SIGINT, self._handle)
        except ValueError:  # not the main thread, which alone may set handlers
            self._before = None
        return self

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.interrupted:
            # Lightning would swallow a second KeyboardInterrupt while it tears down.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        self.interrupted = True
        self.say("interrupted: finishing this step and saving the model (CTRL-C again to stop at once)")
        self.stop()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
