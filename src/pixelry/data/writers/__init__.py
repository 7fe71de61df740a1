"""Writers of data for detection: one file each, for `pixelry data convert`.

A writer is a module with

    image_folder(split: str) -> str             where the images of a split lie in the new folder
    losses(splits, classes, ids) -> list[str]       what the format cannot hold, one sentence each
    write(folder, splits, classes, ids) -> None     writes the annotations; the images are there already

in which `splits` is a dict from a split's name to its `Item`s (`pixelry.data.writers.base`), and `ids` one from it to
the ids that the classes have where it came from; empty if they have none.
"""
