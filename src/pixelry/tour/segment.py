"""A chapter of the tour: objects cut out of scenes that are rendered on the spot, pixel by pixel."""

from __future__ import annotations

from pixelry import api
from pixelry.data.dataset import Dataset
from pixelry.data.sheet import as_picture
from pixelry.draw import draw_mask, magnified
from pixelry.model import Model
from pixelry.pixels import contact_sheet, write_image
from pixelry.report import Section
from pixelry.reports.findings import BeforeAfter
from pixelry.reports.metrics import metrics_table
from pixelry.segments import Segments
from pixelry.tasks.base import Picture
from pixelry.tour import Stop
from pixelry.tour.scenes import objects

NETWORK = "fpn"
# Half the width of the default, which is twice as fast.
WIDTH = 16
# Steps for each second of the tour's budget, 600 by default, as for the detector.
PACE = 50
SHOWN = 8
TEXT = (
    "A segmenter gives each pixel a class. This one goes down to small maps with a wide view, and up again by sums "
    "with larger ones, where edges are sharp. The scenes are those of the detector, with two classes of pixels: object "
    "and background. To tell the six shapes apart takes some minutes more: pixelry train segment --data shapes."
)


def visit(stop: Stop) -> list[Section]:
    """Train a segmenter on rendered scenes, evaluate it, and lay its masks over new ones."""
    steps = max(1, round(stop.seconds * PACE))
    data = objects()
    model = api.train(
        "segment", data, network=NETWORK, settings={"width": WIDTH}, steps=steps, out=stop.out / "segment",
        seed=stop.seed,
    )  # fmt: skip
    report = model.evaluate(data)
    code = (
        "import pixelry as px\nfrom pixelry.tour.scenes import objects\n\n"
        f'model = px.train("segment", objects(), network="{NETWORK}", settings={{"width": {WIDTH}}}, '
        f"steps={steps})\nmodel.evaluate(objects())\n"
        'model.predict("tour/scene.png").draw()'
    )
    tables = (metrics_table(report.metrics, task="segment"), *report.findings.tables)
    pictures = (_slider(model, data), _sheet(model, data, stop), *report.findings.pictures[:1])
    return [Section("What each pixel shows", TEXT, code, tables, pictures)]


def _slider(model: Model, data: Dataset) -> BeforeAfter:
    scene = magnified(as_picture(data["test"].images[0]), 3)
    found = model.predict(as_picture(data["test"].images[0]))
    assert isinstance(found, Segments)
    drawn = found.draw(scale=3)
    return BeforeAfter("A new scene and its mask", scene, drawn, "Drag the line.", ("scene", "mask of the model"))


def _sheet(model: Model, data: Dataset, stop: Stop) -> Picture:
    test = data["test"]
    scenes = [as_picture(test.images[i]) for i in range(SHOWN)]
    masks = [test.targets["mask"][i].numpy() for i in range(SHOWN)]
    true = [draw_mask(scene, mask, model.classes) for scene, mask in zip(scenes, masks, strict=True)]
    found = [one.draw(scale=None) for one in map(model.predict, scenes) if isinstance(one, Segments)]
    cells = [cell for pair in zip(true, found, strict=True) for cell in pair]
    sheet = contact_sheet(cells, labels=["true", "predicted"] * SHOWN, columns=4, cell=220)
    write_image(stop.out / "segmented.png", sheet)
    seconds, epochs = model.card.training["seconds"], model.card.training["epochs"]
    note = (
        f"New scenes, not chosen: the true mask and, to its right, that of the model, after {seconds:.0f} s of "
        f"training ({epochs:.1f} passes over the scenes)."
    )
    return Picture("Masks", sheet, note)
