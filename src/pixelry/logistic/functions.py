"""The mathematics: probabilities from scores, the loss, its gradient and its curvature.

One column of scores is the binary case, with the sigmoid; K columns are K classes, with the softmax. Bishop 2006,
"Pattern Recognition and Machine Learning", sections 4.3.2 and 4.3.4.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

BLOCK = 2048  # rows


def sigmoid(scores: Array) -> Array:
    """Return 1 / (1 + exp(-scores)), for scores of any size without overflow (Bishop, equation 4.59).

    Examples:
        >>> sigmoid(np.array([-1e4, 0.0, 1e4]))
        array([0. , 0.5, 1. ])
    """
    small = np.exp(-np.abs(scores))  # never above 1, so nothing overflows
    return np.where(scores >= 0, 1, small) / (1 + small)


def softmax(scores: Array) -> Array:
    """Return exp(scores) over their sum along the last axis (Bishop, equation 4.104).

    Examples:
        >>> softmax(np.array([[0.0, 0.0], [1e4, 0.0]]))
        array([[0.5, 0.5],
               [1. , 0. ]])
    """
    shifted = np.exp(scores - scores.max(-1, keepdims=True))  # the largest is exp(0)
    return shifted / shifted.sum(-1, keepdims=True)


def probabilities(scores: Array) -> Array:
    """Return what the scores say: the sigmoid of one column, the softmax of several."""
    return sigmoid(scores) if scores.shape[1] == 1 else softmax(scores)


def cross_entropy(scores: Array, targets: Array) -> Array:
    """Return the cross-entropy of each row in nats (Bishop, equations 4.90 and 4.108), stable for any score.

    The logarithm is never taken of a probability, which may have been rounded to zero, but worked out on the scores:
    log(1 + exp(z)) - t z for one column, logsumexp(z) - sum of t z for several.

    Args:
        scores: (N, 1) or (N, K).
        targets: Of the same shape; rows of several columns sum to 1. They need not be 0 or 1.

    Examples:
        >>> cross_entropy(np.array([[1e4], [0.0]]), np.array([[1.0], [0.5]])).round(4)
        array([0.    , 0.6931])
    """
    if scores.shape[1] == 1:
        return (np.logaddexp(0, scores) - targets * scores)[:, 0]
    top = scores.max(1, keepdims=True)
    log_sum = np.log(np.exp(scores - top).sum(1)) + top[:, 0]
    return np.asarray(log_sum - (targets * scores).sum(1))


@dataclass(frozen=True)
class Objective:
    """The weighted mean cross-entropy plus half `l2` times the squared weights; biases are not penalised.

    Parameters are one matrix `theta` (D, K), or (D + 1, K) with the biases in the last row.

    Attributes:
        features: (N, D).
        targets: (N, K), K of 1 in the binary case.
        weights: (N,), each sample's part of the mean; they sum to 1.
        l2: The penalty's factor.
        bias: Whether there is a bias.
    """

    features: Array
    targets: Array
    weights: Array
    l2: float
    bias: bool

    @property
    def shape(self) -> tuple[int, int]:
        """Of theta."""
        return self.features.shape[1] + int(self.bias), self.targets.shape[1]

    def subset(self, rows: Array) -> Objective:
        """Return the objective on some of the samples, an estimate of the whole."""
        part = self._rows(rows)
        return replace(part, weights=part.weights / part.weights.sum())

    def scores(self, theta: Array) -> Array:
        """Return X W + b, (N, K)."""
        if not self.bias:
            return np.asarray(self.features @ theta)
        return np.asarray(self.features @ theta[:-1] + theta[-1])

    def transposed(self, residuals: Array) -> Array:
        """Return X^T R, with the sum of R as the biases' row: of the shape of theta."""
        product = self.features.T @ residuals
        return np.vstack([product, residuals.sum(0)]) if self.bias else np.asarray(product)

    def penalised(self, theta: Array) -> Array:
        """Return theta with the biases, which the penalty leaves alone, set to zero."""
        return np.vstack([theta[:-1], np.zeros_like(theta[-1:])]) if self.bias else theta

    def value_and_gradient(self, theta: Array) -> tuple[float, Array]:
        """Return the loss and its gradient X^T (p - t) + l2 W (Bishop, equations 4.91 and 4.109)."""
        penalised = self.penalised(theta)
        loss = 0.5 * self.l2 * float(np.sum(np.square(penalised, dtype=np.float64)))
        gradient = self.l2 * penalised
        # In blocks that stay in the processor's cache, so that X comes from memory once and not twice.
        for start in range(0, len(self.features), BLOCK):
            part = self._rows(slice(start, start + BLOCK))
            scores = part.scores(theta)
            # Summed in double precision: tens of thousands of single-precision terms would lose the last digits.
            loss += float(np.sum(part.weights * cross_entropy(scores, part.targets), dtype=np.float64))
            gradient += part.transposed(part.weights[:, None] * (probabilities(scores) - part.targets))
        return loss, gradient

    def _rows(self, rows: slice | Array) -> Objective:
        return Objective(self.features[rows], self.targets[rows], self.weights[rows], self.l2, self.bias)

    def curvature(self, theta: Array, direction: Array) -> Array:
        """Return the Hessian at theta times a direction, both (D [+ 1], K) (Bishop, equations 4.97 and 4.110)."""
        p, change = probabilities(self.scores(theta)), self.scores(direction)
        if p.shape[1] == 1:
            bent = p * (1 - p) * change
        else:
            bent = p * (change - (p * change).sum(1, keepdims=True))
        return self.transposed(self.weights[:, None] * bent) + self.l2 * self.penalised(direction)
