"""Reports: blocks, the page, the registry of metrics."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from importlib.resources import files

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_score, recall_score

from pixelry.draw import confusion_figure, curves_figure
from pixelry.reports.findings import (
    BeforeAfter,
    Block,
    Gallery,
    Interactive,
    Link,
    Picture,
    Table,
    Tabs,
    ThresholdChooser,
)
from pixelry.reports.metrics import METRICS, find_metric, format_metric
from pixelry.reports.page import Section, render_fragment, render_page
from pixelry.reports.svg import to_svg
from pixelry.reports.threshold import threshold_data

VOID = {"meta", "img", "input", "path", "use", "rect", "circle", "polyline", "image", "br", "hr", "line"}
PIXELS = np.arange(75, dtype=np.uint8).reshape(5, 5, 3)


class Balance(HTMLParser):
    """Checks that elements are closed in the order in which they were opened."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def chooser() -> ThresholdChooser:
    generator = np.random.default_rng(0)
    positive = generator.random(300) < 0.3
    scores = np.clip(0.3 + 0.3 * positive + generator.normal(0, 0.2, 300), 0, 1)
    return ThresholdChooser("Threshold", scores, positive, "Drag.", "ill", "healthy")


def blocks() -> tuple[Block, ...]:
    curve = curves_figure({"cnn": ([1, 2, 3], [0.5, 0.8, 0.9])}, xlabel="seconds", ylabel="accuracy")
    return (
        Picture("A figure", curve, "Of a <network>."),
        Picture("Pixels", PIXELS),
        Gallery("Mistakes", ((PIXELS, "a name that is long.png\ntrue a & b"),), "Worst first."),
        BeforeAfter("Restored", PIXELS, PIXELS, "Noise.", ("noisy", "restored"), PIXELS, scale=24),
        chooser(),
        Tabs("Curves", (("seconds", (Picture("accuracy", curve),)), ("passes", (Picture("loss", curve),)))),
        Interactive("Mine", "<b>mine</b>"),
    )


def sections() -> list[Section]:
    rows = (("cnn", 0.5, Link("report", "cnn/index.html")), ("x" * 80, 3, "<b>"))
    return [
        Section("What it is", "One.\n\nTwo.", "pixelry train", (Table("Rows", ("a", "b", "c"), rows, "Note."),)),
        Section("Seen", pictures=blocks(), warnings=("4 steps are too few.",)),
        Section("Empty"),
    ]


@pytest.mark.parametrize("render", [render_page, render_fragment])
def test_a_page_has_every_block_and_loads_nothing(render: object) -> None:
    text = render("Title & more", sections())  # type: ignore[operator]
    balance = Balance()
    balance.feed(text)
    assert not balance.open
    assert "<h2>Seen</h2>" in text
    assert "<h2>Empty</h2>" not in text
    for block in blocks():
        assert f"<h3>{block.title}</h3>" in text
    for escaped in ("Title &amp; more", "Of a &lt;network&gt;.", "true a &amp; b", "&lt;b&gt;", "<b>mine</b>"):
        assert escaped in text
    assert "4 steps are too few." in text
    assert '<a href="cnn/index.html">report</a>' in text
    assert not re.search(r'src="(?!data:)|@import|url\((?!#)|https?://(?!www\.w3\.org)', text)


def test_contents_lead_to_the_parts_of_the_page() -> None:
    text = render_page("Title", sections())
    targets = set(re.findall(r'<a href="#([^"]+)"', text))
    anchors = re.findall(r' id="([^"]+)"', text)
    assert {"what-it-is", "seen", "seen--restored"} <= targets
    assert targets <= set(anchors)


def test_style_holds_for_reports_alone() -> None:
    css = files("pixelry").joinpath("templates/report.css").read_text()
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.S)
    rules = [rule for rule in re.findall(r"([^{}]+)\{", css) if not rule.strip().startswith("@")]
    assert len(rules) > 50
    for rule in rules:
        for selector in re.split(r",(?![^(]*\))", rule):
            assert ".pixelry-report" in selector, selector
    page = render_fragment("Title", sections())
    assert "<body" not in page
    assert page.count("<style") == 1  # none within figures


def test_figures_take_the_page_s_colors() -> None:
    svg = to_svg(confusion_figure(np.array([[9, 1], [2, 5]]), ("cat", "dog")))
    assert svg is not None
    assert svg.startswith("<svg")
    assert svg.rstrip().endswith("</svg>")
    assert "currentColor" in svg
    assert "#000000" not in svg
    assert "<style" not in svg
    assert ">cat</text>" in svg
    assert svg == to_svg(confusion_figure(np.array([[9, 1], [2, 5]]), ("cat", "dog")))


def test_a_heavy_figure_becomes_pixels() -> None:
    generator = np.random.default_rng(0)
    points = generator.random((2, 40_000))
    figure = curves_figure({"many": (points[0], points[1])}, xlabel="x", ylabel="y")
    assert to_svg(figure) is None
    assert '<img class="px-figure-image"' in render_page("T", [Section("S", pictures=(Picture("P", figure),))])


def test_thresholds_agree_with_scikit_learn() -> None:
    given = chooser()
    data = threshold_data(given)
    counts = json.loads(data["json"])
    for step in (20, 100, 140):
        predicted = given.scores >= step / 200
        tn, fp, fn, tp = confusion_matrix(given.positive, predicted).ravel()
        assert (counts["true"][step], counts["false"][step]) == (tp, fp)
        assert counts["positives"] - counts["true"][step] == fn
        assert counts["negatives"] - counts["false"][step] == tn
    [(_, rates, _, _)] = [row for row in data["rows"] if row[0] == "0.5"]
    assert rates["precision"] == pytest.approx(precision_score(given.positive, given.scores >= 0.5))
    assert rates["recall"] == pytest.approx(recall_score(given.positive, given.scores >= 0.5))


def test_blocks_refuse_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="different sizes"):
        BeforeAfter("x", PIXELS, PIXELS[1:])
    with pytest.raises(ValueError, match=r"scores in \[0, 1\]"):
        ThresholdChooser("x", np.array([0.5, 1.5]), np.array([True, False]))
    with pytest.raises(ValueError, match="one length"):
        ThresholdChooser("x", np.array([0.5]), np.array([True, False]))


def test_metrics_are_explained() -> None:
    for metric in METRICS.values():
        assert metric.explanation.endswith(".")
        assert metric.title
    mask = find_metric("mask_map50")
    assert mask is not None
    assert mask.title == "mean average precision at IoU 0.5, masks"
    low = find_metric("nll_nats_low", "generate")
    assert low is not None
    assert low.unit == "nats"
    assert find_metric("no_such_metric") is None
    assert format_metric("psnr_bicubic", 28.913) == "28.91 dB"
    assert format_metric("mean_iou", 0.5) == "0.5000"
