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

from pixelry.data.dataset import Dataset, Split
from pixelry.data.loading import generator_for
from pixelry.data.sheet import as_picture
from pixelry.distances import frechet_distance, kernel_distance, nearest, precision_recall, total_variation
from pixelry.errors import UsageError
from pixelry.features import Features, load_features
from pixelry.pixels import contact_sheet
from pixelry.tasks.base import Findings, Picture, Table
from pixelry.tasks.generate import Diffusion, Generate
from pixelry.way import way_strip, way_to_noise, way_to_pictures

if TYPE_CHECKING:
    from pixelry.model import Model

SEED = 0
LEAST = 10
MOST_REAL = 10_000  # real pictures that made ones are compared with
MOST_TRAIN = 60_000  # training pictures among which copies are looked for
MOST_COPIES = 1000
SHOWN = 10
ROWS = 5


@dataclass(frozen=True)
class Seen:
    """Pictures as the features see them: uint8 (N, C, H, W), features (N, D), and the class of each, (N,)."""

    images: Tensor
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
        UsageError: The count is too small, or the features do not suit.
    """
    if count < LEAST:
        raise UsageError(f"count is {count}; figures of fewer than {LEAST} pictures say nothing")
    seer = load_features(features, channels=model.card.channels, classes=dataset.classes)
    made, labels = _make(model, task, count, on_progress)
    real = _some(model, dataset[split], MOST_REAL)
    # The floor: other real pictures. Where training pictures are judged, one half stands against the other.
    if "train" in dataset.splits and split != "train":
        other = _some(model, dataset["train"], count)
    else:
        real, other = real[::2], real[1::2][:count]
    shown = _ways(model, task, real)
    copies = _copies(made, real, _some(model, dataset["train"], MOST_TRAIN) if "train" in dataset.splits else None)
    if seer is None:
        note = "No features suit this data: give --features MODEL, a classifier of such pictures, for Fréchet distance."
        return Findings({"made": count}, protocol=note).and_findings(shown).and_findings(copies)
    seen = {name: _seen(seer, images) for name, images in (("made", made), ("real", real), ("floor", other))}
    return _compared(seer, task, seen, labels, split).and_findings(shown).and_findings(copies)


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


def _make(
    model: Model, task: Generate, count: int, on_progress: Callable[[float], None]
) -> tuple[Tensor, list[str | None]]:
    """Return pictures uint8 (N, C, H, W), and the classes that were asked for."""
    images, labels = torch.empty(count, model.card.channels, *model.card.size, dtype=torch.uint8), []
    for i, made in enumerate(task.generate(model.network, count, seed=SEED, on_progress=on_progress)):
        images[i] = torch.from_numpy(np.atleast_3d(made.image).copy()).movedim(-1, 0)
        labels.append(made.label)
    return images, labels


def _some(model: Model, split: Split, count: int) -> Tensor:
    """Return pictures of a split, drawn by a fixed seed, in the model's form, uint8 (N, C, H, W)."""
    order = torch.randperm(len(split), generator=generator_for(SEED))[:count].tolist()
    images = model.fit_split(split.subset(order)).images
    return images if isinstance(images, Tensor) else torch.stack([images[i] for i in range(len(images))])


def _seen(seer: Features, images: Tensor) -> Seen:
    features, classes = seer(images)
    return Seen(images, features, classes)


def _compared(seer: Features, task: Generate, seen: dict[str, Seen], labels: list[str | None], split: str) -> Findings:
    real, kinds = seen["real"], len(seer.classes)
    figures: dict[str, float] = {}
    rows = []
    for name, suffix in (("made", ""), ("floor", "_floor")):
        own = seen[name]
        few = min(len(own.features), len(real.features))
        precision, recall = precision_recall(real.features[:few], own.features[:few])
        figures |= {
            f"frechet{suffix}": frechet_distance(own.features, real.features),
            f"kid{suffix}": kernel_distance(own.features, real.features),
            f"precision{suffix}": precision,
            f"recall{suffix}": recall,
        }
        if kinds:
            figures[f"class_variation{suffix}"] = total_variation(own.counts(kinds), real.counts(kinds))
    names = ("frechet", "kid", "precision", "recall", *(["class_variation"] if kinds else []))
    rows = [(name, f"{figures[name]:.4g}", f"{figures[f'{name}_floor']:.4g}") for name in names]
    if kinds:
        figures["classes_made"] = int((seen["made"].counts(kinds) > 0).sum())
        rows.append(("classes_made", f"{figures['classes_made']} of {kinds}", ""))
    if kinds and all(label in seer.classes for label in labels):
        asked = torch.tensor([seer.classes.index(str(label)) for label in labels])
        figures["class_consistency"] = float((seen["made"].classes == asked).double().mean())
        rows.append(("class_consistency", f"{figures['class_consistency']:.4f}", ""))
    figures["made"] = len(seen["made"].images)
    what = f"Features of {seer.name} ({seen['made'].features.shape[1]} numbers)"
    note = (
        f"{what}; {len(seen['made'].images):,} made pictures of seed {SEED} ({task.describe()}) against "
        f"{len(real.images):,} of {split}; floor: {len(seen['floor'].images):,} other real pictures in their place."
    )
    tables = [Table("Made and real", ("figure", "made", "floor"), tuple(rows))]
    if kinds:
        tables.append(_histogram(seer, seen))
    return Findings(figures, tuple(tables), protocol=note)


def _histogram(seer: Features, seen: dict[str, Seen]) -> Table:
    shares = {name: own.counts(len(seer.classes)) / len(own.images) for name, own in seen.items()}
    rows = tuple(
        (kind, *(f"{float(shares[name][k]):.1%}" for name in ("made", "real", "floor")))
        for k, kind in enumerate(seer.classes)
    )
    return Table("Classes", ("class", "made", "real", "floor"), rows, f"As {seer.name} sees them.")


def _copies(made: Tensor, real: Tensor, train: Tensor | None) -> Findings:
    """Say how near made pictures are to training pictures, beside how near real ones are that were not trained on."""
    if train is None:
        return Findings({})
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
