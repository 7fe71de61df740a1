"""Fit a network: Lightning's Trainer does loops, precision, devices and nodes; this puts the parts together."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from rich.console import Console
from torch import Tensor, nn

from pixelry.config import Budget, EngineConfig, RunConfig
from pixelry.data.augment import choose_policy, make_augment
from pixelry.data.dataset import Split
from pixelry.data.loading import Batch, SeededBatches, make_loader
from pixelry.errors import TrainingError, UsageError
from pixelry.networks.blocks import Fitted
from pixelry.tasks.base import Evaluator, Task
from pixelry.training.callbacks import (
    Checkpoint,
    GracefulInterrupt,
    MetricsLog,
    ProgressBar,
    Samples,
    StopInTime,
    Validate,
    load_checkpoint,
    rank_of,
)
from pixelry.training.clock import Clock
from pixelry.training.evaluate import evaluate_network
from pixelry.training.module import TrainingModule
from pixelry.training.pace import Pace, PaceCheck
from pixelry.training.speed import BUDGET_SECONDS, FORMATS, FastPath, choose_fast_path, seconds_per_image

STATISTICS_IMAGES = 10_000
STATISTICS_VALUES = 2**25
MEASURING_SHARE = 0.03  # of a budget in minutes: what choosing the fast path may take
CHECKPOINT = Path("checkpoints/last.ckpt")
METRICS = Path("metrics.csv")
SAMPLES = Path("samples")
# Lightning's remarks that are of no use here: data in memory needs no workers, a run by our own clock no limit of
# epochs, and what Lightning itself calls that torch has deprecated is not the user's affair.
QUIET = (
    ".*does not have many workers.*",
    ".*max_epochs.*",
    ".*is smaller than the logging interval.*",
    ".*isinstance.treespec, LeafSpec.*",
)


@dataclass(frozen=True)
class Fit:
    """What a run left: the network to keep, and how it came about.

    Attributes:
        network: In evaluation mode, on the CPU, float32.
        task: With what it fits to the validation split.
        steps: Steps taken in all sittings.
        kept_step: The step whose weights the network has: the last, or the one that was best on the validation split.
        last_score: Where it is not the last, what that one's score was on the validation split.
        epochs: Passes over the training set.
        seconds: Of training in all sittings.
        evaluator: Filled on the validation split; None without one.
        history: (seconds, score) at each validation, the last one included.
        interrupted: Whether CTRL-C ended the run before its budget.
        warnings: What makes the model worse than it could be, such as too few steps.
        is_main: Whether this process is the one that writes files.
    """

    network: nn.Module
    task: Task
    steps: int
    kept_step: int
    last_score: float | None
    epochs: float
    seconds: float
    evaluator: Evaluator | None
    history: list[tuple[float, float]]
    interrupted: bool
    is_main: bool
    warnings: tuple[str, ...] = ()

    @property
    def choice(self) -> str:
        """Which weights were kept, in words; nothing where they are the last."""
        return "" if self.last_score is None else f" (of step {self.kept_step:,}; the last has {self.last_score:.4f})"


def measuring_budget(budget: Budget) -> float:
    """Return how many seconds a run may take to choose its fast path: 3 % of its minutes, 10 s otherwise."""
    return MEASURING_SHARE * 60 * budget.minutes if budget.minutes is not None else BUDGET_SECONDS


def fast_path_for(
    network: nn.Module,
    task: Task,
    split: Split,
    config: RunConfig,
    *,
    budget: float | None = None,
    announce: Callable[[str], None] = lambda text: None,
) -> FastPath:
    """Return how to run the network: as the user chose, or as measured.

    Args:
        network: As it will be trained.
        task: Gives the losses.
        split: Prepared training images, of which one batch is measured.
        config: Of the run.
        budget: Seconds that a measurement may take; by default 3 % of a budget in minutes, and 10 s otherwise.
        announce: Receives a line of text before anything is measured.
    """
    engine = config.engine
    if engine.precision != "auto" and engine.memory_format != "auto":
        return FastPath(engine.precision, engine.memory_format, "set by the user")
    accelerator = "cpu" if engine.accelerator == "cpu" or not torch.cuda.is_available() else "cuda"
    budget = measuring_budget(config.budget) if budget is None else budget
    batch, key = _first_batch(split, config), _speed_key(task, config)
    choice = choose_fast_path(
        network, task, batch, accelerator=accelerator, key=key, precision=engine.precision,
        memory_format=engine.memory_format, budget=budget, announce=announce,
    )  # fmt: skip
    precision = choice.precision if engine.precision == "auto" else engine.precision
    memory_format = choice.memory_format if engine.memory_format == "auto" else engine.memory_format
    return FastPath(precision, memory_format, choice.reason)


def step_seconds(network: nn.Module, task: Task, split: Split, config: RunConfig, path: FastPath) -> float:
    """Return the seconds that a training step takes for an image, timed on a few images of a prepared split.

    A method without weights, such as non-local means, takes no step: 0.
    """
    if not any(weight.requires_grad for weight in network.parameters()):
        return 0.0
    return seconds_per_image(network, task, _first_batch(split, config), path=path, key=_speed_key(task, config))


def _first_batch(split: Split, config: RunConfig) -> Batch:
    return next(iter(make_loader(split, SeededBatches(len(split), config.recipe.batch, seed=0), workers=0)))


def _speed_key(task: Task, config: RunConfig) -> str:
    return repr((config.task, task.options(), config.network, sorted(config.network_options.items())))


def fit(
    network: nn.Module,
    task: Task,
    config: RunConfig,
    *,
    train: Split,
    val: Split | None,
    folder: Path,
    resume: bool = False,
    console: Console | None = None,
    begun: float | None = None,
    image_seconds: float = 0.0,
) -> Fit:
    """Train a network.

    Args:
        network: Is trained in place.
        task: Losses and metrics.
        config: The run's settings, with `engine.precision` and `engine.memory_format` decided.
        train: Prepared training images.
        val: Prepared validation images, or None.
        folder: Of the run: metrics.csv and checkpoints are written there.
        resume: Continue from the folder's checkpoint where there is one.
        console: Shows progress; None shows nothing.
        begun: When the run began, by `time.perf_counter`: a budget in minutes counts from there.
        image_seconds: Of a training step for an image, where that was timed: how long a validation will take.

    Raises:
        TrainingError: The loss is no longer a number; the last checkpoint is kept.
    """
    recipe, engine = config.recipe, config.engine
    if 0 < config.freeze < 1 and by_ddp(engine):
        raise UsageError(
            f"--freeze {config.freeze:g}, a part of the run, does not go with several processes (ddp), which agree at "
            "the start on the weights that are trained; freeze the backbone for the whole run, or give --devices 1"
        )
    if (config.early_stop or recipe.keep == "best") and len(task.phases) > 1:
        asked = "early stopping" if config.early_stop else "to keep the best"
        raise UsageError(
            f"{asked} needs a figure that gets better with the network, and {task.monitor} of a game does not"
        )
    channels, *size = train.images[0].shape
    policy = choose_policy(channels, task.classes) if recipe.augment == "auto" else recipe.augment
    batches = SeededBatches(len(train), recipe.batch, seed=config.seed)
    clock = Clock.for_budget(config.budget, recipe, batches.steps, begun=begun)
    module = TrainingModule(
        network,
        task,
        recipe,
        clock,
        augment=make_augment(policy, size=(size[0], size[1])),
        steps_per_epoch=batches.steps,
        memory_format=FORMATS[engine.memory_format],
        seed=config.seed,
        freeze=config.freeze,
        compile=engine.compile,
    )
    checkpoint = load_checkpoint(folder / CHECKPOINT) if resume and (folder / CHECKPOINT).exists() else None
    if checkpoint:
        module.restore(checkpoint)
    log = MetricsLog(folder / METRICS, step=module.step)
    validate = _validation(config, task, val, log, image_seconds)
    if validate and checkpoint:
        validate.restore(checkpoint)
    pace = Pace(config.budget, len(train), (size[0], size[1]), task.smaller_sizes((size[0], size[1])), task.min_steps)
    bar: list[Any] = []
    if console:
        bar = [ProgressBar(console, validate), PaceCheck(pace, partial(console.print, markup=False, highlight=False))]
    saver = Checkpoint(folder / CHECKPOINT, seconds=engine.checkpoint_seconds)
    callbacks = [*bar, log, *([validate] if validate else []), Samples(folder / SAMPLES), saver, StopInTime()]
    trainer = _make_trainer(config, callbacks, folder, strategy=strategy_for(config.engine, task))
    stop = _Stop(trainer)
    with GracefulInterrupt(stop, console.print if console else lambda text: None) as guard:
        # A classical method has nothing to learn.
        if clock.progress(module.step) < 1 and any(True for _ in network.parameters()):
            # The loader is made once Lightning knows which process this is: each takes its share of a batch.
            module.train_dataloader = lambda: make_loader(  # type: ignore[method-assign]
                train,
                SeededBatches(
                    len(train),
                    recipe.batch,
                    seed=config.seed,
                    start=module.step,
                    rank=trainer.global_rank,
                    world=trainer.world_size,
                ),
            )
            try:
                _run(trainer, module)
            except TrainingError as error:
                raise TrainingError(f"{error}; {_kept(folder)}") from None
    return _finish(module, validate, val, log, trainer, pace=pace, interrupted=guard.interrupted)


def _validation(
    config: RunConfig, task: Task, val: Split | None, log: MetricsLog, image_seconds: float
) -> Validate | None:
    """Return what validates a run, None without a split for that."""
    if val is None:
        return None
    in_minutes, patience = config.budget.minutes is not None, config.early_stop
    wanted = patience > 0 or config.recipe.keep == "best"
    keep = wanted or (config.recipe.keep == "auto" and in_minutes and len(task.phases) == 1)
    every_epoch = patience > 0 or (wanted and not in_minutes)
    # The forward pass is about a third of a training step.
    expected = image_seconds * len(val) / 3
    return Validate(val, log, patience=patience, keep=keep, every_epoch=every_epoch, seconds=expected)


def _kept(folder: Path) -> str:
    """Say what a run that has diverged leaves."""
    file = folder / CHECKPOINT
    if not file.exists():
        return "it came before the first checkpoint, so there is nothing to go back to"
    step = load_checkpoint(file)["pixelry"]["step"]
    return f"the last good checkpoint, of step {step:,}, is kept in {file}"


class _Stop:
    """Asks a trainer to stop after the current step."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer

    def __call__(self) -> None:
        self.trainer.should_stop = True


def by_ddp(engine: EngineConfig) -> bool:
    """Return whether several processes will share the training by torch's DDP: as told, or since there are several."""
    many = engine.nodes > 1 or (engine.devices.isdigit() and int(engine.devices) > 1)
    if engine.devices == "auto" and engine.accelerator != "cpu":
        many = many or torch.cuda.device_count() > 1
    return engine.strategy.startswith("ddp") or (engine.strategy == "auto" and many)


def strategy_for(engine: EngineConfig, task: Task) -> str:
    """Return Lightning's strategy: as told, but for tasks of several phases one that lets weights have no gradient.

    A phase leaves those of the others alone, and DDP waits for all unless it is told not to.
    """
    plain = engine.strategy in ("auto", "ddp")
    return "ddp_find_unused_parameters_true" if plain and by_ddp(engine) and len(task.phases) > 1 else engine.strategy


def _make_trainer(config: RunConfig, callbacks: list[Any], folder: Path, *, strategy: str) -> Trainer:
    engine = config.engine
    # Lightning's own announcements (devices, tips) would stand between the user and ours.
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    loggers = [TensorBoardLogger(folder, name="", version="tensorboard")] if find_spec("tensorboard") else False
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*GPU available but not used.*")
        return Trainer(
            accelerator=engine.accelerator,
            devices=int(engine.devices) if engine.devices.isdigit() else engine.devices,
            strategy=strategy,
            num_nodes=engine.nodes,
            precision=engine.precision,  # type: ignore[arg-type]  # Lightning checks it
            max_epochs=-1,
            callbacks=callbacks,
            logger=loggers,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
            benchmark=True,
        )


def _run(trainer: Trainer, module: TrainingModule) -> None:
    with warnings.catch_warnings():
        for message in QUIET:
            warnings.filterwarnings("ignore", message=message)
        module.train()
        trainer.fit(module)


def _finish(
    module: TrainingModule,
    validate: Validate | None,
    val: Split | None,
    log: MetricsLog,
    trainer: Trainer,
    *,
    pace: Pace,
    interrupted: bool,
) -> Fit:
    network = module.result.to("cpu").eval().requires_grad_(True)
    evaluator, task, kept, last = None, module.task, module.step, None
    if val is not None:
        evaluator = evaluate_network(network, module.task, val, memory_format=module.memory_format)
        task = module.task.calibrated(evaluator)
        figures = evaluator.compute()
        log.write(trainer, module, {f"val_{name}": value for name, value in figures.items()})
        if validate and validate.best and validate.best[0] > rank_of(task, figures):
            network.load_state_dict(validate.best[1])
            evaluator = validate.best_evaluator or evaluate_network(
                network, module.task, val, memory_format=module.memory_format
            )
            task = module.task.calibrated(evaluator)
            kept, last = validate.best_step, figures[task.monitor]
    epochs = module.step / module.steps_per_epoch
    warning = pace.warning(module.step, epochs, finished=True) if any(True for _ in network.parameters()) else ""
    return Fit(
        network=network,
        task=task,
        steps=module.step,
        kept_step=kept,
        last_score=last,
        epochs=epochs,
        seconds=module.clock.elapsed,
        evaluator=evaluator,
        history=log.series(f"val_{task.monitor}"),
        interrupted=interrupted,
        is_main=trainer.is_global_zero,
        warnings=(warning,) if warning and not interrupted else (),
    )


def fit_input(network: nn.Module, task: Task, train: Split, *, seed: int = 0) -> None:
    """Fit the input layers of a network (standardisation, whitening) to (at most 10,000) training images.

    They are fitted to what the network will see in training: noisy images, where the task adds noise.
    """
    layers = [module for module in network.modules() if isinstance(module, Fitted)]
    if not layers:
        return
    count = min(len(train), STATISTICS_IMAGES, max(1, STATISTICS_VALUES // train.images[0].numel()))
    chosen = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))[:count]
    images: Tensor
    if isinstance(train.images, Tensor):
        images = train.images[chosen]
    else:
        # Streamed data is large data, and parts of pictures are many: a few hundred tell their mean well enough.
        chosen = chosen[:256]
        images = torch.stack([train.images[int(i)] for i in chosen])
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        targets = {name: values[chosen] for name, values in train.targets.items() if isinstance(values, Tensor)}
        pixels = task.observe({"image": images.float() / 255, "index": chosen, **targets}, training=True)["image"]
        for number, layer in enumerate(layers, 1):
            layer.fit(pixels)
            if number < len(layers):
                pixels = layer(pixels)
