"""Every metric that a task returns is explained in the registry; crops of restored images are the right ones."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from pixelry.data.dataset import Split
from pixelry.judging import Pictures, Seen, figures_of
from pixelry.reports.findings import BeforeAfter
from pixelry.reports.metrics import find_metric
from pixelry.tasks._classify_metrics import ClassifyEvaluator
from pixelry.tasks._restoration_metrics import RestorationEvaluator
from pixelry.tasks._restoration_pictures import CROP, KEPT, Examples, place_of_detail
from pixelry.tasks.detect.metrics import FIGURES, DetectEvaluator
from pixelry.tasks.generate._denoising import DenoisingEvaluator
from pixelry.tasks.generate._likelihood import LikelihoodEvaluator
from pixelry.tasks.generate.adversarial import GameEvaluator
from pixelry.tasks.segment.metrics import SegmentEvaluator
from pixelry.tasks.segment.objects import FIGURES as MASK_FIGURES

NAMES = tuple("abcdef")
INDEX = torch.arange(4)


def classify() -> Any:
    evaluator: Any = ClassifyEvaluator(NAMES)
    evaluator.update(torch.randn(4, 6), {"label": INDEX, "index": INDEX})
    return evaluator.compute()


def detect() -> Any:
    evaluator: Any = DetectEvaluator(NAMES)
    box = torch.tensor([[[0.0, 0, 40, 40]]] * 4)
    batch = {"own_boxes": box, "labels": INDEX[:, None], "crowd": torch.zeros(4, 1), "area": torch.full((4, 1), 1600.0)}
    found = torch.cat([box, torch.ones(4, 1, 1), INDEX[:, None, None].float()], -1)
    frame = {"place": torch.tensor([[1.0, 1, 0, 0]] * 4), "shape": torch.full((4, 2), 64)}
    evaluator.update(found, {**batch, **frame, "index": INDEX})
    return {**dict.fromkeys(FIGURES, 0.0), **{f"mask_{name}": 0.0 for name in MASK_FIGURES}, **evaluator.compute()}


def segment() -> Any:
    evaluator: Any = SegmentEvaluator(NAMES)
    masks = torch.arange(4 * 36).reshape(4, 6, 6).div(9, rounding_mode="floor") % 6
    evaluator.update(masks, {"mask": masks, "index": INDEX})
    return evaluator.compute()


def restore(given: str) -> Callable[[], Any]:
    def run() -> Any:
        evaluator: Any = RestorationEvaluator("noise", given=given)
        clean = (torch.rand(4, 1, 12, 12) > 0.5).float()
        evaluator.update(clean * 0.9, {"target": clean, "image": clean * 0.8, "index": INDEX})
        return evaluator.compute()

    return run


def generate() -> Any:
    likelihood: Any = LikelihoodEvaluator("levels", (0.5, 0.5))
    likelihood.update(torch.rand(4, 2), {"image": torch.rand(4, 1, 8, 8), "index": INDEX, "label": INDEX % 2})
    denoising: Any = DenoisingEvaluator("steps")
    game: Any = GameEvaluator()
    for evaluator in (denoising, game):
        evaluator.update(torch.rand(4, 2), {})
    some = Seen(Pictures(torch.zeros(40, 1, 8, 8), ["a"] * 40), torch.randn(40, 3), torch.zeros(40).long())
    made: dict[str, float] = figures_of(SimpleNamespace(classes=NAMES), some, some)  # type: ignore[arg-type]
    floors = {f"{name}_floor": value for name, value in made.items()}
    copies = {"nearest_ratio": 1.0, "made": 40}
    return {**likelihood.compute(), **denoising.compute(), **game.compute(), **made, **floors, **copies}


TASKS = {
    "classify": classify,
    "detect": detect,
    "segment": segment,
    "denoise": restore("noisy"),
    "upscale": restore("bicubic"),
    "generate": generate,
}


@pytest.mark.parametrize("task", list(TASKS))
def test_every_metric_of_a_task_is_explained(task: str) -> None:
    torch.manual_seed(0)
    metrics = TASKS[task]()
    assert len(metrics) >= 4
    for key in metrics:
        known = find_metric(key, task)
        assert known is not None, key
        assert known.explanation


def test_examples_are_the_largest_the_median_and_the_smallest_gain() -> None:
    examples = Examples()
    gains = np.random.default_rng(0).permutation(100)
    for index, gain in enumerate(gains.tolist()):
        examples.take(index, (20.0, 20.0 + gain), [np.full((8, 8, 1), 0.5)] * 3, clean=True)
    assert len(examples.kept) == KEPT
    chosen = dict(examples.chosen())
    assert chosen["largest"].index == int(gains.argmax())
    assert chosen["smallest"].index == int(gains.argmin())
    assert 25 < chosen["median"].gain < 75


def test_crops_are_at_the_place_of_most_detail_and_not_resampled() -> None:
    flat = np.full((CROP + 200, CROP + 100, 3), 0.5)
    flat[-40:, -40:] = np.random.default_rng(0).random((40, 40, 3))
    top, left = place_of_detail(flat)
    assert top > 160
    assert left > 60
    evaluator: Any = RestorationEvaluator("Gaussian noise", given="noisy")
    clean = torch.from_numpy(flat).movedim(-1, 0)[None].float()
    noisy = (clean + 0.1).clamp(0, 1)
    evaluator.update(clean, {"target": clean, "image": noisy, "index": torch.tensor([0])})
    [block] = evaluator.findings(Split(clean)).pictures
    assert isinstance(block, BeforeAfter)
    assert block.before.shape == (CROP, CROP, 3)
    assert block.scale == 1
    expected = np.round(flat * 255).astype(np.uint8)[top : top + CROP, left : left + CROP]
    np.testing.assert_array_equal(block.after, expected)
    assert block.labels[0].startswith("noisy, ")
    assert f"{CROP}x{CROP} pixels of {CROP + 100}x{CROP + 200}" in block.note
