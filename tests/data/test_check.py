"""Each fault is planted into real pictures and found; data without faults gives no finding."""

from __future__ import annotations

import doctest
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data
from torch.nn import functional as F

from pixelry.data import check, findings
from pixelry.data.builtin import digits
from pixelry.data.check import CheckReport, check_dataset
from pixelry.data.dataset import Dataset, FileImages, Split
from pixelry.data.label_noise import judge_labels
from pixelry.errors import ImageError
from pixelry.pixels import encode_image, resize, write_image

SIDE = 40
CLASSES = ("astronaut", "coffee")


def crops(photo: np.ndarray, count: int) -> torch.Tensor:
    """Tiles of a photograph that do not overlap, spread over it, uint8 (count, 3, 40, 40)."""
    tiles = torch.from_numpy(photo).permute(2, 0, 1).unfold(1, SIDE, SIDE).unfold(2, SIDE, SIDE)
    tiles = tiles.permute(1, 2, 0, 3, 4).flatten(0, 1)
    return tiles[torch.linspace(0, len(tiles) - 1, count).long()].clone()


def photos(train: int = 30, test: int = 10) -> Dataset:
    """Two classes: tiles of two photographs."""
    parts = [crops(data.astronaut(), train + test), crops(data.coffee(), train + test)]
    labels = torch.tensor([0] * train + [1] * train), torch.tensor([0] * test + [1] * test)
    splits = {
        "train": Split(torch.cat([part[:train] for part in parts]), {"label": labels[0]}),
        "test": Split(torch.cat([part[train:] for part in parts]), {"label": labels[1]}),
    }
    return Dataset("photos", splits, CLASSES)


def changed(dataset: Dataset, split: str, index: int, image: torch.Tensor, label: int | None = None) -> Dataset:
    """The data set with one image, and perhaps its label, replaced."""
    old = dataset[split]
    images, labels = old.images.clone(), old.labels.clone()
    images[index] = image
    labels[index] = labels[index] if label is None else label
    return Dataset(dataset.name, {**dataset.splits, split: Split(images, {"label": labels})}, dataset.classes)


def in_files(folder: Path, dataset: Dataset) -> dict[str, list[Path]]:
    """Write every image of a data set as a PNG file."""
    return {
        name: [
            write_image(folder / name / f"{i}.png", split.images[i].permute(1, 2, 0).numpy()) for i in range(len(split))
        ]
        for name, split in dataset.splits.items()
    }


def from_files(files: dict[str, list[Path]], dataset: Dataset) -> Dataset:
    splits = {name: Split(FileImages(paths), dataset[name].targets) for name, paths in files.items()}
    return Dataset(dataset.name, splits, dataset.classes)


def quick(dataset: Dataset) -> CheckReport:
    return check_dataset(dataset, label_noise=False)


def only(report: CheckReport, kind: str):
    """The finding, which must be the only one."""
    assert [finding.kind for finding in report.findings] == [kind], report.summary()
    return report.findings[0]


def test_nothing_to_find(tmp_path):
    report = check_dataset(digits())
    assert report.findings == ()
    assert report.sheet is None
    assert report.summary() == "digits: 1,797 images checked, nothing found"
    clean = photos()
    assert quick(clean).findings == ()
    assert quick(from_files(in_files(tmp_path, clean), clean)).findings == ()


def test_unreadable_and_empty_files_are_named(tmp_path):
    clean = photos()
    files = in_files(tmp_path, clean)
    broken, empty, missing = files["train"][3], files["train"][7], files["test"][2]
    broken.write_bytes(broken.read_bytes()[:500])
    empty.write_bytes(b"")
    missing.unlink()
    report = quick(from_files(files, clean))
    found = {finding.kind: finding for finding in report.findings}
    assert set(found) == {"unreadable", "empty-file"}
    assert found["empty-file"].names == (str(empty),)
    assert found["unreadable"].names == (str(broken), str(missing))
    assert found["unreadable"].total == 2
    assert len(report.errors) == 2
    assert "damaged or cut short" in report.summary()
    assert report.summary().count(str(broken)) == 1
    assert "there is no file" in report.summary()


def test_readers_that_raise_anything():
    class Bad:
        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> torch.Tensor:
            if index == 1:
                raise KeyError("gone")
            return torch.zeros(3, 4, 4) if index == 2 else torch.arange(48, dtype=torch.uint8).reshape(3, 4, 4)

    found = only(quick(Dataset("bad", {"train": Split(Bad())})), "unreadable")
    assert [(example.images, example.note) for example in found.examples] == [
        ((("train", "#1"),), "'gone'"),
        ((("train", "#2"),), "expected uint8 pixels (1 or 3, height, width); got float32 (3, 4, 4)"),
    ]


def test_encoded_bytes():
    sources = [encode_image(tile.permute(1, 2, 0).numpy(), format="PNG") for tile in crops(data.coffee(), 8)]
    sources[5] = b""
    names = [f"row {i}" for i in range(8)]
    report = quick(Dataset("rows", {"train": Split(FileImages(sources, names))}))
    assert only(report, "empty-file").names == ("row 5",)


def test_odd_sizes_and_channels(tmp_path):
    clean = photos()
    files = in_files(tmp_path, clean)
    large, grey = files["train"][0], files["test"][4]
    write_image(large, data.cat()[:50, :60], overwrite=True)
    write_image(grey, data.camera()[100:140, 200:240], overwrite=True)
    report = quick(from_files(files, clean))
    assert [(finding.kind, finding.severity) for finding in report.findings] == [
        ("size", "warning"),
        ("channels", "warning"),
    ]
    assert report.findings[0].names == (str(large),)
    assert "50 x 60 pixels" in report.summary()
    assert report.findings[1].names == (str(grey),)
    assert report.findings[1].examples[0].note == "grey"


def test_a_mixed_collection_is_not_odd(tmp_path):
    photo = data.coffee()
    files = [write_image(tmp_path / f"{i}.png", photo[10 * i : 100 + 20 * i, 20 * i : 150 + 23 * i]) for i in range(10)]
    assert quick(Dataset("mixed", {"train": Split(FileImages(files))})).findings == ()


def test_splits_of_different_size_or_color():
    train = Split(crops(data.coffee(), 12))
    small = torch.stack([tile[:, :32, :32] for tile in crops(data.astronaut(), 12)])
    found = only(quick(Dataset("sizes", {"train": train, "test": Split(small)})), "split-size")
    assert "train 40 x 40 pixels, test 32 x 32 pixels" in found.message
    camera = torch.from_numpy(data.camera()[:480, :40].reshape(12, 1, 40, 40))
    found = only(quick(Dataset("colors", {"train": train, "test": Split(camera)})), "split-channels")
    assert "train in colour, test grey" in found.message


def test_blank_images_are_not_each_others_copies():
    dataset = photos()
    for index in (2, 40):
        dataset = changed(dataset, "train", index, torch.tensor([200, 10, 30], dtype=torch.uint8)[:, None, None])
    found = only(quick(dataset), "blank")
    assert found.names == ("#2", "#40")
    assert found.severity == "warning"


def test_exact_copies():
    clean = photos()
    original = clean["train"].images[5]
    within = only(quick(changed(clean, "train", 20, original)), "duplicate")
    assert within.severity == "warning"
    assert within.names == ("#5", "#20")
    leak = only(quick(changed(clean, "test", 3, original)), "leak")
    assert leak.severity == "error"
    assert leak.examples[0].images == (("train", "#5"), ("test", "#3"))
    report = quick(changed(clean, "train", 20, original, label=1))
    assert [finding.kind for finding in report.findings] == ["label-conflict", "duplicate"]
    assert report.errors[0].examples[0].values == {"labels": ["astronaut", "coffee"]}
    assert report.sheet is not None
    assert report.sheet.shape[2] == 3


def test_copies_of_the_same_pixels_in_other_files(tmp_path):
    clean = photos(8, 4)
    files = in_files(tmp_path, clean)
    pixels = clean["train"].images[1].permute(1, 2, 0).numpy()
    files["test"][0] = write_image(tmp_path / "copy.tif", pixels)
    leak = only(quick(from_files(files, clean)), "leak")
    assert leak.names == (str(files["train"][1]), str(files["test"][0]))


@pytest.mark.parametrize("how", ["jpeg", "smaller", "brighter", "noise", "shifted by a pixel"])
def test_near_copies(how):
    photo = data.astronaut()[40:200, 160:320]
    noise = np.random.default_rng(0).normal(0, 4, photo.shape)
    copy = {
        "jpeg": encode_image(photo, format="JPEG", quality=60),
        "smaller": encode_image(resize(photo, shape=(57, 64)), format="PNG"),
        "brighter": encode_image((photo * 0.8 + 40).astype(np.uint8), format="PNG"),
        "noise": encode_image(np.clip(photo + noise, 0, 255).astype(np.uint8), format="PNG"),
        "shifted by a pixel": encode_image(data.astronaut()[41:201, 161:321], format="PNG"),
    }[how]
    others = [encode_image(tile.permute(1, 2, 0).numpy(), format="PNG") for tile in crops(data.coffee(), 30)]
    train = FileImages([*others, encode_image(photo, format="PNG")], [f"train {i}" for i in range(31)])
    report = quick(Dataset("near", {"train": Split(train), "test": Split(FileImages([copy], ["the copy"]))}))
    found = [finding for finding in report.findings if finding.kind.startswith("near")]
    assert [(finding.kind, finding.severity, finding.names) for finding in found] == [
        ("near-leak", "warning", ("train 30", "the copy"))
    ]


def test_groups_of_near_copies():
    clean = photos()
    generator = np.random.default_rng(0)
    copies = [3, 11, 17, 22, 29, 44, 51, 58]
    dataset = clean
    for index in copies:
        noisy = clean["train"].images[3].numpy() + generator.normal(0, 3, (3, SIDE, SIDE))
        dataset = changed(dataset, "train", index, torch.from_numpy(noisy.clip(0, 255).astype(np.uint8)))
    found = only(quick(dataset), "near-duplicate")
    assert found.names == tuple(f"#{index}" for index in copies)
    assert found.severity == "info"
    assert found.examples[0].note == "labelled astronaut and coffee"


def test_handwriting_is_not_near_copies():
    assert quick(digits()).findings == ()


def test_the_window_of_large_data_sets(monkeypatch):
    from pixelry.data import duplicates

    monkeypatch.setattr(duplicates, "WINDOW", 600)
    monkeypatch.setattr(duplicates, "BLOCK", 64)
    clean = digits()
    pixels = clean["train"].images[[10, 700, 1200]].int()
    copies = (pixels * 9 // 10 + 12).to(torch.uint8)
    dataset = Dataset("digits", {"train": Split(clean["train"].images), "test": Split(copies)})
    found = only(quick(dataset), "near-leak")
    assert {example.images[0][1] for example in found.examples} == {"#10", "#700", "#1200"}


def classes(train: list[int], test: list[int], names: tuple[str, ...]) -> CheckReport:
    images = crops(data.coffee(), 140)
    splits, start = {}, 0
    for name, counts in (("train", train), ("test", test)):
        labels = torch.tensor([k for k, count in enumerate(counts) for _ in range(count)])
        splits[name] = Split(images[start : start + len(labels)], {"label": labels})
        start += len(labels)
    return quick(Dataset("classes", splits, names))


def test_classes_in_one_split_only():
    found = only(classes([5, 5, 0], [2, 2, 2], ("cat", "dog", "owl")), "class-split")
    assert found.severity == "error"
    assert "'owl'" in found.message
    found = only(classes([5, 5, 5], [2, 0, 2], ("cat", "dog", "owl")), "class-split")
    assert found.severity == "warning"
    assert "'dog'" in found.message
    found = only(classes([5, 5, 0], [2, 2, 0], ("cat", "dog", "owl")), "class-empty")
    assert found.severity == "warning"


def test_imbalance():
    found = only(classes([100, 5], [5, 5], ("cat", "dog")), "imbalance")
    assert "'cat' has 100 images and 'dog' 5, 20 to 1" in found.message
    assert classes([45, 5], [5, 5], ("cat", "dog")).findings == ()


def test_wrong_labels():
    clean = digits()
    generator = np.random.default_rng(0)
    wrong = np.sort(generator.choice(len(clean["train"]), 40, replace=False))
    labels = clean["train"].labels.clone()
    labels[wrong] = (labels[wrong] + torch.from_numpy(generator.integers(1, 10, 40))) % 10
    dataset = Dataset(
        "wrong", {**clean.splits, "train": Split(clean["train"].images, {"label": labels})}, clean.classes
    )
    report = check_dataset(dataset)
    found = only(report, "label-noise")
    assert found.severity == "warning"
    assert 32 <= found.total <= 42
    planted = {f"#{index}" for index in wrong}
    assert len(found.examples) == 32
    assert len(planted & set(found.names)) >= 31
    first = found.examples[0].values
    index = int(found.names[0][1:])
    assert first["label"] == str(int(labels[index]))
    assert first["predicted"] == str(int(clean["train"].labels[index]))
    assert first["probability"] > 0.9 > 0.1 > first["label_probability"]
    assert report.sheet is not None
    again = check_dataset(dataset)
    assert again.to_dict() == report.to_dict()
    assert np.array_equal(again.sheet, report.sheet)


def test_labels_that_cannot_be_judged():
    clean = digits()["train"]
    few = torch.cat([(clean.labels == k).nonzero().flatten()[: 60 if k < 2 else 6] for k in range(3)])
    dataset = Dataset("few", {"train": Split(clean.images[few], {"label": clean.labels[few]})}, ("0", "1", "2"))
    report = check_dataset(dataset)
    assert "labels of 1 class were not checked ('2'): fewer than 10 images" in report.summary()
    # Labels by lot: a model has nothing to go by, and says so instead of naming labels.
    lot = torch.from_numpy(np.random.default_rng(0).integers(0, 10, len(clean)))
    report = check_dataset(Dataset("lot", {"train": Split(clean.images, {"label": lot})}, digits().classes))
    assert "labels could not be judged" in only(report, "labels-unchecked").message


def test_no_label_is_doubted_by_a_model_that_is_not_clearly_good():
    # Few images in which every fifth label is wrong: what a weak model doubts are its own mistakes.
    clean = digits()["train"]
    images, labels = clean.images[:300], clean.labels[:300].clone()
    labels[::5] = (labels[::5] + 3) % 10
    report = check_dataset(Dataset("weak", {"train": Split(images, {"label": labels})}, digits().classes))
    assert not [finding for finding in report.findings if finding.kind == "label-noise"]
    message = only(report, "labels-unchecked").message
    assert re.search(r"agrees with \d+\.\d% of 300 labels, at least \d+\.\d% with 95 % confidence", message)


def test_right_labels_are_not_doubted():
    assert not [finding for finding in check_dataset(digits()).findings if finding.kind.startswith("label")]


def test_probabilities_of_the_label_model_are_calibrated():
    train = digits()["train"]
    judged = judge_labels(F.interpolate(train.images, (16, 16)), train.labels.numpy())
    assert judged is not None
    assert judged.confidence.mean() == pytest.approx(judged.accuracy, abs=0.01)
    assert 0.2 < judged.temperature < 1  # without it the model claims less than it is right


def test_data_without_labels_or_images():
    assert check_dataset(Dataset("plain", {"train": Split(crops(data.coffee(), 20))})).findings == ()
    assert only(check_dataset(Dataset("none", {})), "no-images").severity == "error"
    empty = Split(torch.empty(0, 3, 8, 8, dtype=torch.uint8))
    found = only(quick(Dataset("half", {"train": Split(crops(data.coffee(), 20)), "test": empty})), "empty-split")
    assert "'test'" in found.message


def test_many_cases_are_counted_and_a_few_named():
    images = crops(data.coffee(), 60)
    report = quick(Dataset("twice", {"train": Split(images), "test": Split(images)}))
    found = only(report, "leak")
    assert (found.total, len(found.examples)) == (60, 20)
    assert "and 55 more" in report.summary()
    facts = json.loads(json.dumps(report.to_dict()))
    assert (facts["images"], facts["errors"], facts["warnings"]) == (120, 1, 0)
    assert facts["findings"][0]["examples"][0]["images"] == [
        {"split": "train", "name": "#0"},
        {"split": "test", "name": "#0"},
    ]


def test_a_picture_that_vanishes_before_it_is_drawn(tmp_path):
    class Once:
        """Files that can be read once."""

        def __init__(self) -> None:
            self.seen: set[int] = set()
            self.images = crops(data.coffee(), 10)[[0, 1, 2, 3, 4, 5, 6, 7, 8, 0]]

        def __len__(self) -> int:
            return 10

        def __getitem__(self, index: int) -> torch.Tensor:
            if index in self.seen:
                raise ImageError(f"#{index} is gone")
            self.seen.add(index)
            return self.images[index]

    with pytest.raises(ImageError, match="#0 is gone"):
        quick(Dataset("once", {"train": Split(Once())}))


@pytest.mark.parametrize("module", [check, findings])
def test_examples(module):
    assert doctest.testmod(module).failed == 0
