"""Losses of segmentation: gradients, ignored pixels, and their definitions written out."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from pixelry.data.masks import IGNORE
from pixelry.errors import UsageError
from pixelry.tasks.segment.losses import (
    LOSSES,
    at_mask_size,
    class_counts,
    class_weights,
    cross_entropy,
    focal,
    hard_cross_entropy,
    mask_losses,
    soft_dice,
)


def case(*, seed: int = 0, dtype: torch.dtype = torch.float64, coarse: bool = False) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    side = (3, 4) if coarse else (6, 8)
    logits = torch.randn(2, 4, *side, generator=generator, dtype=torch.float64).to(dtype)
    mask = torch.randint(0, 3, (2, 6, 8), generator=generator, dtype=torch.uint8)
    mask[torch.rand(mask.shape, generator=generator) < 0.2] = IGNORE
    return logits, mask


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("coarse", [False, True])
@pytest.mark.parametrize("kind", LOSSES)
def test_gradients_are_those_of_the_loss(kind: str, coarse: bool, weighted: bool) -> None:
    logits, mask = case(coarse=coarse)
    weights = torch.tensor([1.0, 2, 0.5, 3]) if weighted else None
    assert torch.autograd.gradcheck(
        lambda x: mask_losses(x, mask, kind=kind, weights=weights)["loss"], logits.requires_grad_()
    )


@pytest.mark.parametrize("kind", LOSSES)
def test_ignored_pixels_have_no_gradient_and_no_say(kind: str) -> None:
    logits, mask = case(dtype=torch.float32)
    logits.requires_grad_()
    loss = mask_losses(logits, mask, kind=kind)["loss"]
    (gradient,) = torch.autograd.grad(loss, logits)
    ignored = (mask == IGNORE)[:, None].expand_as(gradient)
    assert (gradient[ignored] == 0).all()
    assert (gradient[~ignored] != 0).any()
    other = torch.where(ignored, 100 * torch.randn(logits.shape), logits.detach())
    assert mask_losses(other, mask, kind=kind)["loss"].item() == pytest.approx(loss.item(), rel=1e-6)


@pytest.mark.parametrize("kind", LOSSES)
def test_a_batch_without_labels_has_no_loss(kind: str) -> None:
    logits, mask = case(dtype=torch.float32)
    logits.requires_grad_()
    loss = mask_losses(logits, torch.full_like(mask, IGNORE), kind=kind, weights=torch.ones(4))["loss"]
    assert loss.item() == 0
    (gradient,) = torch.autograd.grad(loss, logits)
    assert (gradient == 0).all()


@pytest.mark.parametrize("kind", LOSSES)
def test_sure_and_right_is_nearly_no_loss_and_sure_and_wrong_is_finite(kind: str) -> None:
    _, mask = case()
    one_hot = F.one_hot(torch.where(mask == IGNORE, 0, mask).long(), 4).permute(0, 3, 1, 2).float()
    assert mask_losses(60 * one_hot, mask, kind=kind)["loss"].item() == pytest.approx(0, abs=1e-5)
    wrong = (-200 * one_hot).requires_grad_()
    loss = mask_losses(wrong, mask, kind=kind)["loss"]
    (gradient,) = torch.autograd.grad(loss, wrong)
    assert loss.item() >= 0.9
    assert gradient.isfinite().all()


def test_cross_entropy_is_that_of_torch() -> None:
    logits, mask = case()
    weights = torch.tensor([1.0, 2, 0.5, 3], dtype=torch.float64)
    for weight in (None, weights):
        for smoothing in (0.0, 0.1):
            expected = F.cross_entropy(
                logits, mask.long(), weight=weight, ignore_index=IGNORE, label_smoothing=smoothing
            )
            own = cross_entropy(logits, mask, weights=weight, smoothing=smoothing)
            assert own.item() == pytest.approx(expected.item(), abs=1e-9)
    assert cross_entropy(logits, mask.long()).item() == cross_entropy(logits, mask).item()


def test_dice_focal_and_hard_pixels_are_as_published() -> None:
    logits, mask = case()
    labelled = mask != IGNORE
    chances = logits.softmax(1).movedim(1, -1)[labelled]  # (n, K)
    true = mask[labelled].long()
    one_hot = F.one_hot(true, 4).double()
    dice = [
        2 * (chances[:, k] * one_hot[:, k]).sum() / ((chances[:, k] ** 2).sum() + (one_hot[:, k] ** 2).sum())
        for k in range(3)  # no mask shows the fourth
    ]
    assert soft_dice(logits, mask).item() == pytest.approx(1 - sum(map(float, dice)) / 3, abs=1e-6)
    own = chances.gather(1, true[:, None])[:, 0]
    expected = ((1 - own) ** 2 * -own.log()).mean()
    assert focal(logits, mask).item() == pytest.approx(expected.item(), abs=1e-9)
    assert focal(logits, mask, gamma=0).item() == pytest.approx(cross_entropy(logits, mask).item(), abs=1e-9)
    hardest = (-own.log()).sort(descending=True).values[: round(0.25 * len(own))].mean()
    assert hard_cross_entropy(logits, mask).item() == pytest.approx(hardest.item(), abs=1e-9)
    assert hard_cross_entropy(logits, mask, share=1).item() == pytest.approx(
        cross_entropy(logits, mask).item(), abs=1e-9
    )
    parts = mask_losses(logits, mask)
    assert parts["loss"].item() == pytest.approx((parts["cross_entropy"] + parts["dice"]).item())


def test_logits_come_to_the_size_of_the_mask() -> None:
    logits = torch.arange(4, dtype=torch.bfloat16).view(1, 1, 2, 2)
    large = at_mask_size(logits, torch.zeros(1, 4, 6))
    assert (large.dtype, large.shape) == (torch.float32, (1, 1, 4, 6))
    assert (large.min(), large.max()) == (0, 3)


def test_weights_follow_from_how_often_classes_are() -> None:
    masks = torch.tensor([[[0, 0, 0, 1]], [[0, 0, IGNORE, IGNORE]]], dtype=torch.uint8)
    counts = class_counts(masks, 3)
    assert counts.tolist() == [[3, 1, 0], [2, 0, 0]]
    assert class_counts(masks[0], 3).tolist() == [[3, 1, 0]]
    # The second class is seen in one picture of four pixels, the first in both.
    frequency = [5 / 6, 1 / 4]
    middle = sum(frequency) / 2
    median = class_weights(counts, "median")
    assert median.tolist() == pytest.approx([middle / frequency[0], middle / frequency[1], 1])
    assert class_weights(counts.sum(0), "median").tolist() == pytest.approx([0.5 / (5 / 6), 0.5 / (1 / 6), 1])
    enet = class_weights(counts, "enet")
    assert enet.tolist() == pytest.approx([1 / math.log(1.02 + p) for p in (5 / 6, 1 / 6, 0)], rel=1e-5)
    assert class_weights(counts, "equal").tolist() == [1, 1, 1]
    assert class_weights(torch.zeros(2, 3), "median").tolist() == [1, 1, 1]


def test_unknown_kinds_are_named() -> None:
    logits, mask = case()
    with pytest.raises(UsageError, match="did you mean 'focal'"):
        mask_losses(logits, mask, kind="focl")
    with pytest.raises(UsageError, match="did you mean 'median'"):
        class_weights(torch.ones(2), "medium")
