"""What a check of a data set reports: findings in the user's words, with the images that they are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pixelry.display import MAX_PAGE, card_html, downscaled

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
# Examples of a finding that a report carries: enough to see what it is about; `total` says how many there are.
MAX_EXAMPLES = 20
MAX_LINES = 5
MAX_NAMED = 6


@dataclass(frozen=True)
class Example:
    """One case of a finding: an image, or images that belong together.

    Attributes:
        images: (split, name) of each.
        note: What is to say of this case.
        values: The same for programs, ready for JSON.
    """

    images: tuple[tuple[str, str], ...] = ()
    note: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        named = " = ".join(f"{split}: {name}" for split, name in self.images[:MAX_NAMED])
        more = f" and {len(self.images) - MAX_NAMED:,} more" if len(self.images) > MAX_NAMED else ""
        return named + more + (f" ({self.note})" if self.note else "")

    def to_dict(self) -> dict[str, Any]:
        """Return images, note and values, ready for JSON."""
        images = [{"split": split, "name": name} for split, name in self.images[:MAX_EXAMPLES]]
        return {"images": images, **({"note": self.note} if self.note else {}), **self.values}


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        severity: "error" spoils training or its scores, "warning" probably does, "info" is worth a look.
        kind: A short name for programs: "unreadable", "leak", "label-noise", ...
        message: What was found, and what to do.
        examples: The cases, at most some; the worst first where there is an order.
        total: How many cases there are.
    """

    severity: Severity
    kind: str
    message: str
    examples: tuple[Example, ...] = ()
    total: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """Names or paths of the images in the examples."""
        return tuple(name for example in self.examples for _, name in example.images)

    def to_dict(self) -> dict[str, Any]:
        """Return everything, ready for JSON."""
        return {
            "severity": self.severity,
            "kind": self.kind,
            "message": self.message,
            "total": self.total,
            "examples": [example.to_dict() for example in self.examples],
        }


@dataclass(frozen=True)
class CheckReport:
    """What `check_dataset` found.

    Attributes:
        dataset: Name of the data set.
        images: Images looked at.
        findings: Errors first, then warnings, then hints.
        sheet: Improbable labels and duplicates as a picture, (height, width, 3) uint8; None if there are none.
    """

    dataset: str
    images: int
    findings: tuple[Finding, ...]
    sheet: NDArray[np.uint8] | None = None

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that spoil training or its scores."""
        return self._of("error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings that probably spoil something."""
        return self._of("warning")

    def _of(self, severity: Severity) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity == severity)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the picture, ready for JSON."""
        return {
            "dataset": self.dataset,
            "images": self.images,
            **{f"{severity}s": len(self._of(severity)) for severity in SEVERITIES},
            "findings": [finding.to_dict() for finding in self.findings],
        }

    def summary(self) -> str:
        """Return the findings as text: one paragraph each, with the first few cases."""
        looked = f"{self.dataset}: {counted(self.images, 'image')} checked"
        if not self.findings:
            return f"{looked}, nothing found"
        numbers = [counted(len(self._of(severity)), severity) for severity in SEVERITIES if self._of(severity)]
        lines = [f"{looked}: {', '.join(numbers)}"]
        for finding in self.findings:
            lines.append(f"{finding.severity}: {finding.message}")
            lines += [f"    {example}" for example in finding.examples[:MAX_LINES]]
            if (more := finding.total - MAX_LINES) > 0 and finding.examples:
                lines.append(f"    and {more:,} more")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.summary()

    def __repr__(self) -> str:
        return f"CheckReport({self.summary()})"

    def _repr_html_(self) -> str:
        head, *_ = self.summary().splitlines()
        rows = [
            (finding.severity, finding.message, "; ".join(map(str, finding.examples[:MAX_LINES])))
            for finding in self.findings
        ]
        picture = downscaled(self.sheet, MAX_PAGE) if self.sheet is not None else None
        return card_html(head, columns=("severity", "what was found", "examples"), rows=rows, picture=picture)


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun.

    Examples:
        >>> counted(1, "image"), counted(2000, "image"), counted(2, "class", "classes")
        ('1 image', '2,000 images', '2 classes')
    """
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def listed(names: Sequence[str], *, most: int = 5) -> str:
    """Return quoted names in one line, at most some of them.

    Examples:
        >>> listed(["cat", "dog"])
        "'cat', 'dog'"
    """
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(f"'{name}'" for name in names[:most]) + more
