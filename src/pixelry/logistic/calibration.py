"""Calibration: the temperature that makes probabilities agree with how often they are right."""

from __future__ import annotations

import math

from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn.functional import cross_entropy

MAX_TEMPERATURE = 1000.0  # and at least its inverse: logits of a network that has just begun to learn are tiny


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """Return the number by which to divide logits for the labels to be most probable (Guo et al. 2017, section 4.2).

    One imagined image of random label is spread over the N real ones, as in Laplace's rule of succession: where every
    answer is right, likelihood alone would ask for infinite certainty.

    Args:
        logits: (N, K) of images that the model was not trained on.
        labels: (N,) int64, their classes.

    Examples:
        >>> import torch
        >>> round(fit_temperature(torch.tensor([[4.0, 0.0]] * 4), torch.tensor([0, 0, 0, 1])), 1)
        4.7
    """
    precise, imagined = logits.double(), 1 / (len(labels) + 1)

    def loss(log_temperature: float) -> float:
        return float(cross_entropy(precise / math.exp(log_temperature), labels, label_smoothing=imagined))

    limit = math.log(MAX_TEMPERATURE)
    return math.exp(minimize_scalar(loss, bounds=(-limit, limit), method="bounded").x)
