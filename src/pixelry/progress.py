"""Messages and progress bars of long runs: on stderr of a terminal, or as one output of a notebook's cell.

In a notebook rich draws bars by `ipywidgets`, which few have, and writes to stderr, which is shown in red. Here a cell
has one output, which is updated in place: the messages, and below them the bar while there is one.
"""

from __future__ import annotations

import io
import sys
import time
from html import escape
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID
from rich.text import Text

# A notebook's output is updated at most so often.
UPDATE_SECONDS = 0.2
BOX = "font: 13px/1.5 ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace; color: inherit"
LINES = f"{BOX}; margin: 0; padding: 0 .9em; background: none; border: 0; white-space: pre-wrap; word-break: normal"
BAR = "width: 16em; height: .8em; vertical-align: middle; margin: 0 .8em; accent-color: #0b6e99"


def in_notebook() -> bool:
    """Return whether the program runs in a notebook's kernel; IPython in a terminal is none."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return hasattr(shell, "kernel")


def new_console() -> Console:
    """Return where to write messages and bars: a notebook's cell, or else stderr."""
    # What is printed holds names of files, whose brackets and colons are no markup.
    return NotebookConsole() if in_notebook() else Console(stderr=True, markup=False, emoji=False, highlight=False)


def live_progress(*columns: ProgressColumn, console: Console, show: bool = True) -> Progress:
    """Return a progress bar that leaves nothing behind; it is disabled where a console cannot redraw it."""
    if isinstance(console, NotebookConsole):
        return NotebookProgress(*columns, console=console, disable=not show)
    return Progress(*columns, console=console, transient=True, disable=not (show and console.is_terminal))


class NotebookConsole(Console):
    """A console that is one output of a notebook's cell, made with the first message or bar."""

    def __init__(self) -> None:
        super().__init__(
            file=io.StringIO(), force_terminal=False, force_jupyter=False, color_system=None, markup=False, emoji=False,
            highlight=False,
        )  # fmt: skip
        self.text, self.bar = "", ""
        self._handle: Any = None

    def print(self, *objects: Any, **kwargs: Any) -> None:
        """Add a message to the output."""
        super().print(*objects, **{**kwargs, "soft_wrap": True})
        assert isinstance(self.file, io.StringIO)
        self.text = self.file.getvalue()
        self.update()

    def update(self, bar: str | None = None) -> None:
        """Show the messages, and a bar as HTML: None keeps the one that there is, "" takes it away."""
        from IPython.display import display

        self.bar = self.bar if bar is None else bar
        lines = f'<pre style="{LINES}">{escape(self.text.rstrip())}</pre>' if self.text else ""
        data = {"text/html": lines + self.bar, "text/plain": self.text.rstrip()}
        if self._handle is None:
            self._handle = display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)


class NotebookProgress(Progress):
    """A progress bar in a notebook's cell; the columns are those of rich."""

    console: NotebookConsole

    def __init__(self, *columns: ProgressColumn, console: NotebookConsole, disable: bool = False) -> None:
        super().__init__(*columns, console=console, auto_refresh=False, disable=disable)
        self._cell, self._updated = console, 0.0

    def start(self) -> None:
        """Do nothing yet: the bar is there with its first task."""

    def stop(self) -> None:
        """Take the bar away."""
        if self._updated:
            self._cell.update(bar="")
        self._updated = 0.0

    def update(self, task_id: TaskID, **changes: Any) -> None:
        """Change a task, as `rich.progress.Progress.update` does."""
        super().update(task_id, **changes)
        self._draw()

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        """Add to what is done of a task."""
        super().advance(task_id, advance)
        self._draw()

    def _draw(self) -> None:
        now = time.monotonic()
        if self.disable or now - self._updated < UPDATE_SECONDS:
            return
        self._updated = now
        self._cell.update(bar="".join(self._row(task) for task in self.tasks if task.visible))

    def _row(self, task: Task) -> str:
        parts = "".join(self._part(column, task) for column in self.columns)
        return f'<div style="{BOX}; padding: 0 .9em">{parts}</div>'

    @staticmethod
    def _part(column: ProgressColumn | str, task: Task) -> str:
        if isinstance(column, SpinnerColumn):
            return ""
        if isinstance(column, BarColumn):
            value = "" if task.total is None else f' value="{task.completed:.6g}" max="{task.total:.6g}"'
            return f'<progress style="{BAR}"{value}></progress>'
        content = column(task) if isinstance(column, ProgressColumn) else column
        return f"<span>{escape(content.plain if isinstance(content, Text) else str(content))} </span>"
