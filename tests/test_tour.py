"""The tour: every stop, with half a second of training for each network."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pixelry import api
from pixelry.errors import ExistsError
from pixelry.pixels import read_image
from pixelry.tour import STOPS


def test_the_tour_writes_a_page_that_opens_by_itself(here: Path) -> None:
    page = api.take_tour(out=here / "tour", seconds=0.5)
    text = page.read_text()
    for title in (
        "Pixels",
        "The data",
        "The ladder",
        "The best rung, judged",
        "Predict",
        "Restoring pictures",
        "Enlarging pictures",
        "Making pictures",
        "A game, and noise",
        "Where things are",
        "What each pixel shows",
    ):
        assert f"<h2>{title}</h2>" in text
    assert len(re.findall('src="data:image/png;base64', text)) >= 8
    assert not re.search('src="(?!data:)', text)
    # Links lead to parts of the page and to the folder's other pages; nothing is loaded.
    assert not re.search(r'href="(?!data:|#|[\w-]+/)', text)
    assert not re.search(r"@import|url\((?!#)", text)
    names = (
        "pixels",
        "digits",
        "ladder",
        "predictions",
        "restored",
        "digits-restored",
        "enlarged",
        "generated",
        "completed",
        "dcgan",
        "ddpm",
        "filled",
        "detected",
        "segmented",
    )
    for name in (f"{stem}.png" for stem in names):
        assert read_image(here / "tour" / name).size > 10_000
    # A later tour replaces an earlier one, and nothing else.
    (here / "tour" / "pixels.png").write_bytes(b"")
    assert len(STOPS) >= 2
    (here / "mine").mkdir()
    (here / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(ExistsError, match="holds something that is no tour"):
        api.take_tour(out=here / "mine", seconds=1.0)
