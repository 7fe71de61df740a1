"""MNIST: our `cnn` and `logistic` beside the small Keras CNN, in turn on this machine.

    KERAS_BACKEND=torch python benchmarks/mnist.py --data path/to/mnist --rounds 3

The peer is the small CNN of the first Keras tutorials (Conv32-pool-Conv64-pool-Dense128-Dense10, Adam, batch 64, five
epochs, Keras 3 on torch). It is asked for its test accuracy after each epoch, so that the time at which it reaches
99.0 % is known; the test takes none of its time. We get fixed budgets, chosen on the validation split; the test images
are looked at once, when training is over.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import pixelry as px

TARGET = 0.99


def train_keras(data: px.Dataset, seed: int) -> list[tuple[float, float]]:
    """Return (seconds of training, test accuracy) after each of five epochs."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    arrays = {
        name: (data[name].images.permute(0, 2, 3, 1).float().div(255).numpy(), data[name].labels.numpy())
        for name in ("train", "test")
    }
    network = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    network.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    reached, spent = [], 0.0
    for _ in range(5):
        start = time.perf_counter()
        network.fit(*arrays["train"], batch_size=64, epochs=1, verbose=0)
        spent += time.perf_counter() - start
        reached.append((spent, float(network.evaluate(*arrays["test"], verbose=0)[1])))
    return reached


def train_ours(data: px.Dataset, network: str, seed: int, **budget: Any) -> tuple[float, float]:
    """Return (seconds of training, test accuracy) of a run."""
    with tempfile.TemporaryDirectory() as folder:
        model = px.train(
            "classify", data, network=network, seed=seed, out=Path(folder) / "run", progress=False, **budget
        )
        return model.card.training["seconds"], model.evaluate(data, split="test").metrics["accuracy"]


def first_time(reached: list[tuple[float, float]]) -> float | None:
    """Return the seconds at which the target was first met."""
    return next((seconds for seconds, accuracy in reached if accuracy >= TARGET), None)


def main() -> None:
    """Run all in turn and print one line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick-seconds", type=float, default=6.0, help="our budget for 99.0 %%")
    parser.add_argument("--without-peer", action="store_true")
    given = parser.parse_args()
    data = px.load_dataset(given.data)
    peer_ends: list[float] = []
    ratios: list[float] = []
    for seed in range(given.rounds):
        end = 76.0
        met = None
        if not given.without_peer:
            reached = train_keras(data, seed)
            met, end = first_time(reached), reached[-1][0]
            peer_ends.append(end)
            print(json.dumps({"peer": "keras", "seed": seed, "epochs": reached, "seconds_to_99": met}), flush=True)
        seconds, accuracy = train_ours(data, "cnn", seed, minutes=given.quick_seconds / 60)
        line = {"network": "cnn", "seed": seed, "seconds": seconds, "accuracy": accuracy}
        if met is not None:
            ratios.append(met / seconds)
            line["times_faster_than_peer"] = round(met / seconds, 2)
        print(json.dumps(line), flush=True)
        # The peer's whole time, less what Lightning takes to notice the end.
        seconds, accuracy = train_ours(data, "cnn", seed, minutes=(end - 0.5) / 60)
        print(json.dumps({"network": "cnn", "seed": seed, "seconds": seconds, "accuracy": accuracy}), flush=True)
        seconds, accuracy = train_ours(data, "logistic", seed, minutes=0.25)
        print(json.dumps({"network": "logistic", "seed": seed, "seconds": seconds, "accuracy": accuracy}), flush=True)
    if ratios:
        print(f"median: 99.0 % {statistics.median(ratios):.1f} times as fast as the peer")
    if peer_ends:
        print(f"median: the peer's five epochs take {statistics.median(peer_ends):.0f} s")


if __name__ == "__main__":
    main()
