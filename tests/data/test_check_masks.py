"""Each fault is planted into good masks and found, with the image named; good masks give no finding."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as PILImage

from pixelry import load_dataset
from pixelry.api_data import show_data
from pixelry.data.check import CheckReport, check_dataset
from pixelry.data.dataset import Dataset, Split
from pixelry.data.findings import Finding
from pixelry.data.masks import IGNORE
from pixelry.data.shapes import CLASSES, render_shapes
from pixelry.data.sheet import dataset_sheet
from pixelry.draw import class_colors, draw_mask
from pixelry.errors import DataError

NAMES = ("background", *CLASSES)


def masks_alone(split: Split) -> Split:
    return Split(split.images, {"mask": split.targets["mask"].clone()})


@pytest.fixture(scope="module")
def clean() -> Dataset:
    splits = {"train": masks_alone(render_shapes(40)), "test": masks_alone(render_shapes(40, start=40))}
    return Dataset("scenes", splits, NAMES, mask_classes=NAMES)


def planted(dataset: Dataset, index: int, mask: torch.Tensor, split: str = "train") -> Dataset:
    masks = [*dataset[split].targets["mask"]]
    masks[index] = mask
    new = Split(dataset[split].images, {"mask": masks})
    return replace(dataset, splits={**dataset.splits, split: new})


def faults(report: CheckReport) -> list[Finding]:
    """The findings but for the shares of classes, which all masks have."""
    return [finding for finding in report.findings if finding.kind != "mask-class-shares"]


def only(report: CheckReport, kind: str) -> Finding:
    """The finding, which must be the only one."""
    found = faults(report)
    assert [finding.kind for finding in found] == [kind], report.summary()
    json.loads(json.dumps(report.to_dict(), allow_nan=False))
    return found[0]


def test_good_masks(clean: Dataset) -> None:
    report = check_dataset(clean)
    assert faults(report) == [], report.summary()


def test_shares_of_classes() -> None:
    images = torch.arange(3, dtype=torch.uint8)[:, None, None, None].repeat(1, 3, 10, 100) * 50
    images[:, :, :5] += 20
    masks = torch.zeros(3, 10, 100, dtype=torch.uint8)
    masks[0, 5:], masks[1, 0, 0], masks[0, 0], masks[2] = 1, 2, IGNORE, IGNORE
    splits = {"train": Split(images[:2], {"mask": masks[:2]}), "test": Split(images[2:], {"mask": masks[2:]})}
    names = ("sky", "sea", "sun", "moon")
    report = check_dataset(Dataset("s", splits, names, mask_classes=names))
    [found] = [finding for finding in report.findings if finding.kind == "mask-class-shares"]
    assert found.severity == "info"
    assert found.message == (
        "pixels of split 'train' by class: 'sky' 73.6%, 'sea' 26.3%, 'sun' less than 0.1%, 'moon' 0.0%; "
        "5.0% of all pixels are ignored"
    )
    assert found.message in report.summary()
    many = tuple(f"c{k}" for k in range(100))
    ramp = (torch.arange(1000) % 100).to(torch.uint8).reshape(1, 10, 100)
    report = check_dataset(Dataset("s", {"train": Split(images[:1], {"mask": ramp})}, many, mask_classes=many))
    [found] = [finding for finding in report.findings if finding.kind == "mask-class-shares"]
    assert found.message.endswith("'c39' 1.0% and 60 more, 60.0% together")


def test_values_without_a_class(clean: Dataset) -> None:
    wrong = clean["train"].targets["mask"][3].clone()
    wrong[:2, :5] = 9
    found = only(check_dataset(planted(clean, 3, wrong)), "mask-value")
    assert (found.severity, found.names) == ("error", ("#3",))
    assert found.examples[0].note == "10 pixels of 9; there are 7 classes"


@pytest.mark.parametrize(
    ("value", "kind", "note"),
    [
        (-1, torch.int64, "10 pixels of -1; there are 7 classes"),
        (300, torch.int32, "10 pixels of 300; there are 7 classes"),
        (2**40, torch.int64, "10 pixels of 1099511627776; there are 7 classes"),
        (0.5, torch.float32, "values of float32; expected whole numbers"),
    ],
)
def test_values_that_no_byte_holds(clean: Dataset, value: float, kind: torch.dtype, note: str) -> None:
    wrong = clean["train"].targets["mask"][3].to(kind)
    wrong[:2, :5] = value
    found = only(check_dataset(planted(clean, 3, wrong)), "mask-value")
    assert (found.severity, found.names) == ("error", ("#3",))
    assert found.examples[0].note == note
    wide = clean["train"].targets["mask"][3].to(torch.int64)
    wide[0, 0] = IGNORE
    assert faults(check_dataset(planted(clean, 3, wide))) == []


def test_masks_of_another_size(clean: Dataset) -> None:
    found = only(check_dataset(planted(clean, 5, clean["test"].targets["mask"][5][:64], split="test")), "mask-size")
    assert (found.severity, found.examples[0].images) == ("error", (("test", "#5"),))


def test_masks_without_a_class(clean: Dataset) -> None:
    found = only(check_dataset(planted(clean, 2, torch.full((128, 128), IGNORE, dtype=torch.uint8))), "mask-ignored")
    assert (found.severity, found.names) == ("warning", ("#2",))


@pytest.mark.parametrize("how", [PILImage.Resampling.BILINEAR, PILImage.Resampling.BICUBIC])
def test_interpolated_masks(clean: Dataset, how: PILImage.Resampling) -> None:
    big = np.kron(np.arange(16).reshape(4, 4) % 2 * 6, np.ones((32, 32))).astype(np.uint8)
    small = PILImage.fromarray(big).resize((50, 50), how).resize((128, 128), how)
    for mask, kinds in ((torch.from_numpy(big), []), (torch.from_numpy(np.array(small)), ["mask-interpolated"])):
        report = check_dataset(planted(clean, 7, mask.clamp(max=6)))
        assert [finding.kind for finding in faults(report)] == kinds
        assert all(finding.names == ("#7",) for finding in faults(report))


def test_classes_that_are_missing_or_rare(clean: Dataset) -> None:
    def kinds(change: dict[str, int], names: tuple[str, ...] = NAMES, keep: int = 0) -> list[tuple[str, str, str]]:
        splits = {}
        for name, split in clean.splits.items():
            mask = split.targets["mask"].clone()
            if name in change:
                places = (mask == change[name]).nonzero()[keep:]
                mask[tuple(places.T)] = 0
            splits[name] = Split(split.images, {"mask": mask})
        report = check_dataset(Dataset("scenes", splits, names, mask_classes=names))
        return [(finding.kind, finding.severity, finding.message) for finding in faults(report)]

    [(kind, severity, message)] = kinds({}, (*NAMES, "moon"))
    assert (kind, severity) == ("mask-class-empty", "warning")
    assert "('moon')" in message
    [(kind, severity, message)] = kinds({"train": 4})
    assert (kind, severity) == ("mask-class-split", "error")
    assert "split 'test' but not in train ('star')" in message
    [(kind, severity, message)] = kinds({"train": 4}, keep=30)
    assert (kind, severity) == ("mask-class-rare", "info")
    assert "1 class with less than 0.1% of train's pixels ('star 0.00%')" in message


def test_masks_in_files(tmp_path: Path) -> None:
    scenes = render_shapes(30)
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for k in range(30):
        PILImage.fromarray(scenes.images[k].permute(1, 2, 0).numpy()).save(tmp_path / "images" / f"{k}.png")
        PILImage.fromarray(scenes.targets["mask"][k].numpy()).save(tmp_path / "masks" / f"{k}.png")
    (tmp_path / "labels.txt").write_text("\n".join(NAMES))
    assert faults(check_dataset(load_dataset(tmp_path))) == []
    mask = scenes.targets["mask"][1].numpy()
    PILImage.fromarray(mask + 3).save(tmp_path / "masks" / "1.png")
    PILImage.fromarray(mask[:9]).save(tmp_path / "masks" / "5.png")
    (tmp_path / "masks" / "6.png").write_bytes(b"nothing")
    found = {finding.kind: finding for finding in check_dataset(load_dataset(tmp_path)).errors}
    assert {kind: Path(finding.names[0]).name for kind, finding in found.items()} == {
        "mask-value": "1.png", "mask-size": "5.png", "mask-unreadable": "6.png",
    }  # fmt: skip
    assert "has the value" in found["mask-value"].examples[0].note


def test_data_without_masks_is_left_alone() -> None:
    split = render_shapes(20)
    report = check_dataset(Dataset("boxes", {"train": split}, CLASSES))
    assert not [finding for finding in report.findings if finding.kind.startswith("mask")]


# --- To look at


def test_colours_of_classes() -> None:
    colors = class_colors(256)
    assert len(np.unique(colors, axis=0)) == 256
    assert colors[[0, 1, 2, 15, 20]].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [192, 128, 128], [0, 64, 128]]
    np.testing.assert_array_equal(class_colors(5), colors[:5])


@pytest.mark.parametrize("shape", [(8, 20), (8, 20, 1), (8, 20, 3)])
def test_a_mask_over_an_image(shape: tuple[int, ...]) -> None:
    image = np.full(shape, 200, np.uint8)
    ids = np.array([0, 1, IGNORE, 7], np.uint8).repeat(5)[None].repeat(8, 0)
    drawn = draw_mask(image, ids, ("sky", "road"), strength=0.5)
    assert (drawn.dtype, drawn.shape) == (np.uint8, (8, 20, 3))
    assert (drawn[:, :5] == 100).all()
    assert (drawn[:, 5:10] == (164, 100, 100)).all()
    # What has no class is hatched: the image in part as it is, in part darker.
    for outside in (drawn[:, 10:15], drawn[:, 15:]):
        assert set(np.unique(outside).tolist()) == {100, 200}
    assert (draw_mask(image, ids, ("sky", "road"), strength=0) == 200).all()
    assert (draw_mask(image, ids, ("background", "road"))[:, :5] == 200).all()
    with pytest.raises(ValueError, match="does not fit"):
        draw_mask(image, ids[:4], ("sky", "road"))


def test_a_sheet_of_masks(clean: Dataset, tmp_path: Path) -> None:
    flat = Dataset(
        "flat",
        {"train": Split(torch.full((2, 3, 64, 64), 200, dtype=torch.uint8),
                        {"mask": torch.tensor([0, 1], dtype=torch.uint8)[:, None, None].repeat(1, 64, 64)})},
        ("sky", "road"), mask_classes=("sky", "road"),
    )  # fmt: skip
    sheet = dataset_sheet(flat, per_class=2)
    for color in (draw_mask(np.full((1, 1), 200, np.uint8), np.full((1, 1), k, np.uint8), "ab")[0, 0] for k in (0, 1)):
        assert (sheet == color).all(-1).sum() >= 64**2
    assert (sheet == class_colors(2)[1]).all(-1).any()
    assert show_data(clean, out=tmp_path / "sheet.png")["classes"] == list(NAMES)
    with pytest.raises(DataError, match="the mask of #0 has shape"):
        dataset_sheet(planted(flat, 0, torch.zeros(3, 3, dtype=torch.uint8)))
