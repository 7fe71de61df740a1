"""`pixelry data split` and `pixelry data clean`: lists that divide a data set, and are read as one."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.model_selection import train_test_split

from pixelry import load_dataset
from pixelry.api_splits import clean_data, split_data
from pixelry.data.assign import assign, assign_blocks, merge_groups
from pixelry.data.concatenate import concatenate
from pixelry.data.dataset import Split
from pixelry.data.sequences import find_sequences, looks_like_video
from pixelry.errors import DataError, ExistsError, UsageError
from pixelry.pixels import write_image


def noise(seed: int, shape: tuple[int, ...] = (12, 12, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def class_folders(root: Path, *, counts: dict[str, int], name: str = "{label}_p{patient}_x{letter}.png") -> Path:
    """Write a folder for each class; four patients in turn."""
    seed = 0
    for label, count in counts.items():
        for number in range(count):
            file = name.format(label=label, patient=number % 4, letter="abcdefghijklmnopqrstuvwxyz"[number // 4])
            write_image(root / label / file, noise(seed))
            seed += 1
    return root


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def names(dataset: Any, split: str) -> set[str]:
    return {Path(dataset[split].name(i)).name for i in range(len(dataset[split]))}


def test_a_split_keeps_the_proportions_and_is_read_back(tmp_path: Path) -> None:
    data = class_folders(tmp_path / "data", counts={"cat": 40, "dog": 20})
    facts = split_data(data, out=tmp_path / "list")
    read = load_dataset(tmp_path / "list")
    assert read.format == "splits"
    assert read.classes == ("cat", "dog")
    assert facts["fingerprint"] == read.fingerprint == load_dataset(tmp_path / "list" / "splits.csv").fingerprint
    counts = {name: torch.bincount(read[name].labels).tolist() for name in ("train", "val", "test")}
    assert counts == {"train": [32, 16], "val": [4, 2], "test": [4, 2]}
    # As many of each class as scikit-learn sets aside.
    source = load_dataset(data)["train"]
    _, test = train_test_split(source.labels.numpy(), test_size=0.1, stratify=source.labels.numpy(), random_state=0)
    assert np.bincount(test).tolist() == counts["test"]
    # Every image once, with the label and the pixels that it has in the data.
    seen = [names(read, name) for name in ("train", "val", "test")]
    assert sum(map(len, seen)) == len(set.union(*seen)) == 60
    for index in range(6):
        path = Path(read["test"].name(index))
        assert path.parent.name == read.classes[int(read["test"].labels[index])]
    assert facts["splits"]["val"] == {"images": 6, "per_class": {"cat": 4, "dog": 2}}


def test_a_seed_makes_the_same_split(tmp_path: Path) -> None:
    data = class_folders(tmp_path / "data", counts={"cat": 24, "dog": 16})
    prints = [split_data(data, out=tmp_path / f"list{k}", seed=seed)["fingerprint"] for k, seed in enumerate((0, 0, 1))]
    assert prints[0] == prints[1] != prints[2]
    assert (tmp_path / "list0" / "splits.csv").read_text() == (tmp_path / "list1" / "splits.csv").read_text()
    with pytest.raises(ExistsError, match="not empty"):
        split_data(data, out=tmp_path / "list0")


def test_groups_are_in_one_split(tmp_path: Path) -> None:
    data = class_folders(tmp_path / "data", counts={"cat": 40, "dog": 40})
    split_data(data, out=tmp_path / "list", group_pattern=r"_(p\d)_", val=0.25, test=0.25)
    of_split: dict[str, set[str]] = {}
    for row in rows(tmp_path / "list" / "splits.csv"):
        assert row["group"] in row["image"]
        of_split.setdefault(row["split"], set()).add(row["group"])
    assert {name: len(groups) for name, groups in of_split.items()} == {"train": 2, "val": 1, "test": 1}
    assert len(set.union(*of_split.values())) == 4
    with pytest.raises(DataError, match=r"40 images of 80 has no part that matches .*'dog/dog_p0_xa.png'"):
        split_data(data, out=tmp_path / "no", group_pattern=r"cat_(p\d)")
    with pytest.raises(UsageError, match="no regular expression"):
        split_data(data, out=tmp_path / "no", group_pattern="(")
    with pytest.raises(UsageError, match="--group-pattern"):
        split_data(data, out=tmp_path / "no", by="group")
    with pytest.raises(DataError, match="2 groups of images cannot fill 3 splits"):
        split_data(data, out=tmp_path / "no", group_pattern="cat|dog")


def test_groups_come_from_a_column(tmp_path: Path) -> None:
    lines = ["image,label,patient"]
    for number in range(30):
        write_image(tmp_path / "images" / f"{number}.png", noise(number))
        lines.append(f"images/{number}.png,{'ab'[number % 2]},P{number // 5}")
    (tmp_path / "list.csv").write_text("\n".join(lines))
    split_data(tmp_path / "list.csv", out=tmp_path / "split", group_column="patient", test=0)
    of_group: dict[str, set[str]] = {}
    for row in rows(tmp_path / "split" / "splits.csv"):
        of_group.setdefault(row["group"], set()).add(row["split"])
    assert len(of_group) == 6
    assert all(len(splits) == 1 for splits in of_group.values())
    with pytest.raises(UsageError, match="did you mean 'patient'"):
        split_data(tmp_path / "list.csv", out=tmp_path / "no", group_column="patients")


def frames(folder: Path, stem: str, count: int, seed: int) -> None:
    """Write frames of a scene that moves by a pixel from one to the next."""
    scene = np.kron(noise(seed, (8, 16, 3)), np.ones((6, 6, 1), np.uint8))
    for number in range(count):
        write_image(folder / f"{stem}_{100 + 3 * number:06d}.png", scene[:, 2 * number : 2 * number + 32])


def test_sequences_are_in_one_split_and_random_ones_are_warned_of(tmp_path: Path) -> None:
    for seed, stem in enumerate(("walk", "ride", "run", "swim", "climb")):
        frames(tmp_path / "video", stem, 12, seed)
    facts = split_data(tmp_path / "video", out=tmp_path / "list", by="sequence", val=0.2, test=0.2)
    of_split: dict[str, set[str]] = {}
    for row in rows(tmp_path / "list" / "splits.csv"):
        of_split.setdefault(row["split"], set()).add(Path(row["image"]).name.split("_")[0])
    assert sorted(map(len, of_split.values())) == [1, 1, 3]
    assert len(set.union(*of_split.values())) == 5
    assert facts["notes"][0].startswith("by sequence: 5 sequences")
    facts = split_data(tmp_path / "video", out=tmp_path / "random", by="random", duplicates=False)
    assert any("frames of 5 videos" in note and "--by sequence" in note for note in facts["notes"])
    # A training that draws its own validation split says the same.
    notes = load_dataset(tmp_path / "video").with_val(0.1).notes
    assert any("pixelry data split --by sequence" in note for note in notes)


def test_one_sequence_is_cut_into_blocks(tmp_path: Path) -> None:
    frames(tmp_path / "video", "walk", 20, 0)
    facts = split_data(tmp_path / "video", out=tmp_path / "list", by="sequence", val=0.2, test=0.2)
    assert facts["splits"]["train"]["images"] == 12
    order = [row["split"] for row in rows(tmp_path / "list" / "splits.csv")]
    assert order == ["train"] * 12 + ["val"] * 4 + ["test"] * 4
    assert "divided by contiguous blocks instead" in facts["notes"][0]
    with pytest.raises(DataError, match="show no sequences"):
        split_data("photos", out=tmp_path / "no", by="sequence", resplit=True)


def test_names_of_frames_are_recognised() -> None:
    found = find_sequences(["train/0001TP_006690.png", "test/0001TP_006720.png", "train/Seq05VD_f00030.png"])
    assert found.names == ("0001TP_#", "0001TP_#", "Seq05VD_f#")
    assert found.numbers == (6690, 6720, 30)
    # KITTI: the number that changes is the last but one.
    assert len(find_sequences([f"{number:06d}_10.png" for number in range(9)]).sizes) == 1
    assert not find_sequences([f"#{number}" for number in range(9)]).plausible
    # Numbered photographs are no video: neighbors are no more alike than others.
    images = torch.stack([torch.from_numpy(noise(k, (3, 8, 8))) for k in range(20)])
    assert not looks_like_video(images, find_sequences([f"IMG_{k}.jpg" for k in range(20)]))


def test_copies_are_in_one_split(tmp_path: Path) -> None:
    data = class_folders(tmp_path / "data", counts={"cat": 20, "dog": 20})
    for number in range(8):
        shutil.copy(data / "cat" / "cat_p0_xa.png", data / "cat" / f"copy{number}.png")
    split_data(data, out=tmp_path / "list", seed=3)
    found = {
        row["split"]
        for row in rows(tmp_path / "list" / "splits.csv")
        if "copy" in row["image"] or row["image"] == "cat/cat_p0_xa.png"
    }
    assert len(found) == 1


def test_a_split_of_the_data_is_kept_or_drawn_anew(tmp_path: Path) -> None:
    for name, first in (("train", 0), ("test", 100)):
        for number in range(20):
            write_image(tmp_path / "data" / name / "ab"[number % 2] / f"{number}.png", noise(first + number))
    facts = split_data(tmp_path / "data", out=tmp_path / "kept", val=0.2)
    assert {name: split["images"] for name, split in facts["splits"].items()} == {"train": 16, "val": 4, "test": 20}
    assert all(
        row["source_split"] == "test" for row in rows(tmp_path / "kept" / "splits.csv") if row["split"] == "test"
    )
    facts = split_data(tmp_path / "data", out=tmp_path / "anew", val=0.2, test=0.2, resplit=True)
    assert {name: split["images"] for name, split in facts["splits"].items()} == {"train": 24, "val": 8, "test": 8}
    read = load_dataset(tmp_path / "anew")
    for index in range(len(read["test"])):
        sample = read["test"][index]
        path = Path(read["test"].name(index))
        assert read.classes[sample["label"]] == path.parent.name
    with pytest.raises(UsageError, match="--resplit"):
        split_data(tmp_path / "data", out=tmp_path / "no", test=0.2)
    with pytest.raises(UsageError, match="from 0 to less than 1"):
        split_data(tmp_path / "data", out=tmp_path / "no", val=10)


def test_boxes_masks_and_pairs_are_divided_alike(tmp_path: Path) -> None:
    for number in range(20):
        for folder in ("yolo/images/train", "masks/images", "pairs/noisy", "pairs/clean"):
            write_image(tmp_path / folder / f"x{'abcdefghijklmnopqrst'[number]}.png", noise(number))
        label = tmp_path / "yolo" / "labels" / "train" / f"x{'abcdefghijklmnopqrst'[number]}.txt"
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text(f"{number % 2} 0.5 0.5 0.25 0.25\n")
        mask = np.zeros((12, 12), np.uint8)
        mask[: number % 12] = 1
        write_image(tmp_path / "masks" / "masks" / f"x{'abcdefghijklmnopqrst'[number]}.png", mask)
    (tmp_path / "yolo" / "classes.txt").write_text("cat\ndog\n")
    for kind, target in (("yolo", "boxes"), ("masks", "mask"), ("pairs", "clean")):
        split_data(tmp_path / kind, out=tmp_path / f"{kind}-list")
        source, read = load_dataset(tmp_path / kind), load_dataset(tmp_path / f"{kind}-list")
        assert {name: len(split) for name, split in read.splits.items()} == {"train": 16, "val": 2, "test": 2}
        whole = {source["train"].name(i): source["train"][i] for i in range(20)}
        for split in read.splits.values():
            for index in range(len(split)):
                expected = whole[split.name(index)]
                assert torch.equal(split[index]["image"], expected["image"])
                assert torch.equal(torch.as_tensor(split[index][target]), torch.as_tensor(expected[target]))
    labels = [int(load_dataset(tmp_path / "yolo-list")["test"].targets["labels"][i][0]) for i in range(2)]
    assert sorted(labels) == [0, 1]


def test_pages_of_stacks_are_divided(tmp_path: Path) -> None:
    import tifffile

    for name in ("a", "b"):
        for folder, pages in (("images", noise(ord(name), (5, 12, 12))), ("masks", np.eye(12, dtype=np.uint8)[None])):
            (tmp_path / "data" / folder).mkdir(parents=True, exist_ok=True)
            stack = np.broadcast_to(pages, (5, 12, 12))
            tifffile.imwrite(tmp_path / "data" / folder / f"{name}.tif", stack, photometric="minisblack")
    split_data(tmp_path / "data", out=tmp_path / "list", duplicates=False)
    images = [row["image"] for row in rows(tmp_path / "list" / "splits.csv")]
    assert images == [f"{name}_p{page:03d}.tif" for name in ("a", "b") for page in range(1, 6)]
    assert len(load_dataset(tmp_path / "list")["train"]) == 8


def test_data_that_changed_is_refused(tmp_path: Path) -> None:
    data = class_folders(tmp_path / "data", counts={"cat": 12, "dog": 12})
    split_data(data, out=tmp_path / "list")
    (data / "cat" / "cat_p0_xa.png").rename(data / "cat" / "new.png")
    with pytest.raises(DataError, match=r"1 image missing: 'cat/cat_p0_xa.png'; 1 image new: 'cat/new.png'"):
        load_dataset(tmp_path / "list")
    (data / "cat" / "new.png").rename(data / "cat" / "cat_p0_xa.png")
    write_image(data / "dog" / "dog_p1_xa.png", noise(99), overwrite=True)
    with pytest.raises(DataError, match=r"1 image changed: 'dog/dog_p1_xa.png'.*delete the line \"fingerprint\""):
        load_dataset(tmp_path / "list")
    facts = json.loads((tmp_path / "list" / "splits.json").read_text())
    del facts["fingerprint"]
    (tmp_path / "list" / "splits.json").write_text(json.dumps(facts))
    assert len(load_dataset(tmp_path / "list")["train"]) == 20
    data.rename(tmp_path / "moved")
    with pytest.raises(DataError, match=r"refers to .*data, where there is no data set"):
        load_dataset(tmp_path / "list")


def test_list_and_data_move_together(tmp_path: Path) -> None:
    class_folders(tmp_path / "here" / "data", counts={"cat": 12, "dog": 12})
    facts = split_data(tmp_path / "here" / "data", out=tmp_path / "here" / "list")
    (tmp_path / "here").rename(tmp_path / "there")
    assert load_dataset(tmp_path / "there" / "list").fingerprint == facts["fingerprint"]


def test_a_damaged_list_is_named(tmp_path: Path) -> None:
    data = class_folders(tmp_path / "data", counts={"cat": 12, "dog": 12})
    split_data(data, out=tmp_path / "list")
    file = tmp_path / "list" / "splits.csv"
    good = file.read_text()
    file.write_text(good.replace(",val,", ",vla,", 1))
    with pytest.raises(DataError, match=r"splits.csv, line \d+: split 'vla' is none of train, val, test"):
        load_dataset(tmp_path / "list")
    file.unlink()
    with pytest.raises(DataError, match=r"splits\.csv cannot be read"):
        load_dataset(tmp_path / "list")
    with pytest.raises(UsageError, match="in memory"):
        split_data((np.zeros((20, 4, 4), np.uint8), np.arange(20) % 2), out=tmp_path / "no", duplicates=False)


def spoiled(root: Path) -> Path:
    """Write a data set with one of each of the things that `clean` leaves out."""
    for name, first in (("train", 0), ("test", 100)):
        for number in range(20):
            write_image(root / name / "ab"[number % 2] / f"{number:02d}.png", noise(first + number, (24, 24, 3)))
    train, test = root / "train", root / "test"
    (train / "a" / "broken.png").write_bytes(b"not an image")
    shutil.copy(train / "a" / "00.png", train / "a" / "copy.png")
    shutil.copy(test / "b" / "01.png", train / "b" / "leak.png")
    shutil.copy(train / "a" / "02.png", train / "b" / "conflict.png")
    near = noise(4, (24, 24, 3)).astype(int) + 2
    write_image(train / "a" / "near.png", near.clip(0, 255).astype(np.uint8))
    write_image(train / "a" / "blank.png", np.full((24, 24, 3), 7, np.uint8))
    return root


def test_clean_leaves_out_and_says_why(tmp_path: Path) -> None:
    data = spoiled(tmp_path / "data")
    before = {path: path.read_bytes() for path in data.rglob("*.png")}
    facts = clean_data(data, out=tmp_path / "clean")
    removed = {row["image"]: row for row in rows(tmp_path / "clean" / "removed.csv")}
    kinds = {image: row["reason"].split(":")[0] for image, row in removed.items()}
    assert kinds == {
        "train/a/broken.png": "unreadable",
        "train/a/copy.png": "duplicates",
        "train/b/leak.png": "leaks",
        "train/a/02.png": "conflicts",
        "train/b/conflict.png": "conflicts",
    }
    assert removed["train/b/leak.png"]["duplicate_of"] == "test/b/01.png"
    assert removed["train/a/copy.png"]["duplicate_of"] == "train/a/00.png"
    assert facts["removed"] == {"unreadable": 1, "conflicts": 2, "leaks": 1, "duplicates": 1}
    assert "1 image kept: nearly the same as another image of its split (--drop near leaves them out)" in facts["notes"]
    read = load_dataset(tmp_path / "clean")
    assert (len(read["train"]), len(read["test"])) == (21, 20)
    assert before == {path: path.read_bytes() for path in data.rglob("*.png")}
    # What is left is clean, and can be divided.
    assert clean_data(tmp_path / "clean", out=tmp_path / "again")["removed"] == {}
    assert split_data(tmp_path / "clean", out=tmp_path / "split", val=0.2)["splits"]["val"]["images"] == 4
    assert len(load_dataset(tmp_path / "split")["test"]) == 20


def test_clean_drops_and_keeps_what_is_asked_for(tmp_path: Path) -> None:
    data = spoiled(tmp_path / "data")
    facts = clean_data(data, out=tmp_path / "clean", drop="near,blank", keep=["duplicates"])
    assert facts["removed"] == {"unreadable": 1, "conflicts": 2, "leaks": 1, "near": 1, "blank": 1}
    with pytest.raises(UsageError, match="did you mean 'near'"):
        clean_data(data, out=tmp_path / "no", drop=["naer"])


def test_clean_drops_improbable_labels_of_train(tmp_path: Path) -> None:
    digits, generator = load_dataset("digits"), np.random.default_rng(0)
    images, labels = digits["train"].images[:, 0].numpy(), digits["train"].labels.numpy().copy()
    wrong = generator.choice(len(labels), 40, replace=False)
    labels[wrong] = (labels[wrong] + generator.integers(1, 10, 40)) % 10
    test = {"x_test": digits["test"].images[:, 0].numpy(), "y_test": digits["test"].labels.numpy()}
    np.savez(tmp_path / "wrong.npz", x_train=images, y_train=labels, **test)
    facts = clean_data(tmp_path / "wrong.npz", out=tmp_path / "clean", drop=["labels"])
    found = {row["image"] for row in rows(tmp_path / "clean" / "removed.csv")}
    assert facts["removed"]["labels"] == len(found)
    assert len(found & {f"#{index}" for index in wrong}) >= 20
    # A test set stays as it is, and labels that the model cannot learn are not judged.
    assert facts["splits"]["test"]["images"] == 355
    np.savez(tmp_path / "random.npz", x_train=images[:200], y_train=generator.permutation(labels[:200]))
    facts = clean_data(tmp_path / "random.npz", out=tmp_path / "no", drop=["labels"])
    assert facts["removed"] == {}
    assert any("could not judge the labels" in note for note in facts["notes"])


def test_clean_looks_at_masks(tmp_path: Path) -> None:
    for number in range(6):
        write_image(tmp_path / "data" / "images" / f"{number}.png", noise(number))
        write_image(tmp_path / "data" / "masks" / f"{number}.png", np.arange(144, dtype=np.uint8).reshape(12, 12) % 2)
    (tmp_path / "data" / "masks" / "2.png").write_bytes(b"not a mask")
    data = tmp_path / "data"
    (data / "labels.txt").write_text("background\ncell\n")
    assert clean_data(data, out=tmp_path / "clean")["removed"] == {"unreadable": 1}
    read = load_dataset(tmp_path / "clean")
    assert len(read["train"]) == 5
    assert read["train"][2]["mask"].shape == (12, 12)


def test_in_a_shell(tmp_path: Path, run: Callable[..., Any]) -> None:
    data = class_folders(tmp_path / "data", counts={"cat": 20, "dog": 20})
    said = run("data", "split", data, "--out", tmp_path / "list", "--json")
    assert said.code == 0
    assert said.json["splits"]["test"]["images"] == 4
    assert run("data", "show", tmp_path / "list", "--json").json["fingerprint"] == said.json["fingerprint"]
    assert run("data", "check", tmp_path / "list", "--no-label-noise").code == 0
    said = run("data", "clean", "--data", data, "--out", tmp_path / "clean")
    assert "40 of 40 images" in said.out
    assert "nothing to leave out was found" in said.out
    assert run("data", "split", data, "--by", "colour", "--out", tmp_path / "no").code == 2
    assert run("data", "split", "--out", tmp_path / "no").err.startswith("error: give data once")


def test_units_are_whole_and_every_split_has_some() -> None:
    units = np.repeat(np.arange(12), 5)
    found = assign(units, units % 3, {"train": 0.5, "val": 0.25, "test": 0.25}, seed=1)
    assert [found.count(name) for name in ("train", "val", "test")] == [30, 15, 15]
    assert all(len({found[i] for i in np.flatnonzero(units == unit)}) == 1 for unit in range(12))
    # Three groups fill three splits, whatever their sizes.
    few = assign(np.array([0] * 50 + [1, 2]), np.zeros(52, np.int64), {"train": 0.8, "val": 0.1, "test": 0.1})
    assert {name: few.count(name) for name in set(few)} == {"train": 50, "val": 1, "test": 1}
    assert merge_groups(4, []).tolist() == [0, 1, 2, 3]
    assert assign_blocks([np.array([1, 0]), np.array([2, 3])], {"train": 0.5, "val": 0.5}) == [
        "val",
        "train",
        "train",
        "val",
    ]


def test_splits_of_several_kinds_are_joined() -> None:
    small, large = torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.ones(3, 1, 6, 6, dtype=torch.uint8)
    whole = concatenate([Split(small, {"label": torch.arange(2)}), Split(large, {"label": torch.arange(3)})])
    assert whole.labels.tolist() == [0, 1, 0, 1, 2]
    assert [tuple(whole.images[i].shape[1:]) for i in range(5)] == [(4, 4)] * 2 + [(6, 6)] * 3
    assert whole.subset([3, 4]).images.shape == (2, 1, 6, 6)
    mixed = whole.subset([4, 0])
    assert [int(mixed.images[i].max()) for i in range(2)] == [1, 0]
    assert mixed.digest() == whole.subset([4, 0]).digest() != whole.subset([4, 1]).subset([1, 0]).digest()
