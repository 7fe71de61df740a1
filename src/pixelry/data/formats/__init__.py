"""Formats: one file each, found by name; see CONTRIBUTING for how to add one.

A format is a module with

    LOOKS_FOR: str                      what it recognises, as a user would say it
    recognise(path: Path) -> bool       looks at names and first bytes, reads no images, raises nothing
    read(path: Path) -> Dataset         raises DataError that names the file and what is wrong with it
    GENERIC: bool = False               whether another format that recognises the same path knows better
"""
