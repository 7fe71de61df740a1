"""A stop of the tour: a detector, trained on scenes that are rendered on the spot."""

from __future__ import annotations

from pixelry import api
from pixelry.boxes import Boxes
from pixelry.data.sheet import as_picture
from pixelry.pixels import contact_sheet, write_image
from pixelry.report import Section
from pixelry.reports.metrics import metrics_table
from pixelry.tasks.base import Picture
from pixelry.tour import Stop
from pixelry.tour.scenes import objects

NETWORK = "yolo_n"
# Steps for each second of the tour's budget, 300 by default: on a slower machine they take longer, and the detector
# is as good. They take some three minutes on one core without bfloat16.
PACE = 25
SIZE = (128, 128)  # the scenes' own
SHOWN_FROM = 0.25
SHOWN = 12
TEXT = (
    "A detector gives boxes around objects, each with a class and a score. This one looks once: at each place of three "
    "grids it predicts a box and a score for every class. The scenes are rendered here, each from its own number, with "
    "boxes, masks and captions, so that there is something to train on without a download. Here all objects are of one "
    "class; to tell the six shapes apart takes some minutes more: pixelry train detect --data shapes."
)


def visit(stop: Stop) -> list[Section]:
    """Train a YOLO on rendered scenes, judge it, and draw what it finds in new ones."""
    steps = max(1, round(stop.seconds * PACE))
    data = objects()
    # In so short a time more scenes are better than larger ones.
    model = api.train("detect", data, network=NETWORK, steps=steps, size=SIZE, out=stop.out / "detect", seed=stop.seed)
    report = model.evaluate(data)
    code = (
        "import pixelry as px\nfrom pixelry.tour.scenes import objects\n\n"
        f'model = px.train("detect", objects(), network="{NETWORK}", size={SIZE}, steps={steps})\n'
        'model.evaluate(objects())\nmodel.predict("tour/scene.png").draw()\n\n'
        "pixelry data show shapes --out scenes.png\n"
        "pixelry predict tour/detect tour/scene.png --out found/"
    )
    scenes = [as_picture(data["test"].images[i]) for i in range(SHOWN)]
    write_image(stop.out / "scene.png", scenes[0])
    found = [model.predict(scene, settings={"confidence": SHOWN_FROM}) for scene in scenes]
    sheet = contact_sheet([one.draw(scale=None) for one in found if isinstance(one, Boxes)], columns=4, cell=220)
    write_image(stop.out / "detected.png", sheet)
    metrics, seconds = report.metrics, model.card.training["seconds"]
    note = (
        f"New scenes, not chosen, with the boxes of at least {SHOWN_FROM:.0%}. On all {metrics['images']:,.0f} test "
        f"scenes: map50 {metrics['map50']:.3f}, map {metrics['map']:.3f}, after {seconds:.0f} s of training."
    )
    pictures = (Picture("Found", sheet, note), *report.findings.pictures[:1])
    tables = (metrics_table(metrics, task="detect"), *report.findings.tables)
    return [Section("Where things are", TEXT, code, tables, pictures)]
