"""Every format: what a writer wrote comes back pixel by pixel, and damage gets a clear error."""

from __future__ import annotations

import gzip
import os
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from writers import (
    UNLABELLED,
    WRITERS,
    Splits,
    Writer,
    idx_bytes,
    pictures,
    write_cifar_binary,
    write_cifar_python,
    write_csv,
    write_folder,
    write_idx,
    write_jsonl,
    write_parquet,
)

from pixelry import load_dataset
from pixelry.errors import DataError, ImageError, UsageError
from pixelry.plugins import formats

CLASSES = ["ant", "bee", "cat"]


@pytest.mark.parametrize(("name", "writer", "shape"), WRITERS, ids=[w.__name__ for _, w, _ in WRITERS])
def test_what_is_written_is_read(name: str, writer: Writer, shape: tuple[int, ...], tmp_path: Path) -> None:
    splits = pictures(shape)
    dataset = load_dataset(str(writer(tmp_path, splits, CLASSES)))
    assert dataset.format == name
    labelled = name not in UNLABELLED
    assert dataset.classes[:3] == (tuple(CLASSES) if labelled else ())
    for split, (images, labels) in splits.items():
        read = dataset[split]
        assert len(read) == len(images)
        # The order of files is the format's own: pictures are found by their content.
        found = {read[i]["image"].numpy().tobytes(): read[i].get("label") for i in range(len(read))}
        for image, label in zip(images, labels, strict=True):
            channels_first = image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
            assert found[np.ascontiguousarray(channels_first).tobytes()] == (label if labelled else None)


def test_every_format_has_a_writer() -> None:
    # Those of boxes are tested in test_boxes_formats.py, those of masks in test_mask_formats.py, pairs in
    # test_denoise_given.py.
    boxes, masks = {"voc", "coco", "yolo", "boxes_csv"}, {"masks", "voc_masks", "cityscapes", "oxford_pets"}
    assert {name for name, _, _ in WRITERS} | boxes | masks | {"pairs"} == set(formats.names())


@pytest.mark.parametrize(("name", "writer", "shape"), WRITERS, ids=[w.__name__ for _, w, _ in WRITERS])
def test_fingerprint_follows_content(name: str, writer: Writer, shape: tuple[int, ...], tmp_path: Path) -> None:
    prints = []
    for place, seed in (("a", 0), ("b", 0), ("c", 1)):
        (tmp_path / place).mkdir()
        prints.append(load_dataset(str(writer(tmp_path / place, pictures(shape, seed=seed), CLASSES))).fingerprint)
    assert prints[0] == prints[1] != prints[2]


def test_folder_without_splits_is_train(tmp_path: Path) -> None:
    write_folder(tmp_path, {"train": pictures((4, 4))["train"]}, ["img2", "img10", "img1"])
    dataset = load_dataset(tmp_path / "train")
    assert list(dataset.splits) == ["train"]
    assert dataset.classes == ("img1", "img2", "img10")


def test_folder_says_which_classes_are_empty(tmp_path: Path) -> None:
    write_folder(tmp_path, pictures((4, 4)), CLASSES)
    (tmp_path / "train" / "dog").mkdir()
    dataset = load_dataset(tmp_path)
    assert dataset.classes == tuple(CLASSES)
    assert "dog" in dataset.notes[0]


def test_cifar100_takes_the_fine_labels(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name in ("train", "test"):
        content = random.integers(0, 256, (4, 2 + 3072), dtype=np.uint8)
        content[:, 0], content[:, 1] = 7, [0, 99, 1, 2]
        (tmp_path / f"{name}.bin").write_bytes(content.tobytes())
    dataset = load_dataset(tmp_path)
    assert len(dataset.classes) == 100
    assert dataset["train"].labels.tolist() == [0, 99, 1, 2]


class Hostile:
    """A pickle of it creates a folder when it is loaded the usual way."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_pickles_are_not_run(tmp_path: Path) -> None:
    write_cifar_python(tmp_path, pictures((32, 32, 3)), CLASSES)
    trap = tmp_path / "trap"
    (tmp_path / "data_batch_3").write_bytes(pickle.dumps({b"data": Hostile(trap)}))
    with pytest.raises(DataError, match=r"data_batch_3 asks for .*mkdir.*not run"):
        load_dataset(tmp_path)
    assert not trap.exists()


def test_npz_with_pickles_is_refused(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    np.savez(tmp_path / "bad.npz", x_train=np.array([Hostile(trap)], dtype=object))
    with pytest.raises(DataError, match="pickled objects"):
        load_dataset(tmp_path / "bad.npz")
    assert not trap.exists()


def damage_idx_short(root: Path, splits: Splits) -> Path:
    write_idx(root, splits, CLASSES)
    (root / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(splits["test"][1])[:-2])
    return root


def damage_idx_gzip(root: Path, splits: Splits) -> Path:
    write_idx(root, splits, CLASSES)
    (root / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(splits["train"][0]))[:-30])
    return root


def damage_idx_counts(root: Path, splits: Splits) -> Path:
    write_idx(root, splits, CLASSES)
    (root / "train-labels-idx1-ubyte").write_bytes(idx_bytes(splits["train"][1][:-1]))
    return root


def damage_idx_missing(root: Path, splits: Splits) -> Path:
    write_idx(root, splits, CLASSES)
    (root / "train-labels-idx1-ubyte").unlink()
    return root


def damage_idx_text(root: Path, splits: Splits) -> Path:
    write_idx(root, splits, CLASSES)
    (root / "train-labels-idx1-ubyte").write_text("this is no IDX file")
    return root


def damage_cifar_short(root: Path, splits: Splits) -> Path:
    write_cifar_binary(root, pictures((32, 32, 3)), CLASSES)
    (root / "data_batch_2.bin").write_bytes(b"\1" * 5000)
    return root


def damage_cifar_missing(root: Path, splits: Splits) -> Path:
    write_cifar_binary(root, pictures((32, 32, 3)), CLASSES)
    (root / "data_batch_2.bin").unlink()
    return root


def damage_cifar_pickle(root: Path, splits: Splits) -> Path:
    write_cifar_python(root, pictures((32, 32, 3)), CLASSES)
    whole = (root / "data_batch_2").read_bytes()
    (root / "data_batch_2").write_bytes(whole[: len(whole) // 2])
    return root


def damage_parquet_short(root: Path, splits: Splits) -> Path:
    write_parquet(root, splits, CLASSES)
    file = root / "train-00000-of-00001.parquet"
    file.write_bytes(file.read_bytes()[:200])
    return root


def damage_parquet_columns(root: Path, splits: Splits) -> Path:
    pq.write_table(pa.table({"photo": [b"x"], "label": [0]}), root / "train.parquet")
    return root


def damage_parquet_null(root: Path, splits: Splits) -> Path:
    pq.write_table(pa.table({"image": [None, b"x"], "label": [0, 1]}), root / "train.parquet")
    return root


def damage_manifest_file(root: Path, splits: Splits) -> Path:
    write_csv(root, splits, CLASSES)
    (root / "images" / "train3.png").unlink()
    return root


def damage_manifest_line(root: Path, splits: Splits) -> Path:
    path = write_jsonl(root, splits, CLASSES)
    path.write_text(path.read_text() + '{"file_name": "images/train0.png"\n')
    return path


def damage_manifest_label(root: Path, splits: Splits) -> Path:
    (root / "list.csv").write_text("image,label\na.png,\n")
    return root / "list.csv"


def damage_manifest_split(root: Path, splits: Splits) -> Path:
    path = write_jsonl(root, splits, CLASSES)
    path.write_text(path.read_text().replace('"test"', '"exam"'))
    return path


def damage_npz(root: Path, splits: Splits) -> Path:
    (root / "data.npz").write_bytes(b"PK\3\4 not really")
    return root / "data.npz"


def damage_npz_names(root: Path, splits: Splits) -> Path:
    np.savez(root / "data.npz", apples=np.zeros(3))
    return root / "data.npz"


def damage_npz_range(root: Path, splits: Splits) -> Path:
    np.savez(root / "data.npz", images=np.full((2, 4, 4), 255.0), labels=np.array([0, 1]))
    return root / "data.npz"


def damage_npz_lengths(root: Path, splits: Splits) -> Path:
    np.savez(root / "data.npz", images=np.zeros((3, 4, 4), np.uint8), labels=np.array([0, 1]))
    return root / "data.npz"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_idx_short, "t10k-labels.* is cut short: 6 bytes announced, 4 found"),
        (damage_idx_gzip, "train-images.* cannot be unpacked"),
        (damage_idx_counts, "12 images, .* 11 labels"),
        (damage_idx_missing, "not the train split's labels"),
        (damage_idx_text, "no IDX file of unsigned bytes"),
        (damage_cifar_short, r"data_batch_2.bin has 5,000 bytes"),
        (damage_cifar_missing, r"lacks data_batch_2.bin"),
        (damage_cifar_pickle, "data_batch_2 cannot be read as a CIFAR batch"),
        (damage_parquet_short, "train-.*parquet is no parquet file, or damaged"),
        (damage_parquet_columns, "columns photo, label; expected one called image or img"),
        (damage_parquet_null, r"train.parquet row 0 has no image bytes"),
        (damage_manifest_file, r"line 5: there is no file .*train3.png"),
        (damage_manifest_line, "line 19 is no JSON"),
        (damage_manifest_label, "line 2 has no value under label"),
        (damage_manifest_split, "line 13: split 'exam' is none of train, val, test"),
        (damage_npz, r"data.npz is no .npz archive, or damaged|data.npz cannot be read"),
        (damage_npz_names, "has the arrays apples"),
        (damage_npz_range, "float values go from 255 to 255"),
        (damage_npz_lengths, "3 images but 2 entries of 'label'"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_damage_is_named(damage: object, message: str, tmp_path: Path) -> None:
    path = damage(tmp_path, pictures((5, 6)))  # type: ignore[operator]
    with pytest.raises(DataError, match=message):
        load_dataset(path)


def test_a_damaged_image_in_a_folder_is_named_when_it_is_used(tmp_path: Path) -> None:
    write_folder(tmp_path, pictures((5, 6)), CLASSES)
    (tmp_path / "train" / "ant" / "0.png").write_text("I am a text")
    dataset = load_dataset(tmp_path)
    with pytest.raises(ImageError, match=r"0.png is text"):
        dataset["train"][0]


def test_unrecognised_paths_say_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(DataError, match=r"no format that is recognised(.|\n)*idx: IDX files"):
        load_dataset(tmp_path)


def test_two_formats_ask_which(tmp_path: Path) -> None:
    write_parquet(tmp_path, pictures((5, 6)), CLASSES)
    write_idx(tmp_path, pictures((5, 6)), CLASSES)
    with pytest.raises(DataError, match="several formats: idx, parquet; say which with --format"):
        load_dataset(tmp_path)
    assert load_dataset(tmp_path, format="idx").format == "idx"


def test_unknown_format_is_corrected(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'folder'"):
        load_dataset(tmp_path, format="foldr")
