"""Writers of every format: each writes the same pictures, and the grid test reads them back.

A new format adds a writer here, and the grid picks it up; see CONTRIBUTING.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image as PILImage

from pixelry.pixels import encode_image, write_image

Splits = dict[str, tuple[np.ndarray, np.ndarray]]
Writer = Callable[[Path, Splits, list[str]], Path]


def write_picture(path: Path, size: tuple[int, int], orientation: int | None = None) -> Path:
    """Write a picture of (height, width) as JPEG or PNG, with EXIF where it is turned.

    Its grey is the length of its name, so that few are the same.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = PILImage.Exif()
    if orientation:
        exif[274] = orientation
    PILImage.fromarray(np.full((*size, 3), len(path.name), np.uint8)).save(path, exif=exif)
    return path


def pictures(shape: tuple[int, ...], classes: int = 3, seed: int = 0) -> Splits:
    """Return {"train": (images (12, *shape) uint8, labels (12,)), "test": 6 of them}, labels in turn."""
    random = np.random.default_rng(seed)
    return {
        name: (random.integers(0, 256, (count, *shape), dtype=np.uint8), np.arange(count) % classes)
        for name, count in (("train", 12), ("test", 6))
    }


def write_folder(root: Path, splits: Splits, classes: list[str]) -> Path:
    for split, (images, labels) in splits.items():
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            folder = root / split / classes[label]
            folder.mkdir(parents=True, exist_ok=True)
            write_image(folder / f"{number}.png", image)
    return root


def write_images(root: Path, splits: Splits, classes: list[str]) -> Path:
    for split, (images, _) in splits.items():
        (root / split).mkdir()
        for number, image in enumerate(images):
            write_image(root / split / f"{number}.png", image)
    return root


def idx_bytes(array: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return head + array.astype(np.uint8).tobytes()


def write_idx(root: Path, splits: Splits, classes: list[str]) -> Path:
    for split, (images, labels) in splits.items():
        word = {"train": "train", "test": "t10k"}[split]
        (root / f"{word}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(images)))
        (root / f"{word}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    (root / "classes.txt").write_text("\n".join(classes))
    return root


def rows(images: np.ndarray) -> np.ndarray:
    """Return (N, 32, 32, 3) as CIFAR's rows of planes, (N, 3072)."""
    return images.transpose(0, 3, 1, 2).reshape(len(images), -1)


def cifar_files(splits: Splits) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the images and labels of each batch file of CIFAR-10."""
    images, labels = splits["train"]
    order = np.array_split(np.arange(len(images)), 5)
    files = {f"data_batch_{k + 1}": (images[part], labels[part]) for k, part in enumerate(order)}
    return {**files, "test_batch": splits["test"]}


def write_cifar_binary(root: Path, splits: Splits, classes: list[str]) -> Path:
    for name, (images, labels) in cifar_files(splits).items():
        content = np.concatenate([labels[:, None].astype(np.uint8), rows(images)], 1)
        (root / f"{name}.bin").write_bytes(content.tobytes())
    (root / "batches.meta.txt").write_text("\n".join(_ten(classes)) + "\n\n")
    return root


def write_cifar_python(root: Path, splits: Splits, classes: list[str]) -> Path:
    for name, (images, labels) in cifar_files(splits).items():
        batch = {b"data": rows(images), b"labels": labels.tolist()}
        (root / name).write_bytes(pickle.dumps(batch, protocol=2))
    names = {b"label_names": [name.encode() for name in _ten(classes)]}
    (root / "batches.meta").write_bytes(pickle.dumps(names, protocol=2))
    return root


def _ten(classes: list[str]) -> list[str]:
    return classes + [f"unused{k}" for k in range(len(classes), 10)]


def write_parquet(root: Path, splits: Splits, classes: list[str]) -> Path:
    features = {"img": {"_type": "Image"}, "label": {"names": classes, "_type": "ClassLabel"}}
    for split, (images, labels) in splits.items():
        encoded = [{"bytes": encode_image(image, format="PNG"), "path": None} for image in images]
        table = pa.table({"img": encoded, "label": labels})
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
        pq.write_table(table, root / f"{split}-00000-of-00001.parquet")
    return root


def write_csv(root: Path, splits: Splits, classes: list[str]) -> Path:
    with (root / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "label", "split"])
        for path, label, split in _listed(root, splits, classes):
            writer.writerow([path, label, split])
    return root


def write_jsonl(root: Path, splits: Splits, classes: list[str]) -> Path:
    lines = [
        json.dumps({"file_name": path, "label": label, "split": split})
        for path, label, split in _listed(root, splits, classes)
    ]
    (root / "list.jsonl").write_text("\n".join(lines) + "\n")
    return root / "list.jsonl"


def _listed(root: Path, splits: Splits, classes: list[str]) -> list[tuple[str, str, str]]:
    (root / "images").mkdir()
    listed = []
    for split, (images, labels) in splits.items():
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            path = f"images/{split}{number}.png"
            write_image(root / path, image)
            listed.append((path, classes[label], split))
    return listed


def write_npz(root: Path, splits: Splits, classes: list[str]) -> Path:
    arrays = {}
    for split, (images, labels) in splits.items():
        arrays[f"x_{split}"], arrays[f"y_{split}"] = images, labels
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays, classes=np.array(classes))
    (root / "data.npz").write_bytes(buffer.getvalue())
    return root / "data.npz"


def write_splits(root: Path, splits: Splits, classes: list[str]) -> Path:
    from pixelry.api_splits import clean_data

    write_folder(root / "data", splits, classes)
    clean_data(root / "data", out=root / "list")
    return root / "list"


# Format, writer, shape of its pictures.
# Formats that hold pictures alone.
UNLABELLED = {"images"}
WRITERS: list[tuple[str, Writer, tuple[int, ...]]] = [
    ("folder", write_folder, (7, 9, 3)),
    ("images", write_images, (7, 9, 3)),
    ("idx", write_idx, (5, 6)),
    ("cifar", write_cifar_binary, (32, 32, 3)),
    ("cifar", write_cifar_python, (32, 32, 3)),
    ("parquet", write_parquet, (7, 9, 3)),
    ("manifest", write_csv, (7, 9, 3)),
    ("manifest", write_jsonl, (5, 6)),
    ("npz", write_npz, (7, 9, 3)),
    ("splits", write_splits, (7, 9, 3)),
]
