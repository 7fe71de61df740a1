"""Networks: one architecture a file, each a plain `nn.Module` without loss or input/output.

A network file holds `SUMMARY` (one line), `SOURCE` (paper or library), `RECIPES` (task name to the default
`Recipe`), a `build(*, channels, size, ...)` function, and where pretrained weights exist `WEIGHTS`.
"""
