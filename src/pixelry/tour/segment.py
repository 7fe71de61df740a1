"""A stop of the tour: the class of each pixel, in scenes that are rendered on the spot."""

from __future__ import annotations

from pixelry import api
from pixelry.data.catalog import load_dataset
from pixelry.data.sheet import as_picture
from pixelry.draw import draw_mask
from pixelry.pixels import contact_sheet, write_image
from pixelry.report import Section
from pixelry.segments import Segments
from pixelry.tasks.base import Picture
from pixelry.tour import Stop

NETWORK = "fpn"
# As a detector, it wants more time than a classifier.
PATIENCE = 40 / 12
SHOWN = 8
TEXT = (
    "A segmenter says of each pixel what it shows. This one goes down to small maps that see far, and up again by sums "
    "with larger ones that know where edges are. The scenes are those of the detector; here their masks are learnt. "
    "It is judged by intersection over union: of the pixels that are of a class, or were taken for it, the share where "
    "both agree; its mean over classes (mean_iou) counts a rare class as much as the background."
)


def visit(stop: Stop) -> list[Section]:
    """Train a segmenter on rendered scenes, judge it, and lay what it says over new ones."""
    minutes = stop.seconds * PATIENCE / 60
    data = load_dataset("shapes")
    model = api.train("segment", data, network=NETWORK, minutes=minutes, out=stop.out / "segment", seed=stop.seed)
    report = model.evaluate(data)
    code = (
        f"pixelry train segment --data shapes --network {NETWORK} --minutes {minutes:.2g} --out segmenter\n"
        "pixelry evaluate segmenter --data shapes --out report/\n"
        "pixelry predict segmenter tour/scene.png --out maps/"
    )
    test = data["test"]
    scenes = [as_picture(test.images[i]) for i in range(SHOWN)]
    masks = [test.targets["mask"][i].numpy() for i in range(SHOWN)]
    true = [draw_mask(scene, mask, model.classes) for scene, mask in zip(scenes, masks, strict=True)]
    found = [one.draw(scale=None) for one in map(model.predict, scenes) if isinstance(one, Segments)]
    cells = [cell for pair in zip(true, found, strict=True) for cell in pair]
    sheet = contact_sheet(cells, labels=["true", "found"] * SHOWN, columns=4, cell=220)
    write_image(stop.out / "segmented.png", sheet)
    metrics = report.metrics
    note = (
        f"New scenes, not chosen, each under its true mask and under what was found. On all {metrics['images']:,.0f} "
        f"test scenes: mean_iou {metrics['mean_iou']:.3f}, {metrics['pixel_accuracy']:.1%} of the pixels right, after "
        f"{model.card.training['seconds']:.0f} s of training."
    )
    pictures = (Picture("Maps", sheet, note), *report.findings.pictures[:1])
    return [Section("What each pixel shows", TEXT, code, report.findings.tables, pictures)]
