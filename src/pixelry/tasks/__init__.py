"""Tasks: one a file, with its target, losses, metrics and decoding. The trainer knows none of them by name.

A task file holds `TASK`, a frozen dataclass whose fields are the classes and the task's own options, with the
methods of `pixelry.tasks.base.Task`.
"""
