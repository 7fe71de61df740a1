"""`load_dataset`: names, paths, data in memory, and what it says when it cannot."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from writers import pictures, write_folder, write_idx

from pixelry import Dataset, load_dataset
from pixelry.data.catalog import describe_catalog
from pixelry.errors import DataError, UsageError


def test_digits_are_scikit_learns(digits: Dataset) -> None:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    assert sum(len(split) for split in digits.splits.values()) == len(bunch.target)
    ours = {digits[s].images[i].numpy().tobytes() for s in digits.splits for i in range(len(digits[s]))}
    theirs = {np.round(image * (255 / 16)).astype(np.uint8).tobytes() for image in bunch.images}
    assert ours == theirs
    shares = digits["test"].labels.bincount() / torch.tensor(np.bincount(bunch.target))
    assert ((shares > 0.18) & (shares < 0.22)).all()


def test_a_folder_comes_before_a_name_unless_it_holds_no_data(here: Path) -> None:
    run = here / "photos"
    run.mkdir()
    (run / "config.yaml").write_text("task: denoise")
    built_in = load_dataset("photos")
    assert built_in.format == "built-in"
    assert any("the folder photos holds no data" in note for note in built_in.notes)
    with pytest.raises(DataError, match="in no format that is recognised"):
        load_dataset(run)  # the path itself is meant
    write_folder(run, pictures((5, 6)), ["a", "b", "c"])
    assert load_dataset("photos").format == "folder"


def test_names_are_found_under_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home" / "mnist").mkdir(parents=True)
    write_idx(tmp_path / "home" / "mnist", pictures((5, 6)), ["a", "b", "c"])
    monkeypatch.setenv("PIXELRY_DATA", str(tmp_path / "home"))
    dataset = load_dataset("mnist")
    assert (dataset.name, dataset.format, dataset.source) == ("mnist", "idx", "mnist")


def test_offline_download_says_what_to_put_where(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import torchvision.datasets

    def refuse(*args: object, **kwargs: object) -> None:
        raise RuntimeError("no network")

    monkeypatch.setenv("PIXELRY_CACHE", str(tmp_path))
    monkeypatch.setattr(torchvision.datasets, "FashionMNIST", refuse)
    with pytest.raises(DataError, match=r"no network.*train-images-idx3-ubyte.gz.*--data FOLDER.*PIXELRY_DATA"):
        load_dataset("fashion-mnist")


def test_downloads_go_through_torchvision(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import torchvision.datasets

    def fetch(root: Path, *, train: bool, download: bool) -> None:
        folder = Path(root) / "FashionMNIST" / "raw"
        folder.mkdir(parents=True, exist_ok=True)
        write_idx(folder, pictures((28, 28), classes=10), [str(k) for k in range(10)])

    monkeypatch.setenv("PIXELRY_CACHE", str(tmp_path))
    monkeypatch.setattr(torchvision.datasets, "FashionMNIST", fetch)
    dataset = load_dataset("fashion-mnist")
    assert dataset.classes[9] == "Ankle boot"
    assert len(dataset["train"]) == 12


def test_unknown_names_are_corrected() -> None:
    with pytest.raises(DataError, match="did you mean 'digits'"):
        load_dataset("digts")


@pytest.mark.parametrize("kind", ["channels_last", "channels_first", "grey", "tensor", "float", "uint16"])
def test_arrays_become_the_one_form(kind: str) -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 5, 7, 3), dtype=np.uint8)
    labels = np.array([0, 1, 2, 0, 1, 2])
    expected = torch.from_numpy(images).permute(0, 3, 1, 2)
    given = {
        "channels_last": images,
        "channels_first": images.transpose(0, 3, 1, 2),
        "grey": images[..., 0],
        "tensor": expected,
        "float": images / 255,
        "uint16": images.astype(np.uint16) * 257,
    }[kind]
    dataset = load_dataset((given, labels))
    expected = expected[:, :1] if kind == "grey" else expected
    assert torch.equal(torch.stack([dataset["train"].images[i] for i in range(6)]), expected)
    assert dataset.classes == ("0", "1", "2")


def test_string_labels_and_splits() -> None:
    images = np.zeros((4, 3, 3), np.uint8)
    dataset = load_dataset({"train": (images, ["b", "a", "b", "a"]), "test": (images[:1], ["a"])})
    assert dataset.classes == ("a", "b")
    assert dataset["train"].labels.tolist() == [1, 0, 1, 0]


def test_torch_datasets_are_read() -> None:
    class Pairs(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
        classes = ("no", "yes")

        def __len__(self) -> int:
            return 4

        def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
            return torch.full((1, 3, 3), index / 4), index % 2

    dataset = load_dataset(Pairs())
    assert dataset.classes == ("no", "yes")
    assert dataset["train"].labels.tolist() == [0, 1, 0, 1]
    assert dataset["train"].images[2].unique().tolist() == [128]


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((4, 3, 3), np.uint8), [0, 1, 2], "4 images but 3 entries"),
        (np.zeros((4, 3, 3)) + 255, [0, 1, 0, 1], "float values go from 255 to 255"),
        (np.full((4, 3, 3), np.nan), [0, 1, 0, 1], "NaN|not finite|infinite"),
        (np.zeros((4, 2, 3, 7), np.uint8), [0, 1, 0, 1], r"C of 1, 3 or 4; got \(4, 2, 3, 7\)"),
        (np.zeros((4, 3, 3), np.int64), [0, 1, 0, 1], "images of int64"),
        (np.zeros((4, 3, 3), np.uint8), [0.5, 1, 0, 1], "labels are integers or strings"),
        (np.zeros((4, 3, 3), np.uint8), [0, -1, 0, 1], "has label -1"),
    ],
)
def test_bad_arrays_are_named(images: np.ndarray, labels: list[int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_dataset((images, labels))


def test_label_out_of_range_is_named() -> None:
    from pixelry.data.arrays import dataset_from_arrays

    with pytest.raises(DataError, match="image #2 of split 'train' has label 7; with 2 classes, labels go from 0 to 1"):
        dataset_from_arrays({"train": (np.zeros((3, 4, 4), np.uint8), [0, 1, 7])}, classes=["a", "b"])


def test_a_second_source_is_the_test_split(tmp_path: Path) -> None:
    splits = pictures((5, 6))
    write_folder(tmp_path / "one", {"train": splits["train"]}, ["ant", "bee", "cat"])
    write_folder(tmp_path / "two", {"train": (splits["test"][0], splits["test"][1])}, ["ant", "bee", "cat"])
    dataset = load_dataset(tmp_path / "one" / "train", test=tmp_path / "two" / "train")
    assert (len(dataset["train"]), len(dataset["test"])) == (12, 6)
    write_folder(tmp_path / "three", {"train": splits["train"]}, ["ant", "bee", "dog"])
    with pytest.raises(DataError, match="classes that train lacks: dog"):
        load_dataset(tmp_path / "one" / "train", test=tmp_path / "three" / "train")


def test_what_cannot_be_data_is_said() -> None:
    with pytest.raises(UsageError, match="cannot read a data set from int"):
        load_dataset(3)


def test_gzip_bombs_are_not_unpacked(tmp_path: Path) -> None:
    write_idx(tmp_path, pictures((5, 6)), ["a", "b", "c"])
    head = bytes([0, 0, 8, 1]) + np.array([12], ">u4").tobytes()
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(gzip.compress(head + bytes(10**7)))
    with pytest.raises(DataError, match="longer than its header says: 12 bytes announced, 13 found"):
        load_dataset(tmp_path)


def test_the_catalog_lists_names_and_formats() -> None:
    rows = {row["name"]: row for row in describe_catalog()}
    assert rows["digits"]["kind"] == "built-in"
    assert rows["cifar10"]["kind"] == "download"
    assert rows["parquet"]["kind"] == "format"
