"""Labels that a quick model, which has not seen the image, finds improbable.

Five-fold cross-validation by a simple model: thumbnails, 64 principal components, a Nystroem approximation of a
Gaussian kernel (Williams and Seeger 2000), multinomial logistic regression. Its probabilities are calibrated by a
temperature on the images that each fold left out. A label is a candidate if another class is at least as probable as it
is on average where it is the label (confident learning by self-confidence; Northcutt, Jiang and Chuang 2021, "Confident
Learning: Estimating Uncertainty in Dataset Labels", J. Artif. Intell. Res. 70), and has 90 %.

A disagreement is either a wrong label or a mistake of the model. Two rules keep the second kind out of a report:

- The model must be clearly good: agree with at least 85 % of the labels, by the lower bound of the 95 % interval.
- Of the reported labels at least half are expected to be wrong. Among the images of which a good model is surest it
  hardly errs: the share of disagreements there estimates the share of wrong labels. As many are expected among all
  images as sure as a candidate; where there are more than twice as many candidates, they have to be surer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import binomtest
from torch import Tensor
from torch.nn.functional import cross_entropy

from pixelry.data.duplicates import Positions
from pixelry.logistic.calibration import fit_temperature

FOLDS = 5
# Two images of a class in every fold.
MIN_PER_CLASS = 10
MIN_PROBABILITY = 0.9
COMPONENTS = 64
# Of the model: with fewer right, more than half of what it reports are its own mistakes (measured; see docs/data.md).
MIN_ACCURACY = 0.85
MIN_PRECISION = 0.5
# The images of which the model is surest, by which the share of wrong labels is estimated.
SUREST = 0.25
# Of the intervals whose lower bounds decide: of the model's accuracy, and of the share of wrong labels.
ACCURACY_CONFIDENCE, SHARE_CONFIDENCE = 0.95, 0.8
# Landmarks of the kernel: fewer for few images, so that the model is not too sure of itself, and with many classes,
# so that the time stays the same.
LANDMARKS = 800
IMAGES_PER_LANDMARK = 4
LANDMARKS_BY_CLASSES = 40_000
MAX_TRAIN = 75_000
STEPS = 20
BLOCK = 8192


@dataclass(frozen=True)
class Judgement:
    """What the cross-validated model says of n labels.

    Attributes:
        positions: (n,) of the images that were judged.
        given: (n,) their labels.
        predicted: (n,) the most probable class of each.
        confidence: (n,) its probability.
        self_confidence: (n,) the probability of the given label.
        suspicious: Indices into the above, the least probable label first; none if the model is not usable.
        precision: Share of the suspicious labels that are expected to be wrong, at least; 0 where there are none.
        temperature: By which the model's scores were divided.
    """

    positions: Positions
    given: NDArray[np.int64]
    predicted: NDArray[np.int64]
    confidence: NDArray[np.float32]
    self_confidence: NDArray[np.float32]
    suspicious: NDArray[np.int64]
    precision: float
    temperature: float

    @property
    def accuracy(self) -> float:
        """The share of labels that the model agrees with."""
        return float((self.given == self.predicted).mean())

    @property
    def accuracy_low(self) -> float:
        """Lower bound of the accuracy's 95 % interval."""
        return _lower_bound(self.given == self.predicted)

    @property
    def usable(self) -> bool:
        """Whether the model is good enough that its disagreements say something of the labels."""
        return self.accuracy_low >= MIN_ACCURACY


def small_classes(labels: NDArray[np.int64]) -> list[int]:
    """Return the classes with some images, but fewer than ten: too few to judge their labels."""
    counts = np.bincount(labels[labels >= 0])
    return np.flatnonzero((counts > 0) & (counts < MIN_PER_CLASS)).tolist()


def judge_labels(thumbs: Tensor, labels: NDArray[np.int64], *, seed: int = 0) -> Judgement | None:
    """Judge every label by a model that was trained without it.

    Args:
        thumbs: (N, C, h, w) uint8.
        labels: (N,) class indices; -1 is not judged, and neither are classes with fewer than ten images.
        seed: Of folds and landmarks.

    Returns:
        None if fewer than two classes have ten images.
    """
    positions = np.flatnonzero((labels >= 0) & ~np.isin(labels, small_classes(labels)))
    classes, codes = np.unique(labels[positions], return_inverse=True)
    if len(classes) < 2:
        return None
    targets = torch.from_numpy(codes)
    logits = _cross_validated(thumbs, positions, targets, len(classes), seed)
    temperature = fit_temperature(logits, targets)
    probabilities = (logits / temperature).softmax(1).numpy()
    rows = np.arange(len(positions))
    predicted, self_confidence = probabilities.argmax(1), probabilities[rows, codes]
    confidence = probabilities[rows, predicted]
    usual = np.bincount(codes, weights=self_confidence) / np.bincount(codes)
    candidates = (predicted != codes) & (confidence >= np.maximum(usual, MIN_PROBABILITY)[predicted])
    suspicious, precision = np.empty(0, np.int64), 0.0
    if _lower_bound(predicted == codes) >= MIN_ACCURACY:
        suspicious, precision = _probably_wrong(candidates, predicted != codes, confidence)
        suspicious = suspicious[np.argsort(self_confidence[suspicious], kind="stable")]
    found = (classes[codes], classes[predicted], confidence, self_confidence)
    return Judgement(positions, *found, suspicious, precision, temperature)


def _probably_wrong(
    candidates: NDArray[np.bool_], disagree: NDArray[np.bool_], confidence: NDArray[np.float32]
) -> tuple[NDArray[np.int64], float]:
    """Return the candidates of which at least half are expected to be wrong labels, and the share that is.

    Args:
        candidates: (n,) labels that are improbable.
        disagree: (n,) whether the model gives another class than the label.
        confidence: (n,) the probability of the model's class.
    """
    surest = np.argsort(-confidence, kind="stable")[: max(1, round(SUREST * len(confidence)))]
    wrong_share = _lower_bound(disagree[surest], SHARE_CONFIDENCE)
    for threshold in np.unique(confidence[candidates]):
        as_sure = confidence >= threshold
        chosen = np.flatnonzero(candidates & as_sure)
        precision = min(1.0, wrong_share * as_sure.sum() / len(chosen))
        if precision >= MIN_PRECISION:
            return chosen, float(precision)
    return np.empty(0, np.int64), 0.0


def _lower_bound(hits: NDArray[np.bool_], confidence: float = ACCURACY_CONFIDENCE) -> float:
    """Return the lower bound of the interval of a share (Wilson 1927)."""
    return float(binomtest(int(hits.sum()), len(hits)).proportion_ci(confidence, method="wilson").low)


def _cross_validated(thumbs: Tensor, positions: Positions, codes: Tensor, classes: int, seed: int) -> Tensor:
    """Return the scores (n, classes) that each image's classes have from a model that has not seen the image."""
    generator = np.random.default_rng(seed)
    folds = torch.from_numpy(_folds(codes.numpy(), generator))
    drawn = torch.from_numpy(np.sort(generator.permutation(len(positions))[:MAX_TRAIN]))
    features = _features(thumbs, positions, positions[drawn.numpy()], classes, generator)
    train = torch.cat([features(block) for block in _blocks(positions[drawn.numpy()])])
    weights = [_fit(train[folds[drawn] != fold], codes[drawn][folds[drawn] != fold], classes) for fold in range(FOLDS)]
    logits = torch.empty(len(positions), classes)
    start = 0
    for block in _blocks(positions):
        here, values = slice(start, start + len(block)), features(block)
        for fold, (weight, bias) in enumerate(weights):
            mine = folds[here] == fold
            logits[here][mine] = values[mine] @ weight + bias
        start += len(block)
    return logits


def _blocks(positions: Positions) -> list[Positions]:
    return [positions[start : start + BLOCK] for start in range(0, len(positions), BLOCK)]


def _folds(codes: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
    """Return the fold of each image, stratified by class."""
    order = generator.permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    folds = np.empty(len(codes), dtype=np.int64)
    # In the order of the classes, so the folds of each class, and of all, differ in size by one at most.
    folds[order] = np.arange(len(codes)) % FOLDS
    return folds


def _features(
    thumbs: Tensor, positions: Positions, drawn: Positions, classes: int, generator: np.random.Generator
) -> Callable[[Positions], Tensor]:
    """Return the map from positions to features (n, landmarks): decorrelated Nystroem features."""

    def pixels(block: Positions) -> Tensor:
        return thumbs[torch.from_numpy(block)].flatten(1).float() / 255

    mean, covariance = _moments(pixels, drawn)
    variances, axes = torch.linalg.eigh(covariance)
    # So that two images have a squared distance of 4 on average, and the kernel a middling value.
    axes = axes[:, -COMPONENTS:] / (variances[-COMPONENTS:].clamp(min=0).sum() / 2).sqrt().clamp(min=1e-6)
    count = min(LANDMARKS, max(8, len(drawn) // IMAGES_PER_LANDMARK), max(64, LANDMARKS_BY_CLASSES // classes))
    chosen = np.sort(generator.permutation(drawn)[:count])
    landmarks = (pixels(chosen) - mean) @ axes

    def kernel(block: Positions) -> Tensor:
        return torch.cdist((pixels(block) - mean) @ axes, landmarks).square_().mul_(-0.5).exp_()

    center, covariance = _moments(kernel, drawn)
    variances, axes_of_kernel = torch.linalg.eigh(covariance)
    # Decorrelated and scaled, the optimiser needs tens of steps instead of hundreds.
    scale = (variances.clamp(min=0) + 1e-4 * variances[-1] + 1e-12).rsqrt()
    decorrelate = axes_of_kernel * scale
    return lambda block: (kernel(block) - center) @ decorrelate


def _moments(values: Callable[[Positions], Tensor], positions: Positions) -> tuple[Tensor, Tensor]:
    """Return mean and covariance of features, block by block."""
    first = values(positions[:1])
    total, square = torch.zeros(first.shape[1]), torch.zeros(first.shape[1], first.shape[1])
    for block in _blocks(positions):
        part = values(block)
        total += part.sum(0)
        square += part.T @ part
    mean = total / len(positions)
    return mean, square / len(positions) - mean[:, None] * mean


def _fit(features: Tensor, codes: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Fit multinomial logistic regression with L-BFGS; return weights (d, classes) and biases (classes,)."""
    count, width = features.shape
    weight = torch.zeros(width, classes, requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)
    penalty = min(10.0, max(0.3, count / 500)) / (2 * count)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = cross_entropy(torch.addmm(bias, features, weight), codes) + penalty * weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return weight.detach(), bias.detach()
