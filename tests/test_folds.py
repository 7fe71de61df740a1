"""K-fold cross-validation: how images are divided, and what is made of the answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pixelry as px
from pixelry.data.dataset import Split
from pixelry.errors import UsageError
from pixelry.folds import fold_datasets, fold_table


def labelled(labels: list[int], *, copies: int = 0) -> px.Dataset:
    images = torch.randint(
        0, 256, (len(labels), 1, 6, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    if copies:
        images[:copies] = images[0]
    split = Split(images, {"label": torch.tensor(labels)})
    return px.Dataset("d", {"train": split, "test": split.subset([0, 1])}, ("a", "b"))


def test_folds_are_stratified_seeded_and_each_image_is_held_out_once() -> None:
    dataset = labelled([0] * 30 + [1] * 10)
    folds = fold_datasets(dataset, 5, seed=0)
    assert sorted(np.concatenate([fold.held_out for fold in folds])) == list(range(40))
    for fold in folds:
        assert torch.bincount(fold.dataset["test"].labels).tolist() == [6, 2]
        assert len(fold.dataset["train"]) == 32
    again = fold_datasets(dataset, 5, seed=0)
    assert all(np.array_equal(one.held_out, other.held_out) for one, other in zip(folds, again, strict=True))
    other_seed = fold_datasets(dataset, 5, seed=1)
    assert not all(np.array_equal(one.held_out, other.held_out) for one, other in zip(folds, other_seed, strict=True))


def test_copies_of_an_image_stay_together() -> None:
    folds = fold_datasets(labelled([0] * 30 + [1] * 10, copies=4), 3, seed=0)
    assert sorted(len(set(range(4)) & set(fold.held_out.tolist())) for fold in folds) == [0, 0, 4]
    assert sorted(np.concatenate([fold.held_out for fold in folds])) == list(range(40))


def test_the_table_has_mean_and_sample_deviation() -> None:
    folds = [{"accuracy": value, "images": 10} for value in (0.8, 0.9, 0.7)]
    table = fold_table(folds, {"accuracy": 0.81, "accuracy_low": 0.7, "images": 30})
    assert table.rows == (("accuracy", "80.00%", "10.00%", "81.00%", "80.00%", "90.00%", "70.00%"),)


def test_compare_with_folds(run: Any, squares: px.Dataset, here: Path) -> None:
    np.savez(
        here / "squares.npz",
        **{
            f"{kind}_{name}": np.asarray(values.movedim(1, -1) if kind == "x" else values)
            for name, split in squares.splits.items()
            for kind, values in (("x", split.images), ("y", split.labels))  # type: ignore[attr-defined]
        },
    )
    said = run("compare", "classify", "--data", "squares.npz", "--networks", "logistic,cnn:width=4", "--folds", 3,
               "--steps", 4, "--out", "c", "--json")  # fmt: skip
    assert said.code == 0, said.err
    assert "3 folds of 2 networks, 4 steps for each run" in said.err
    assert "for use, train one on all images" in said.err
    found = said.json
    assert found["split"] == "out of fold"
    for entry in found["networks"]:
        assert len(entry["folds"]) == 3
        assert entry["metrics"]["images"] == 60  # of train; test stays out of it
        right = sum(fold["accuracy"] * fold["images"] for fold in entry["folds"])
        assert entry["metrics"]["accuracy"] == pytest.approx(right / 60)
        folder = here / entry["folder"]
        assert {path.name for path in folder.iterdir()} == {"fold-1", "fold-2", "fold-3", "index.html"}
        assert "Folds" in (folder / "index.html").read_text()
    assert "Folds of logistic" in (here / "c" / "index.html").read_text()
    assert json.loads((here / "c" / "comparison.json").read_text())["split"] == "out of fold"
    model = px.load_model(here / "c" / "logistic" / "fold-2")
    assert model.card.metrics["accuracy"] >= 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("compare classify --data digits --folds 1", "folds is 1; cross-validation takes 2 or more"),
        ("compare denoise --data photos --folds 3", "folds are for classify; leave --folds out"),
        ("compare classify --data few.npz --folds 5", "has 2 training images, fewer than the 5 folds"),
    ],
)
def test_folds_that_cannot_be(run: Any, here: Path, words: str, message: str) -> None:
    np.savez(here / "few.npz", x_train=np.zeros((12, 8, 8), np.uint8), y_train=np.array([0] * 10 + [1] * 2))
    said = run(*words.split())
    assert said.code == 2
    assert message in said.err
    assert not (here / "runs").exists()


def test_a_class_needs_an_image_in_each_fold() -> None:
    with pytest.raises(UsageError, match="fewer than the 3 folds"):
        fold_datasets(labelled([0] * 10 + [1] * 2), 3, seed=0)
