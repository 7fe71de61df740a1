"""Multinomial logistic regression on MNIST: scikit-learn's lbfgs and ours, in turn on this machine.

    python benchmarks/logistic.py --data path/to/mnist --rounds 3

The same features (float32 in [0, 1]), the same penalty (C = 1). Ours is timed until its training loss is as low as
the one at which scikit-learn ends.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression as Theirs
from sklearn.metrics import log_loss

import pixelry as px
from pixelry.logistic import LogisticRegression


def main() -> None:
    """Run both in turn and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    data = px.load_dataset(given.data)
    pairs = {
        name: (data[name].images.flatten(1).numpy().astype(np.float32) / 255, data[name].labels.numpy())
        for name in ("train", "test")
    }
    warnings.simplefilter("ignore", ConvergenceWarning)
    train, test = pairs["train"], pairs["test"]
    # How many iterations of ours reach their loss: looked up once, and not timed.
    goal = training_loss(Theirs().fit(*train), *train)
    iterations = next(k for k in range(5, 500, 5) if training_loss(ours(k).fit(*train), *train) <= goal)
    ratios = []
    for _ in range(given.rounds):
        seconds = []
        for name, model in (("scikit-learn", Theirs()), ("pixelry", ours(iterations))):
            start = time.perf_counter()
            model.fit(*train)
            seconds.append(time.perf_counter() - start)
            loss, score = training_loss(model, *train), model.score(*test)
            print(f"{name}: {seconds[-1]:.2f} s, training loss {loss:.4f}, test accuracy {score:.2%}", flush=True)
        ratios.append(seconds[0] / seconds[1])
    print(f"median: ours takes 1/{statistics.median(ratios):.1f} of the time ({iterations} iterations)")


def ours(iterations: int) -> LogisticRegression:
    """Return our estimator, to be stopped after so many iterations."""
    return LogisticRegression(solver="lbfgs", max_iter=iterations)


def training_loss(model: Any, features: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean cross-entropy in nats."""
    return float(log_loss(labels, model.predict_proba(features)))


if __name__ == "__main__":
    main()
