"""How good made pictures are: how far they are from real ones, and whether they are only copies.

Every figure has its floor beside it: what real training pictures get, as many of them, in the place of the made ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pixelry.data.dataset import Dataset
from pixelry.data.loading import generator_for
from pixelry.data.sheet import as_picture
from pixelry.distances import frechet_distance, kernel_distance, nearest, precision_recall, total_variation
from pixelry.features import Features, load_features
from pixelry.pixels import contact_sheet
from pixelry.tasks.base import Findings, Picture, Table
from pixelry.tasks.generate import Diffusion, Generate
from pixelry.way import way_strip, way_to_noise, way_to_pictures

if TYPE_CHECKING:
    from pixelry.model import Model

SEED = 0
MOST_REAL = 10_000  # real pictures that made ones are compared with
MOST_TRAIN = 60_000  # training pictures among which copies are looked for, as many as have so many values:
TRAIN_VALUES = 2**26
LEAST_TRAIN = 1000
MOST_COPIES = 1000
SHOWN = 10
ROWS = 5


@dataclass(frozen=True)
class Pictures:
    """Pictures uint8 (N, C, H, W) and the names of their classes, None for those without."""

    images: Tensor
    labels: list[str | None]

    def part(self, which: slice) -> Pictures:
        """Return some of them."""
        return Pictures(self.images[which], self.labels[which])


@dataclass(frozen=True)
class Seen:
    """Pictures as the features see them: features (N, D), and the likeliest class of each, (N,)."""

    pictures: Pictures
    features: Tensor
    classes: Tensor

    def counts(self, classes: int) -> Tensor:
        """Return how many there are of each class, (K,)."""
        return torch.bincount(self.classes, minlength=classes).double()


def judge_pictures(
    model: Model,
    task: Generate,
    dataset: Dataset,
    split: str,
    *,
    features: Any,
    count: int,
    on_progress: Callable[[float], None],
) -> Findings:
    """Make pictures and compare them with real ones.

    Args:
        model: A generator.
        task: Its task, with the settings to draw by.
        dataset: Whose split the pictures are compared with; training pictures give the floor.
        split: Name of the split.
        features: See `load_features`; None takes what suits the data, and where nothing does, only what needs no
            features is said.
        count: Pictures to make.
        on_progress: Called with the pictures that were made since the last call.

    Raises:
        UsageError: The features do not suit.
    """
    seer = load_features(features, channels=model.card.channels, classes=dataset.classes)
    real, other = _real_and_other(model, dataset, split, count)
    # As many made ones as there are real ones to stand in their place: distances of other counts do not compare.
    made = _make(model, task, min(count, len(other.images)), on_progress)
    more = _ways(model, task, real.images)
    if split != "train" and "train" in dataset.splits:
        most = max(LEAST_TRAIN, min(MOST_TRAIN, TRAIN_VALUES // made.images[0].numel()))
        more = more.and_findings(_copies(made.images, real.images, _some(model, dataset, "train", most).images))
    if seer is None:
        note = "No features suit this data: give --features MODEL, a classifier of such pictures, for Fréchet distance."
        return Findings({"made": len(made.images)}, protocol=note).and_findings(more)
    seen = {name: look_at(seer, pictures) for name, pictures in (("made", made), ("real", real), ("floor", other))}
    return _compared(seer, task, seen, split).and_findings(more)


def _real_and_other(model: Model, dataset: Dataset, split: str, count: int) -> tuple[Pictures, Pictures]:
    """Return the pictures of the split, and at most `count` others for the floor.

    The others are training pictures; where those are judged, one half stands against the other.
    """
    real = _some(model, dataset, split, MOST_REAL)
    if "train" in dataset.splits and split != "train":
        return real, _some(model, dataset, "train", count)
    return real.part(slice(0, None, 2)), real.part(slice(1, 2 * count, 2))


def _ways(model: Model, task: Generate, real: Tensor) -> Findings:
    """Show the forward process on real pictures, and the way back to made ones, where there is one."""
    if not isinstance(task, Diffusion):
        return Findings({})
    away = way_strip(way_to_noise(model, real[:ROWS]))
    back = way_strip(way_to_pictures(model, seed=SEED, settings=task.drawing())[:ROWS])
    return Findings(
        {},
        pictures=(
            Picture("From pictures to noise", away, "The forward process: what the model is trained to undo."),
            Picture("And back", back, f"From noise to pictures: {task.describe()}."),
        ),
    )


def _make(model: Model, task: Generate, count: int, on_progress: Callable[[float], None]) -> Pictures:
    """Return made pictures with the classes that were asked for."""
    images, labels = torch.empty(count, model.card.channels, *model.card.size, dtype=torch.uint8), []
    for i, made in enumerate(task.generate(model.network, count, seed=SEED, on_progress=on_progress)):
        images[i] = torch.from_numpy(np.atleast_3d(made.image).copy()).movedim(-1, 0)
        labels.append(made.label)
    return Pictures(images, labels)


def _some(model: Model, dataset: Dataset, split: str, count: int) -> Pictures:
    """Return pictures of a split, drawn by a fixed seed, in the model's form."""
    whole = dataset[split]
    order = torch.randperm(len(whole), generator=generator_for(SEED))[:count].tolist()
    chosen = model.fit_split(whole.subset(order))
    images = chosen.images
    if not isinstance(images, Tensor):
        images = torch.stack([images[i] for i in range(len(images))])
    named: list[str | None] = [None] * len(images)
    if "label" in chosen.targets:
        named = [dataset.classes[int(k)] for k in chosen.labels]
    return Pictures(images, named)


def look_at(seer: Features, pictures: Pictures) -> Seen:
    """Return pictures as the features see them."""
    return Seen(pictures, *seer(pictures.images))


def _compared(seer: Features, task: Generate, seen: dict[str, Seen], split: str) -> Findings:
    made, real, other = seen["made"], seen["real"], seen["floor"]
    figures = figures_of(seer, made, real)
    floor = figures_of(seer, other, real)
    beside = {name: f"{value:.4g}" for name, value in floor.items()}
    rows = tuple((name, f"{value:.4g}", beside.get(name, "")) for name, value in figures.items())
    note = (
        f"Features of {seer.name} ({made.features.shape[1]} numbers); {len(made.features):,} made pictures of seed "
        f"{SEED} ({task.describe()}) against {len(real.features):,} of {split}; floor: {len(other.features):,} other "
        "real pictures in their place."
    )
    tables = [Table("Made and real", ("figure", "made", "floor"), rows)]
    if seer.classes:
        tables.append(_histogram(seer, seen))
    named = {f"{name}_floor": value for name, value in floor.items() if name in figures}
    return Findings({**figures, **named, "made": len(made.features)}, tuple(tables), protocol=note)


def figures_of(seer: Features, some: Seen, real: Seen) -> dict[str, float]:
    """Return the figures of pictures, made ones or those of the floor, against real ones.

    Args:
        seer: The features; its classes, where they mean something, give the figures of classes.
        some: The pictures that are judged.
        real: The pictures that they are compared with.

    Returns:
        frechet, kid, precision, recall; class_variation and classes_made; class_consistency where each of the pictures
        has a class of its own that the features know.
    """
    few, kinds = min(len(some.features), len(real.features)), len(seer.classes)
    precision, recall = precision_recall(real.features[:few], some.features[:few])
    figures = {
        "frechet": frechet_distance(some.features, real.features),
        "kid": kernel_distance(some.features, real.features),
        "precision": precision,
        "recall": recall,
    }
    if kinds:
        counts = some.counts(kinds)
        figures["class_variation"] = total_variation(counts, real.counts(kinds))
        figures["classes_made"] = int((counts > 0).sum())
    if kinds and all(label in seer.classes for label in some.pictures.labels):
        asked = torch.tensor([seer.classes.index(str(label)) for label in some.pictures.labels])
        figures["class_consistency"] = float((some.classes == asked).double().mean())
    return figures


def _histogram(seer: Features, seen: dict[str, Seen]) -> Table:
    shares = {name: own.counts(len(seer.classes)) / len(own.features) for name, own in seen.items()}
    rows = tuple(
        (kind, *(f"{float(shares[name][k]):.1%}" for name in ("made", "real", "floor")))
        for k, kind in enumerate(seer.classes)
    )
    return Table("Classes", ("class", "made", "real", "floor"), rows, f"As {seer.name} sees them.")


def _copies(made: Tensor, real: Tensor, train: Tensor) -> Findings:
    """Say how near made pictures are to training pictures, beside how near real ones are that were not trained on."""
    flat = train.flatten(1).float() / 255
    distance, index = nearest(made[:MOST_COPIES].flatten(1).float() / 255, flat)
    usual, _ = nearest(real[:MOST_COPIES].flatten(1).float() / 255, flat)
    ratio = float(distance.median() / usual.median().clamp_min(1e-12))
    order = distance.argsort()[:SHOWN]
    cells: list[NDArray[Any]] = [as_picture(made[int(i)]) for i in order]
    cells += [as_picture(train[int(index[i])]) for i in order]
    texts = [f"{float(distance[i]):.2f}" for i in order] + ["nearest"] * len(order)
    sheet = contact_sheet(cells, labels=texts, columns=len(order))
    note = (
        f"The made pictures that are nearest to a training picture, and it below. Median distance "
        f"{distance.median():.2f}, of real pictures that were not trained on {usual.median():.2f}: a ratio far below 1 "
        "tells of learning by heart."
    )
    return Findings({"nearest_ratio": ratio}, (), (Picture("Are they copies?", sheet, note),))
