"""The settings of a run as frozen dataclasses, to and from YAML.

`Recipe` is how a network is trained by default and stands next to it; `Budget` is for how long; `RunConfig` is
everything that `pixelry train` was told, and what `--resume` reads back.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

import yaml

from pixelry.errors import UsageError, unknown

# Of an image at a network: one of this size takes 3 GB as float32.
LARGEST_SIDE = 16_384
ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps")
# Lightning's names. Those of its others that give the weights another type do not go with our float32 losses.
PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")
SHORT_PRECISIONS = {"32": "32-true", "16": "16-mixed", "bf16": "bf16-mixed"}


@dataclass(frozen=True)
class Recipe:
    """How a network is trained unless told otherwise: each field can be set with `--set name=value`.

    Attributes:
        optimizer: "sgd" (Nesterov momentum), "adamw" (Loshchilov and Hutter 2019) or "muon" (Jordan et al. 2024:
            matrices and filters by orthogonal updates of AdamW's size, the rest by AdamW).
        lr: Peak learning rate at `batch` images a step.
        momentum: SGD's and Muon's momentum; AdamW's beta1.
        beta2: AdamW's.
        weight_decay: Decoupled from the gradient for AdamW and Muon, L2 for SGD; never on biases and norms.
        schedule: The shape of the learning rate after the warm-up: "cosine", "linear", "poly" (the linear one to the
            power of 0.9; all three go to zero) or "constant".
        warmup: Part of the run, in [0, 1), over which the rate rises linearly from a tenth.
        batch: Images a step (on all devices together).
        epochs: Length of a run when no budget is given.
        ema: Width of the exponential moving average of the weights as a part of the run, 0 for none.
            The decay at step t is (1 - 1/t) ** (1 / ema), which needs no knowledge of the run's length
            (the power-function EMA of Karras et al. 2024, "Analyzing and Improving the Training Dynamics of
            Diffusion Models", section 3.1).
        clip: Gradients are scaled to at most this norm, 0 for no limit.
        augment: "auto" (by the data), "none", "glyphs" (shift, rotate, scale; no mirror), "photos"
            (shift, mirror, cut-out) or "symmetries" (mirrors and quarter turns).
        keep: Which weights the model gets: the "last", or the "best" of all validations. "auto" is the best of a run in
            minutes; and the last of one that counts steps, where it would take a validation after every epoch for the
            same seed to find the same weights.
        options: Settings of the task that suit this network, such as {"label_smoothing": 0.1}.
    """

    optimizer: Literal["sgd", "adamw", "muon"] = "adamw"
    lr: float = 1e-3
    momentum: float = 0.9
    beta2: float = 0.999
    weight_decay: float = 1e-2
    schedule: Literal["cosine", "linear", "poly", "constant"] = "cosine"
    warmup: float = 0.05
    batch: int = 128
    epochs: int = 10
    ema: float = 0.0
    clip: float = 0.0
    augment: Literal["auto", "none", "glyphs", "photos", "symmetries"] = "auto"
    keep: Literal["auto", "best", "last"] = "auto"
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _positive(self, "lr", "batch", "epochs")
        for name in ("momentum", "beta2", "warmup", "ema"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; it must be at least 0 and below 1")
        for name in ("weight_decay", "clip"):
            if not (getattr(self, name) >= 0 and math.isfinite(getattr(self, name))):
                raise UsageError(f"{name} is {getattr(self, name)}; it must be 0 or more")


@dataclass(frozen=True)
class Budget:
    """For how long a run goes: epochs, steps or minutes; at most one is given.

    The learning-rate schedule is stretched over the budget, so that a run of any length ends annealed.
    """

    epochs: int | None = None
    steps: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        given = [name for name in ("epochs", "steps", "minutes") if getattr(self, name) is not None]
        if len(given) > 1:
            units = {"epochs": "passes over the training images", "steps": "batches", "minutes": "of training"}
            each = [f"{name}={getattr(self, name):g} ({units[name]})" for name in given]
            raise UsageError(
                f"{' and '.join(given)} are given, but a run takes one budget: {', '.join(each)}; leave out the others"
            )
        _positive(self, *given)

    def __str__(self) -> str:
        for name in ("epochs", "steps", "minutes"):
            value = getattr(self, name)
            if value is not None:
                return f"{value:g} {name}" if value != 1 else f"1 {name[:-1]}"
        return "the recipe's epochs"


@dataclass(frozen=True)
class DataConfig:
    """Which data, and in what form it reaches the network.

    Attributes:
        source: A built-in name or a path; None for data that was passed in memory.
        test: Where the test set lies, when it lies apart.
        format: A format's name, or None to recognise it.
        size: (height, width) in pixels at the network; None lets the data and the network decide.
        channels: 1 or 3; None takes the data's.
        val_fraction: Part of the training set that becomes the validation set where the data has none.
        fingerprint: Of the data's content, so that a resumed run can tell that it is the same.
    """

    source: str | None = None
    test: str | None = None
    format: str | None = None
    size: tuple[int, int] | None = None
    channels: int | None = None
    val_fraction: float = 0.1
    fingerprint: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.val_fraction < 1:
            raise UsageError(f"val_fraction is {self.val_fraction}; it must be at least 0 and below 1")
        if self.size is not None and min(self.size) < 1:
            raise UsageError(f"size is {self.size}; height and width must be at least 1 pixel")
        if self.size is not None and max(self.size) > LARGEST_SIDE:
            raise UsageError(
                f"size is {self.size[0]}x{self.size[1]}; a network takes at most {LARGEST_SIDE:,} pixels a side"
            )
        if self.channels not in (None, 1, 3):
            raise UsageError(f"channels is {self.channels}; a network sees 1 (grey) or 3 (colour) channels")


@dataclass(frozen=True)
class EngineConfig:
    """On what a run runs: these go straight to Lightning's Trainer.

    Attributes:
        accelerator: "auto", "cpu", "gpu", ... as Lightning names them.
        devices: How many, or "auto".
        strategy: "auto", "ddp", "fsdp", ...
        nodes: Machines.
        precision: "auto" measures what is fastest here and right; else Lightning's names, such as "32-true".
        memory_format: "auto" measures; or "channels_last", "contiguous".
        compile: Compile the network with torch.compile first (worth it for long runs).
        checkpoint_seconds: At most so long between two checkpoints.
    """

    accelerator: str = "auto"
    devices: str = "auto"
    strategy: str = "auto"
    nodes: int = 1
    precision: str = "auto"
    memory_format: Literal["auto", "channels_last", "contiguous"] = "auto"
    compile: bool = False
    checkpoint_seconds: float = 60.0

    def __post_init__(self) -> None:
        if self.accelerator not in ACCELERATORS:
            raise unknown("accelerator", self.accelerator, ACCELERATORS)
        if self.precision in SHORT_PRECISIONS:
            object.__setattr__(self, "precision", SHORT_PRECISIONS[self.precision])
        if self.precision not in PRECISIONS:
            raise UsageError(f"precision is '{self.precision}'; it must be one of {', '.join(PRECISIONS)}")
        check_value("memory_format", self.memory_format, get_type_hints(EngineConfig)["memory_format"])
        if not re.fullmatch(r"auto|-1|[1-9]\d*|\d+(,\d+)+,?|\d+,", self.devices):
            raise UsageError(
                f"devices is '{self.devices}'; give how many (from 1), 'auto', -1 for all, or their numbers such as 0,1"
            )
        if self.nodes < 1:
            raise UsageError(f"nodes is {self.nodes}; a run takes 1 machine or more")
        if not self.checkpoint_seconds >= 0:
            raise UsageError(f"checkpoint_seconds is {self.checkpoint_seconds}; it must be 0 (every step) or more")


@dataclass(frozen=True)
class RunConfig:
    """Everything that a run was told; `config.yaml` in its folder.

    Attributes:
        task: Name of the task.
        network: Name of the network.
        network_options: Keyword arguments of the network's `build`.
        weights: "imagenet" or a file from which the weights come; None starts from scratch.
        freeze: Part of the run, in [0, 1], during which all but the head is frozen; 1 is the whole run.
        early_stop: Stop after so many validations without a better score; 0 never stops early.
    """

    task: str
    network: str
    data: DataConfig = field(default_factory=DataConfig)
    recipe: Recipe = field(default_factory=Recipe)
    budget: Budget = field(default_factory=Budget)
    engine: EngineConfig = field(default_factory=EngineConfig)
    network_options: Mapping[str, Any] = field(default_factory=dict)
    weights: str | None = None
    freeze: float = 0.0
    early_stop: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.freeze <= 1:
            raise UsageError(f"freeze is {self.freeze}; it is the part of the run, from 0 to 1")
        if self.early_stop < 0:
            raise UsageError(f"early_stop is {self.early_stop}; give a number of validations, or 0 for never")


def _positive(config: Any, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        if not (value > 0 and math.isfinite(value)):
            raise UsageError(f"{name} is {value}; it must be above 0")


def save_config(config: RunConfig, path: Path) -> None:
    """Write a run's settings as YAML."""
    path.write_text(yaml.safe_dump(_plain(dataclasses.asdict(config)), sort_keys=False), encoding="utf-8")


def load_config(path: Path) -> RunConfig:
    """Read a run's settings back.

    Raises:
        UsageError: The file is no YAML of a run, or has a key or value that no setting takes.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is no YAML file: {error}") from None
    if not isinstance(raw, dict):
        raise UsageError(f"{path} does not hold the settings of a run")
    config = _build(RunConfig, raw)
    assert isinstance(config, RunConfig)
    return config


# Names of settings in other libraries, and here.
SETTING_SYNONYMS = {"learning_rate": "lr", "batch_size": "batch", "num_epochs": "epochs", "wd": "weight_decay"}


def unknown_setting(name: str, known: Iterable[str]) -> UsageError:
    """Return the error for a setting that is not known, with the one that is probably meant."""
    meant = SETTING_SYNONYMS.get(name, name)
    return (
        UsageError(f"unknown setting '{name}'; did you mean '{meant}'?")
        if meant in {*known} - {name}
        else unknown("setting", name, known)
    )


def parse_settings(items: list[str]) -> dict[str, Any]:
    """Turn `["lr=0.1", "augment=none"]` into a dict, with values read as YAML reads them.

    Raises:
        UsageError: An item is not `key=value`.
    """
    settings: dict[str, Any] = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not equals or not key:
            raise UsageError(f"--set takes key=value, such as lr=0.1; got '{item}'")
        # YAML reads 1e-3 as a string (it wants 1.0e-3), which nobody who types it means.
        try:
            parsed = yaml.safe_load(value)
        except yaml.YAMLError:
            raise UsageError(f"'{value}' is no value for {key}: a bracket, quote or brace in it stays open") from None
        settings[key.strip().replace("-", "_")] = _number(parsed) if isinstance(parsed, str) else parsed
    return settings


def replace(config: Any, settings: Mapping[str, Any]) -> Any:
    """Return a frozen dataclass with some fields replaced, each checked against its declared type.

    Raises:
        UsageError: No field has that name (the message has the nearest one), or the value has another type.
    """
    return dataclasses.replace(config, **_checked(type(config), settings))


def _build(cls: type, raw: Mapping[str, Any]) -> Any:
    nested = {
        f.name: hint for f in dataclasses.fields(cls) if dataclasses.is_dataclass(hint := get_type_hints(cls)[f.name])
    }
    flat = {key: value for key, value in raw.items() if key not in nested}
    parts = {key: _build(hint, raw[key]) for key, hint in nested.items() if key in raw}  # type: ignore[arg-type]
    return cls(**_checked(cls, flat), **parts)


def _checked(cls: type, settings: Mapping[str, Any]) -> dict[str, Any]:
    hints = get_type_hints(cls)
    for name in settings:
        if name not in hints:
            raise unknown("setting", name, hints)
    return {name: check_value(name, value, hints[name]) for name, value in settings.items()}


def check_value(name: str, value: Any, hint: Any) -> Any:
    """Return a value as its declared type, or raise UsageError saying what is expected."""
    kinds = [kind for kind in get_args(hint) if kind is not type(None)] if type(None) in get_args(hint) else [hint]
    if value is None and len(kinds) < len(get_args(hint)):
        return None
    for kind in kinds:
        choices = get_args(kind) if getattr(kind, "__origin__", None) is Literal else ()
        if choices:
            if value in choices:
                return value
            raise UsageError(f"{name} is '{value}'; it must be one of {', '.join(map(str, choices))}")
        base = getattr(kind, "__origin__", kind)
        if base is tuple and get_args(kind)[1:] == (Ellipsis,):
            inner = get_args(kind)[0]
            return tuple(check_value(name, item, inner) for item in _items(value, numbers=inner is float))
        if base is tuple and isinstance(value, list | tuple):
            return tuple(value)
        if base is Mapping and isinstance(value, Mapping):
            return dict(value)
        if base is float and isinstance(value, int | float) and not isinstance(value, bool):
            if not math.isfinite(value):
                raise UsageError(f"{name} is {value}; expected a finite number")
            return float(value)
        if base is Any or (isinstance(value, base) and not (base is int and isinstance(value, bool))):
            return value
    expected = " or ".join(getattr(kind, "__name__", str(kind)) for kind in kinds)
    raise UsageError(f"{name} is {value!r}; expected {expected}")


def _items(value: Any, *, numbers: bool) -> list[Any]:
    """Return the items of a list, or of a text such as "0.75,1"; anything else is one item."""
    if isinstance(value, str):
        parts = [part.strip() for part in value.split(",")]
        return [_number(part) for part in parts] if numbers else parts
    return list(value) if isinstance(value, list | tuple) else [value]


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
