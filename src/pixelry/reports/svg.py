"""Matplotlib figures as SVG that takes its colors from the page, so that dark mode changes figures too."""

from __future__ import annotations

import io
import re

import matplotlib as mpl
from matplotlib.figure import Figure

from pixelry.draw import ACCENT, COLORS, GRID, INK, PAGE

# Heavier figures, such as scatter plots of many points, become PNG.
MAX_SVG_BYTES = 400_000
# Colors that are others on a dark page; the rest stays as it is.
PAGE_COLORS = {
    INK: "currentColor",
    "#000000": "currentColor",
    GRID: "var(--px-grid)",
    PAGE: "var(--px-page)",
    ACCENT: "var(--px-accent)",
    COLORS[0]: "var(--px-blue)",
}


def to_svg(figure: Figure) -> str | None:
    """Return a figure as an SVG element for HTML, or None where it is too heavy.

    Text stays text, in the page's font. Axes and text take the page's text color (`currentColor`), the background is
    left out. Identifiers of parts that could clash with those of another figure on the page are left out.
    """
    buffer = io.StringIO()
    # The salt makes equal figures equal text; with text as text a figure is a tenth as long as with outlines.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "pixelry", "svg.image_inline": True}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    if len(text) > MAX_SVG_BYTES:
        return None
    return _for_page(text)


def _for_page(text: str) -> str:
    """Return what matplotlib wrote as part of an HTML page."""
    svg = text[text.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    # A style element in an inline SVG would hold for all of the page.
    svg = re.sub(r"<style[^>]*>.*?</style>", "", svg, flags=re.S)
    svg = re.sub(r' id="(?!p[0-9a-f]{6}|m[0-9a-f]{6}|C\d|h[0-9a-f]{6})[^"]*"', "", svg)
    svg = svg.replace("xlink:href", "href")
    # Without a family of its own, text has the page's.
    svg = re.sub(r"font: (?:[a-z]+ )*([\d.]+)px[^;\"]*", r"font-size: \1px", svg)
    svg = re.sub(r" ?font-family: [^;\"]*;", "", svg)
    svg = re.sub(r"\s*\n\s*", " ", svg).replace("base64, ", "base64,")
    for color, own in PAGE_COLORS.items():
        svg = re.sub(rf"(?<=[:\s\"]){color}\b", own, svg, flags=re.I)
    svg = re.sub(r"<text(?![^>]*fill:)", '<text fill="currentColor"', svg)
    width = re.search(r'<svg[^>]*? width="([\d.]+)pt"', svg)
    pixels = round(float(width[1]) * 96 / 72) if width else 480
    style = f"stroke-linejoin:round;stroke-linecap:butt;width:{pixels}px"
    return re.sub(r'<svg[^>]*?viewBox="([^"]+)"[^>]*>', rf'<svg viewBox="\1" role="img" style="{style}">', svg, count=1)
