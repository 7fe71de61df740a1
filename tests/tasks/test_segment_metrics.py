"""Figures of segmentation, against torchmetrics, scikit-learn and a slow reading of the boundaries' definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix
from torch import Tensor
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score, MulticlassJaccardIndex
from torchmetrics.segmentation import DiceScore

from pixelry.data.dataset import Split
from pixelry.data.masks import IGNORE
from pixelry.errors import UsageError
from pixelry.tasks.segment.boundaries import boundary_scores
from pixelry.tasks.segment.metrics import SegmentEvaluator

CLASSES = ("road", "sky", "car", "never")


def pairs(count: int, *, seed: int = 0, side: tuple[int, int] = (24, 30), ignore: bool = True) -> tuple[Tensor, Tensor]:
    """Return found and true masks (N, H, W) of three of four classes, right in most places."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randint(0, 3, (count, side[0] // 6, side[1] // 6), generator=generator, dtype=torch.uint8)
    truth = coarse.repeat_interleave(6, 1).repeat_interleave(6, 2)
    found = torch.where(torch.rand(truth.shape, generator=generator) < 0.8, truth, truth.roll(7, 2))
    if ignore:
        truth = torch.where(torch.rand(truth.shape, generator=generator) < 0.1, IGNORE, truth).to(torch.uint8)
    return found, truth


def batch(truth: Tensor | list[Tensor], start: int = 0) -> dict[str, object]:
    return {"mask": truth, "index": torch.arange(start, start + len(truth))}


def test_figures_are_those_of_torchmetrics_and_scikit_learn() -> None:
    found, truth = pairs(7)
    evaluator = SegmentEvaluator(CLASSES)
    for cut in (slice(0, 3), slice(3, 7)):
        evaluator.update(found[cut], {"mask": truth[cut], "index": torch.arange(7)[cut]})
    figures = evaluator.compute()
    judged = truth != IGNORE
    matrix = confusion_matrix(truth[judged], found[judged], labels=range(4))
    assert (evaluator.matrix.numpy() == matrix).all()
    ids, real = found.long(), truth.long()
    jaccard = MulticlassJaccardIndex(4, ignore_index=IGNORE, average="macro")(ids, real)
    assert figures["mean_iou"] == pytest.approx(float(jaccard), abs=1e-6)
    f1 = MulticlassF1Score(4, ignore_index=IGNORE, average="macro")(ids, real)
    assert figures["mean_dice"] == pytest.approx(float(f1), abs=1e-6)
    micro = MulticlassAccuracy(4, ignore_index=IGNORE, average="micro")(ids, real)
    assert figures["pixel_accuracy"] == pytest.approx(float(micro), abs=1e-6)
    recall = np.diag(matrix)[:3] / matrix.sum(1)[:3]
    assert figures["mean_accuracy"] == pytest.approx(recall.mean(), abs=1e-6)
    assert figures["images"] == 7


def test_dice_is_that_of_torchmetrics_over_all_pictures() -> None:
    found, truth = pairs(4, ignore=False)
    evaluator = SegmentEvaluator(CLASSES[:3])
    evaluator.update(found, batch(truth))
    score = DiceScore(3, include_background=True, average="macro", input_format="index", aggregation_level="global")
    assert evaluator.compute()["mean_dice"] == pytest.approx(float(score(found.long(), truth.long())), abs=1e-6)


def test_a_class_that_is_nowhere_is_left_out_and_one_that_is_only_found_is_not() -> None:
    truth = torch.zeros(1, 4, 4, dtype=torch.uint8)
    found = truth.clone()
    found[0, 0] = 1
    evaluator = SegmentEvaluator(CLASSES)
    evaluator.update(found, batch(truth))
    figures = evaluator.compute()
    assert figures["mean_iou"] == pytest.approx((12 / 16 + 0) / 2)
    assert figures["mean_accuracy"] == pytest.approx(12 / 16)
    assert figures["boundary_f"] == 0


def test_pictures_of_several_sizes_and_several_processes_add_up() -> None:
    parts = [pairs(1, seed=i, side=(12 + 6 * i, 30)) for i in range(4)]
    together, lists = SegmentEvaluator(CLASSES), SegmentEvaluator(CLASSES)
    for i, (found, truth) in enumerate(parts):
        together.take(found[0], truth[0].numpy(), i)
    lists.update([found[0] for found, _ in parts], batch([truth[0] for _, truth in parts]))
    assert lists.compute() == together.compute()

    def sync(one: SegmentEvaluator, other: SegmentEvaluator) -> dict[str, float]:
        """Join two as torchmetrics joins processes: by each state's own reduction."""
        for name, how in one._reductions.items():
            own, theirs = getattr(one, name), getattr(other, name)
            joined = [*own, *theirs] if isinstance(own, list) else how(torch.stack([own, theirs]))
            setattr(one, name, joined)
        return one.compute()

    halves = [SegmentEvaluator(CLASSES), SegmentEvaluator(CLASSES)]
    for i, (found, truth) in enumerate(parts):
        halves[i % 2].update(found, batch(truth, i))
    joined = sync(*halves)
    assert joined == pytest.approx(together.compute(), abs=1e-12)
    assert joined["images"] == 4


def test_nothing_to_judge_is_no_error() -> None:
    evaluator = SegmentEvaluator(CLASSES)
    nothing = torch.zeros(0, 5, 5, dtype=torch.uint8)
    evaluator.update(nothing, batch(nothing))
    evaluator.take(torch.zeros(5, 5), torch.full((5, 5), IGNORE), 0)
    figures = evaluator.compute()
    assert figures["mean_iou"] == 0
    assert "boundary_f" not in figures
    assert figures["images"] == 1
    evaluator.take(torch.zeros(5, 5), torch.zeros(5, 5), 1)
    assert evaluator.compute()["mean_iou"] == 1
    evaluator.reset()
    assert len(evaluator.indices) == 0


def test_masks_that_do_not_fit_are_refused() -> None:
    evaluator = SegmentEvaluator(CLASSES)
    with pytest.raises(UsageError, match=r"picture 3: the found mask has shape \(4, 5\), the true one \(5, 4\)"):
        evaluator.take(torch.zeros(4, 5), torch.zeros(5, 4), 3)
    with pytest.raises(UsageError, match="picture 0: found class ids go from 4 to 4; with 4 classes"):
        evaluator.take(torch.full((2, 2), 4), torch.zeros(2, 2), 0)
    with pytest.raises(UsageError, match="picture 0: true class ids go from 7"):
        evaluator.take(torch.zeros(2, 2), torch.full((2, 2), 7), 0)
    # What is found where nothing is judged is nobody's affair.
    evaluator.take(torch.full((2, 2), 200), torch.full((2, 2), IGNORE), 0)


def slow_scores(found: NDArray[np.uint8], truth: NDArray[np.uint8], classes: int, tolerance: float) -> list[float]:
    """The definition, pixel by pixel."""
    height, width = truth.shape
    places = list(np.ndindex(height, width))
    labelled = [place for place in places if truth[place] != IGNORE]
    real, seen = truth.copy(), found.copy()
    for place in set(places) - set(labelled):
        nearest = min(math.dist(place, other) for other in labelled)
        (source,) = (other for other in labelled if math.dist(place, other) == nearest)
        real[place], seen[place] = truth[source], found[source]

    def boundary(ids: NDArray[np.uint8], k: int) -> list[tuple[int, int]]:
        points = []
        for y in range(height):
            for x in range(width):
                if ids[y, x] != k:
                    continue
                around = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
                inside = [(v, u) for v, u in around if 0 <= v < height and 0 <= u < width]
                if any(ids[place] != k for place in inside):
                    points.append((y, x))
        return points

    def met(own: list[tuple[int, int]], other: list[tuple[int, int]]) -> float:
        hits = [min((math.dist(p, q) for q in other), default=math.inf) <= tolerance for p in own]
        return sum(hits) / len(hits) if hits else 0.0

    scores = []
    for k in range(classes):
        one, other = boundary(seen, k), boundary(real, k)
        if not one and not other:
            scores.append(math.nan)
            continue
        precision, recall = met(one, other), met(other, one)
        scores.append(2 * precision * recall / (precision + recall) if precision + recall else 0.0)
    return scores


def fields(seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Found and true masks of four fields with a cross between them that is ignored, where anything may be found.

    Each of the cross's pixels has one nearest pixel of a field: it is four pixels wide.
    """
    random = np.random.default_rng(seed)
    truth = np.array([[0, 1], [2, 0]], np.uint8).repeat(12, 0).repeat(15, 1)
    found = np.where(random.random(truth.shape) < 0.9, truth, random.integers(0, 3, truth.shape)).astype(np.uint8)
    truth[10:14], truth[:, 13:17] = IGNORE, IGNORE
    ignored = truth == IGNORE
    found[ignored] = random.integers(0, 256, int(ignored.sum()))
    return found, truth


@pytest.mark.parametrize("tolerance", [0.0075, 0.03, 2 / math.hypot(24, 30)])
def test_boundaries_are_met_as_they_are_defined(tolerance: float) -> None:
    for seed in range(3):
        whole = [masks[0].numpy() for masks in pairs(1, seed=seed, ignore=False)]
        for found, truth in (whole, fields(seed)):
            scores = boundary_scores(found, truth, 4, tolerance=tolerance)
            slow = slow_scores(found, truth, 4, tolerance * math.hypot(24, 30))
            np.testing.assert_allclose(scores, slow, atol=1e-9)
            assert 0 < np.nanmin(scores) < np.nanmax(scores) < 1
    for _, truth in (fields(0), [masks[0].numpy() for masks in pairs(1)]):
        same = boundary_scores(truth, truth, 4)
        assert np.nanmin(same) == 1
        assert np.isnan(same[3])


def test_classes_may_meet_anywhere_in_a_band_that_is_ignored() -> None:
    truth = np.zeros((300, 400), np.uint8)  # a reach of 3.75 pixels
    truth[:, 200:] = 1
    banded = truth.copy()
    banded[:, 198:202] = IGNORE
    for edge, score in ((198, 1.0), (200, 1.0), (202, 1.0), (203, 1.0), (204, 0.0), (196, 0.0), (250, 0.0)):
        found = np.zeros_like(truth)
        found[:, edge:] = 1
        np.testing.assert_allclose(boundary_scores(found, banded, 2), score)
    halfway = truth.copy()
    halfway[150:, 200:250] = 0
    assert 0.4 < boundary_scores(halfway, banded, 2).min() < 0.9
    speck = truth.copy()
    speck[50, 50] = 1
    assert 0.95 < boundary_scores(speck, banded, 2).min() < 1
    evaluator = SegmentEvaluator(("a", "b"))
    evaluator.take(truth, banded, 0)
    evaluator.take(np.roll(truth, 50, 1), banded, 1)
    assert 0.5 <= evaluator.compute()["boundary_f"] < 0.6


def test_a_boundary_within_reach_is_met_and_one_beyond_is_not() -> None:
    truth = np.zeros((300, 400), np.uint8)  # a diagonal of 500: a reach of 3.75 pixels
    truth[:, 200:] = 1
    for shift, score in ((3, 1.0), (4, 0.0)):
        found = np.zeros_like(truth)
        found[:, 200 + shift :] = 1
        np.testing.assert_allclose(boundary_scores(found, truth, 2), score)
    evaluator = SegmentEvaluator(("a", "b"))
    evaluator.take(truth, truth, 0)
    found = np.roll(truth, 4, 1)
    found[:, :4] = 0
    evaluator.take(found, truth, 1)
    evaluator.take(np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint8), 2)  # without a boundary, and not counted
    assert evaluator.compute()["boundary_f"] == pytest.approx(0.5)


def test_findings_show_what_went_wrong() -> None:
    found, truth = pairs(9)
    truth[4] = IGNORE
    found[2] = 2
    evaluator = SegmentEvaluator(CLASSES)
    evaluator.update(found, batch(truth))
    for channels, size in ((3, (24, 30)), (1, (48, 60))):
        images = torch.full((9, channels, *size), 90, dtype=torch.uint8)
        findings = evaluator.findings(Split(images, {"mask": truth}, [f"{i}.png" for i in range(9)]))
        assert findings.metrics == evaluator.compute()
        (table,) = findings.tables
        assert [row[0] for row in table.rows] == list(CLASSES)
        assert table.rows[3][2:] == ("", "", "")
        assert table.rows[0][2] == pytest.approx(evaluator._by_class(evaluator.matrix.double().numpy())[0][0], abs=1e-4)
        assert [picture.title for picture in findings.pictures] == ["Confusion", "Worst pictures"]
        cells = findings.pictures[1].images
        assert len(cells) == 3 * 6
        assert all(image.dtype == np.uint8 and image.shape[2] == 3 for image, _ in cells)
        assert cells[2][1] == "2.png: found, 50% wrong"
        assert "3 of 4 are there" in findings.protocol
        assert "255" in findings.protocol
        assert "0.75%" in findings.protocol
        assert "the class of the nearest labelled one" in findings.protocol
    assert evaluator._worst[0].index == 2
    assert len(evaluator._worst) == 6
    assert all(seen.index != 4 for seen in evaluator._worst)
