"""The model file: one `.safetensors` with the weights and, in its header, a JSON card that says all the rest.

Predicting needs the file and nothing else, and nothing in it is unpickled.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from pixelry import plugins
from pixelry.arguments import verb
from pixelry.card import Card, read_card
from pixelry.data.catalog import load_dataset
from pixelry.data.dataset import Dataset, Split
from pixelry.data.evaluation_split import evaluation_split
from pixelry.display import card_html
from pixelry.errors import ExistsError, ImageError, ModelError, PixelryError, UsageError
from pixelry.inputs import Input, all_results, black_pixels, gather, same_size_batches, single_image
from pixelry.pixels.io import replace_file
from pixelry.report import Report
from pixelry.tasks.base import Task, check_explains, check_side
from pixelry.tasks.generate import Generate
from pixelry.training.evaluate import evaluate_network, run_network
from pixelry.training.fused import fused
from pixelry.types import Generated, Result, Results

CARD_KEY = "pixelry"
LEAST_JUDGED = 10


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network with its task and its card.

    Attributes:
        network: In evaluation mode.
        task: Decodes and judges its output.
        card: See `Card`.
        path: The model file, where there is one.
    """

    network: nn.Module
    task: Task
    card: Card
    path: Path | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names."""
        return self.card.classes

    @property
    def parameters(self) -> int:
        """Number of trainable numbers."""
        return sum(p.numel() for p in self.network.parameters())

    def to(self, device: str) -> Model:
        """Move the network to a device, such as "cuda", and return the model."""
        self.network.to(device)
        return self

    @verb
    def predict(
        self,
        inputs: Any,
        *,
        batch: int | None = None,
        skip_errors: bool = False,
        settings: Mapping[str, Any] | None = None,
        explain: bool = False,
    ) -> Result | Results:
        """Predict for images of any size and kind.

        Args:
            inputs: One image: a path, bytes, a PIL image, an array (H, W) or (H, W, C) with scikit-image's ranges, a
                tensor (H, W) or (C, H, W), uint8 or float in [0, 1]. Or many: a folder, a glob pattern, an array
                (N, H, W), (N, H, W, C) or (N, C, H, W), a tensor (N, C, H, W), a split of a data
                set, a list of any of these.
            batch: Images at once; by default as many as two million pixels.
            skip_errors: Go on when an image cannot be read; `failed` of the results names it.
            settings: Options of the task, where they are not the model's own, such as confidence=0.5.
            explain: Of a classifier: also find where on each image the evidence for its label lies (Grad-CAM).

        Returns:
            One result for one image, else `Results` in the order of the input.

        Raises:
            ImageError: An image cannot be read; it is named.
            UsageError: Nothing was given, or it is of no known kind; a setting is unknown or out of range.
        """
        gathered, single = gather(inputs)
        failed = list[tuple[str, str]]()
        listed = failed if skip_errors else None
        found = self.predict_each(gathered, batch=batch, settings=settings, failed=listed, explain=explain)
        results = all_results(found, failed, single=single)
        return results[0] if single and results else results

    def predict_each(
        self,
        inputs: Iterable[Input],
        *,
        batch: int | None = None,
        settings: Mapping[str, Any] | None = None,
        failed: list[tuple[str, str]] | None = None,
        explain: bool = False,
    ) -> Iterator[Result]:
        """Yield the result of one image after the other: memory holds a batch of them.

        Args:
            inputs: As `pixelry.inputs.gather` returns them.
            batch: As in `predict`.
            settings: As in `predict`.
            failed: Is told name and message of each image that cannot be read; None raises ImageError for the first.
            explain: As in `predict`.
        """
        task = self.task.with_settings(settings) if settings else self.task
        check_explains(task, explain)
        for pending in same_size_batches(inputs, self._to_input, batch=batch, failed=failed):
            yield from self._predict_batch(task, pending, explain)

    def _to_input(self, item: Input) -> Tensor:
        pixels = self.task.to_input(item.read(), size=self.card.size, channels=self.card.channels)
        check_side(self.network, pixels)
        return pixels

    def run(self, images: Tensor, task: Task | None = None) -> Tensor:
        """Return what the network says, before the task reads it.

        Args:
            images: (B, C, H, W), uint8 or float in [0, 1], in the model's channels.
            task: The model's, with other options.
        """
        return run_network(fused(self.network), task or self.task, {"image": images}, memory_format=torch.channels_last)

    def _predict_batch(self, task: Task, pending: list[tuple[Tensor, Input]], explain: bool) -> Sequence[Result]:
        images = torch.stack([pixels for pixels, _ in pending])
        sources, names = [item.source for _, item in pending], [item.name for _, item in pending]
        results = task.decode(self.run(images, task), sources, names, size=self.card.size)
        return task.explained(self.network, images, results) if explain else results

    @verb
    def generate(
        self,
        count: int = 1,
        *,
        label: str | None = None,
        seed: int = 0,
        start: int = 0,
        settings: Mapping[str, Any] | None = None,
    ) -> Results:
        """Make pictures, and hold all of them in memory; `stream` holds a few.

        Args:
            count: How many.
            label: The class to draw, of a conditional model.
            seed: With a picture's number it makes the same picture again.
            start: Number of the first.
            settings: Options of the task to draw by, where they are not the model's own, such as steps=10.

        Raises:
            UsageError: The model does not generate, the label or a setting is unknown, or a number is out of range.
        """
        return Results(self.stream(count, label=label, seed=seed, start=start, settings=settings))

    @verb
    def stream(
        self,
        count: int,
        *,
        label: str | None = None,
        seed: int = 0,
        start: int = 0,
        settings: Mapping[str, Any] | None = None,
        on_progress: Callable[[float], None] = lambda done: None,
    ) -> Iterator[Generated]:
        """Return pictures one after the other, made a few at a time: memory stays the same for any number.

        Args and errors as for `generate`; `on_progress` is called with the pictures, or parts of them, that were done
        since the last call.
        """
        if count < 1 or start < 0 or seed < 0:
            raise UsageError(
                f"count is {count}, start {start}, seed {seed}; expected a count from 1 and start and seed from 0"
            )
        task = self._able("generate", settings)
        # The label is checked now, and not when the first picture is asked for.
        task.check_label(label)
        made: Iterator[Generated] = task.generate(
            self.network, count, label=label, seed=seed, start=start, on_progress=on_progress
        )
        return made

    @verb
    def inpaint(
        self,
        image: Any,
        mask: Any,
        *,
        count: int = 1,
        label: str | None = None,
        seed: int = 0,
        settings: Mapping[str, Any] | None = None,
        on_progress: Callable[[float], None] = lambda done: None,
    ) -> Results:
        """Draw the masked part of a picture anew.

        Args:
            image: One picture of the model's size: anything that `predict` takes.
            mask: One of the same height and width; what is white (above one half) is drawn, the rest is kept.
            count: How many completions.
            label: The class, of a conditional model.
            seed: With a completion's number it draws the same again.
            settings: Options of the task to draw by, where they are not the model's own, such as steps=10.
            on_progress: As for `stream`.

        Raises:
            UsageError: The model does not complete pictures, a number is out of range, or nothing is masked.
            ImageError: Picture or mask cannot be read, have another size, or the mask does not suit the model.
        """
        if count < 1 or seed < 0:
            raise UsageError(f"count is {count}, seed {seed}; expected a count from 1 and a seed from 0")
        task = self._able("complete", settings)
        pixels, area = (single_image(given, what) for given, what in ((image, "image"), (mask, "mask")))
        known = black_pixels(area)
        if known.all():
            raise UsageError("nothing in the mask is white, so there is nothing to draw: white is drawn, black is kept")
        form = {"size": self.card.size, "channels": self.card.channels}
        return Results(
            task.complete(self.network, pixels, known, count, **form, label=label, seed=seed, on_progress=on_progress)
        )

    def drawing(self, settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the options by which a generator draws pictures, with settings of one's own."""
        return dict(self._able("generate", settings).drawing())

    def _able(self, verb: str, settings: Mapping[str, Any] | None) -> Any:
        if not hasattr(self.task, verb):
            able = [name for name in plugins.tasks.names() if hasattr(plugins.tasks.load(name).TASK, verb)]
            raise UsageError(
                f"a model for {self.card.task} makes no pictures; train one with `pixelry train {' or '.join(able)}`"
            )
        return self.task.with_settings(settings or {})

    @verb
    def evaluate(
        self,
        data: Any,
        *,
        split: str | None = None,
        test: Any = None,
        format: str | None = None,
        settings: Mapping[str, Any] | None = None,
        features: Any = None,
        count: int = 2000,
        on_progress: Callable[[float], None] = lambda done: None,
    ) -> Report:
        """Evaluate on a split of a data set.

        Args:
            data: A `Dataset`, a built-in name, a path, or data in memory.
            split: "train", "val" or "test"; by default test where there is one, else val, which is drawn from train
                as in training. Of other data than the model was trained on, without test and val, all is taken; "all"
                takes all of any data without these splits.
            test: A second source that is the test split.
            format: A format's name, or None to recognise it.
            settings: Options of the task to judge by, where they are not the model's own, such as sigma=15.
            features: Of a generator: the classifier on whose features pictures are compared, a model file or `Model`,
                "digits" (ships with Pixelry, and is taken for digits by default) or "inception".
            count: Of a generator: how many pictures to make and compare with real ones.
            on_progress: Called with the pictures that were made since the last call.

        Raises:
            DataError: The classes are not the model's, or the split is empty.
            UsageError: A setting is unknown or out of range.
        """
        dataset = data if isinstance(data, Dataset) else load_dataset(data, test=test, format=format)
        # The model's own validation fraction: "val" is then what training set aside, and not what it saw.
        fraction = float(self.card.data.get("val_fraction", 0.1))
        dataset, name, called = evaluation_split(
            dataset, split, val_fraction=fraction, is_new=lambda: self._is_new(dataset)
        )
        images = dataset[name]
        self._check_classes(dataset)
        chosen = self.fit_split(images)
        task = self.task.with_settings(settings or {})
        if isinstance(task, Generate) and count < LEAST_JUDGED:
            raise UsageError(f"count is {count}; figures of fewer than {LEAST_JUDGED} pictures say nothing")
        evaluator = evaluate_network(fused(self.network), task, chosen)
        facts = {"parameters": self.parameters, "input": f"{self.card.channels} x {self.card.size}"}
        findings = task.findings(self.network, evaluator, chosen)
        if isinstance(task, Generate):
            # What judges pictures has models of its own, and so stands above this file.
            from pixelry.judging import judge_pictures

            judged = judge_pictures(self, task, dataset, name, features=features, count=count, on_progress=on_progress)
            findings = judged.and_findings(findings)
        elif features is not None:
            raise UsageError(f"features are for judging pictures that a model made; a model for {task.name} makes none")
        findings = findings.and_pictures(task.pictures(self.network))
        return Report(self.card.task, self.card.network, dataset.name, called, findings, facts)

    def _is_new(self, dataset: Dataset) -> bool:
        """Return whether the model was trained on other pictures; those of its own test split are others too."""
        return bool(dataset["train"].digest() != self.card.data.get("digests", {}).get("train"))

    def fit_split(self, split: Split) -> Split:
        """Return a split with its images in the form that the model is judged on."""
        return self.task.fit_split(split, size=self.card.size, channels=self.card.channels)

    def _check_classes(self, dataset: Dataset) -> None:
        classes = self.task.classes_of(dataset)
        if self.card.classes and classes != self.card.classes:
            raise ModelError(
                f"{dataset.name} has the classes {_few(classes)}, the model has {_few(self.card.classes)}; "
                "evaluate on data of the same classes in the same order"
            )

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the model file, atomically.

        Raises:
            ExistsError: The file exists and `overwrite` is off.
            PixelryError: The file cannot be written there.
        """
        path = Path(path)
        if path.suffix != ".safetensors":
            raise UsageError(f"a model file ends in .safetensors; got '{path}'")
        if path.exists() and not overwrite:
            raise ExistsError(f"{path} exists; give another name, or overwrite=True")
        tensors = {name: value.detach().cpu().contiguous() for name, value in self.network.state_dict().items()}
        content = safetensors.torch.save(tensors, metadata={CARD_KEY: json.dumps(asdict(self.card))})
        try:
            replace_file(path, content)
        except ImageError as error:
            raise PixelryError(f"the model cannot be written to {path.parent}: {error}") from None

    def __repr__(self) -> str:
        scores = ", ".join(f"{k} {v:.4f}" for k, v in self.card.metrics.items() if k == self.task.monitor)
        return (
            f"Model({self.card.task}, {self.card.network}, {len(self.classes)} classes, "
            f"{self.parameters:,} parameters{', val ' + scores if scores else ''})"
        )

    def _repr_html_(self) -> str:
        facts = {**self.card.facts(), "parameters": f"{self.parameters:,}", "file": str(self.path or "")}
        return card_html(f"{self.card.network} ({self.card.task})", facts=facts)


def _few(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:5])}{', …' if len(names) > 5 else ''} ({len(names)})"


def load_model(path: str | Path | Model) -> Model:
    """Load a model file.

    Args:
        path: A `.safetensors` file that Pixelry wrote, or a run's folder that holds `model.safetensors`; a model
            comes back as it is.

    Raises:
        ModelError: The file is missing, truncated, no Pixelry model, of a newer version, or its weights do not fit
            the network that its card names.
    """
    if isinstance(path, Model):
        return path
    path = Path(path)
    if path.is_dir():
        path = path / "model.safetensors"
    if not path.is_file():
        raise ModelError(f"there is no model file {path}; `pixelry train ... --out DIR` leaves DIR/model.safetensors")
    card, state = _read(path)
    try:
        plugin = plugins.network_for(card.network, card.task)
        task: Task = plugins.task_for(card.task, card.network)(classes=card.classes, **card.task_options)
        build = partial(plugin.build, channels=card.channels, size=card.size, **task.outputs(), **card.network_options)
        # On the meta device nothing is allocated: a card that claims a giant network costs nothing.
        with torch.device("meta"):
            network: nn.Module = build()
    except (UsageError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path}: the network of the card cannot be built: {error}") from None
    _check_shapes(path, network, state)
    if set(dict(network.named_buffers())) - set(network.state_dict()):
        # What the network computes for itself, and no file holds, needs a real device.
        network = build()
    network.load_state_dict(state, assign=True)
    return Model(network.eval().to(memory_format=torch.channels_last), task, card, path)


def _read(path: Path) -> tuple[Card, dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is no whole safetensors file: {error}") from None
    if CARD_KEY not in metadata:
        raise ModelError(
            f"{path} is a safetensors file, but not of Pixelry: it has no card; to start training from its weights "
            f"use `pixelry train ... --weights {path}`"
        )
    return read_card(path, metadata[CARD_KEY]), state


def _check_shapes(path: Path, network: nn.Module, state: dict[str, Tensor]) -> None:
    wanted = network.state_dict()
    for name in sorted({*wanted, *state}):
        have = tuple(state[name].shape) if name in state else "nothing"
        want = tuple(wanted[name].shape) if name in wanted else "nothing"
        same_type = name in state and name in wanted and state[name].dtype == wanted[name].dtype
        if have != want or not same_type:
            raise ModelError(f"{path}: {name} is {have} in the file, {want} in the network of its card")
