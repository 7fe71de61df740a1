"""Figures, tables and pictures as one HTML page that opens by itself, offline."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pixelry.data.evaluation_split import ALL
from pixelry.errors import ExistsError
from pixelry.reports.findings import Block, Findings, Table
from pixelry.reports.metrics import format_metric as format_metric
from pixelry.reports.metrics import metrics_table
from pixelry.reports.page import Section as Section
from pixelry.reports.page import render_fragment
from pixelry.reports.page import render_page as render_page


@dataclass(frozen=True, eq=False)
class Report:
    """What an evaluation says; shows itself in a notebook.

    Attributes:
        task: The task's name.
        network: The network's name.
        data: The data set's name.
        split: Which of its splits; "all" of a data set without splits, of which every image was judged.
        findings: Figures by name, tables, pictures.
        facts: Further lines for the head of the page, such as the model's parameters.
        curves: Blocks of the training, such as its curves; not in JSON.
        warnings: Sentences that stand out at the head of the page.
    """

    task: str
    network: str
    data: str
    split: str
    findings: Findings
    facts: Mapping[str, Any] = field(default_factory=dict)
    curves: tuple[Block, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def metrics(self) -> Mapping[str, float]:
        """Figures by name, such as `accuracy`."""
        return self.findings.metrics

    @property
    def images(self) -> str:
        """In words, which images were judged: "digits, split test", or "all images of holiday"."""
        return f"all images of {self.data}" if self.split == ALL else f"{self.data}, split {self.split}"

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold: names, metrics, facts and the tables."""
        tables = {
            table.title.lower().replace(" ", "_"): [dict(zip(table.columns, row, strict=True)) for row in table.rows]
            for table in self.findings.tables
        }
        names = {"task": self.task, "network": self.network, "data": self.data, "split": self.split}
        protocol = {"protocol": self.findings.protocol} if self.findings.protocol else {}
        return {**names, "metrics": dict(self.metrics), **protocol, **self.facts, "tables": tables}

    def sections(self) -> list[Section]:
        """Return the report's parts, for a page of its own or as part of another."""
        figures = metrics_table(self.metrics, task=self.task, note=as_sentence(self.findings.protocol))
        facts = tuple(
            (key, f"{value:,}" if isinstance(value, int) else f"{value}") for key, value in self.facts.items()
        )
        run = (Table("Model and run", ("", ""), facts),) if facts else ()
        return [
            Section(f"{self.network} on {self.images}", tables=(figures,), warnings=self.warnings),
            Section("Training", pictures=self.curves),
            Section("Pictures", pictures=self.findings.pictures),
            Section("Details", tables=(*self.findings.tables, *run)),
        ]

    def to_html(self) -> str:
        """Return the report as one page."""
        return render_page(self._title(), self.sections())

    def _title(self) -> str:
        return f"{self.task}: {self.network} on {self.data}"

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the report: `.json` the figures and tables, anything else the HTML page.

        Raises:
            ExistsError: The file exists and `overwrite` is off.
        """
        path = Path(path)
        if path.exists() and not overwrite:
            raise ExistsError(f"{path} exists; give another name, or overwrite=True")
        text = json.dumps(self.to_dict(), indent=2) + "\n" if path.suffix == ".json" else self.to_html()
        path.write_text(text, encoding="utf-8")

    def _repr_html_(self) -> str:
        return render_fragment(self._title(), self.sections())

    def __str__(self) -> str:
        head = f"{self.network} on {self.images}"
        lines = [head, *(f"  {name:22s} {format_metric(name, value)}" for name, value in self.metrics.items())]
        return "\n".join([*lines, *([f"  {self.findings.protocol}"] if self.findings.protocol else [])])

    def __repr__(self) -> str:
        return f"Report of {self}"


def as_sentence(text: str) -> str:
    """Return text that begins with a capital letter and ends with a period."""
    return f"{text[0].upper()}{text[1:].rstrip('.')}." if text else ""
