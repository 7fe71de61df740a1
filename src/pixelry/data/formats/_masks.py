"""What the formats of masks share: images and masks that belong together, and data sets of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pixelry.data.dataset import Dataset, FileImages, Split
from pixelry.data.findings import counted
from pixelry.data.formats._mask_values import Meaning
from pixelry.data.formats._two_folders import by_name, refuse_lone
from pixelry.data.masks import FileMasks, ValueTable
from pixelry.errors import DataError, ImageError
from pixelry.pixels import read_header
from pixelry.pixels.header import read_orientation

# What tools append to the name of an image for its mask.
SUFFIXES = (
    "_mask", "_masks", "-mask", "_label", "_labels", "_labelIds", "_gt", "_seg", "_segmentation", "_annotation",
    "_L", "_P",
)  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """An image and its mask."""

    image: Path
    mask: Path


def matched(images: Path, masks: Path, image_list: Sequence[Path], mask_list: Sequence[Path]) -> tuple[list[Pair], str]:
    """Return each image with its mask, and what the masks' names have more than the images'.

    Args:
        images: Folder of the images; names are compared from there on, without suffix.
        masks: Folder of the masks.
        image_list: The images.
        mask_list: The masks.

    Raises:
        DataError: Two files of one folder have the same name, or one has no partner; the files are named.
    """
    named = by_name(images, image_list)
    found: dict[str, Path] = {}
    lone, used = [], dict[str, None]()
    for name, file in by_name(masks, mask_list).items():
        suffix = next((end for end in ("", *SUFFIXES) if name.endswith(end) and name[: len(name) - len(end)] in named
                       and (end or name in named)), None)  # fmt: skip
        if suffix is None:
            lone.append(file)
            continue
        stem = name[: len(name) - len(suffix)]
        if stem in found:
            raise DataError(f"{named[stem]} has two masks: {found[stem]} and {file}; remove one of them")
        found[stem] = file
        used[suffix] = None
    without = [file for name, file in named.items() if name not in found]
    refuse_lone(without, "image", "mask", masks)
    refuse_lone(lone, "mask", "image", images)
    return [Pair(file, found[name]) for name, file in named.items()], ", ".join(filter(None, used))


def lie_as_filed(pairs: Iterable[Pair]) -> tuple[bool, list[str]]:
    """Return how masks lie where their sizes do not tell, and what to say of images that EXIF turns.

    An image turned by a quarter has its sides the other way round, which shows whether its mask fits the upright
    picture or the pixels in its file. Where an image is mirrored, upside down or square nothing shows; its mask is
    taken to lie as most of the others do, and upright where there are none, as most annotation tools show pictures so.

    Args:
        pairs: All of a data set.

    Returns:
        Whether such masks lie as the pixels in their images' files do, as in `as_image`; notes.
    """
    filed = upright = unsure = 0
    for pair in pairs:
        how = read_orientation(pair.image)
        if not 2 <= how <= 8:
            continue
        try:
            image, mask = read_header(pair.image), read_header(pair.mask)
        except ImageError:
            continue  # named when it is read
        if how < 5 or image.height == image.width:
            unsure += 1
        else:
            upright += (mask.height, mask.width) == (image.height, image.width)
            filed += (mask.width, mask.height) == (image.height, image.width)
    notes = []
    if filed:
        notes.append(
            f"{counted(filed, 'image')} turned by EXIF with masks of the file's pixels, which are turned along"
        )
    if not unsure:
        return filed > upright, notes
    what = f"{counted(unsure, 'image')} mirrored, upside down or square and turned by EXIF, where sizes do not tell"
    if filed or upright:
        like = f"like {max(filed, upright):,} of {counted(filed + upright, 'other')}"
        taken = "the file's pixels and turned along" if filed > upright else "the upright picture"
        notes.append(f"{what}: their masks are taken as of {taken}, {like}")
    else:
        notes.append(
            f"{what}: their masks are taken as of the upright picture; if they are of the file's pixels, remove the "
            "EXIF data from the images"
        )
    return filed > upright, notes


def mask_dataset(
    path: Path, splits: Mapping[str, Sequence[Pair]], meaning: Meaning, *, format: str, notes: Iterable[str] = ()
) -> Dataset:
    """Make a data set for semantic segmentation.

    Args:
        path: Where it was read from.
        splits: Images and masks by split.
        meaning: Of the masks' values.
        format: Who read it.
        notes: What a reader should know beside what `meaning` says.
    """
    filed, turns = lie_as_filed(pair for pairs in splits.values() for pair in pairs)
    made = {
        split: mask_split(splits[split], meaning.table, filed) for split in ("train", "val", "test") if split in splits
    }
    said = tuple(dict.fromkeys((*notes, *meaning.notes, *turns)))
    return Dataset(path.name, made, meaning.classes, format, str(path), said, meaning.classes)


def mask_split(pairs: Sequence[Pair], table: ValueTable, filed: bool) -> Split:
    """Return images with the target "mask"."""
    images = [pair.image for pair in pairs]
    return Split(FileImages(images), {"mask": FileMasks([pair.mask for pair in pairs], table, images, filed)})
