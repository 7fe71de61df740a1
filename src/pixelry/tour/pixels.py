"""A stop of the tour: reading and changing pictures."""

from __future__ import annotations

from skimage import data as samples

from pixelry.pixels import (
    contact_sheet,
    downscale,
    gaussian_noise,
    histogram,
    psnr,
    resize,
    salt_pepper_noise,
    ssim,
    to_grey,
    write_image,
)
from pixelry.report import Section
from pixelry.tasks.base import Picture, Table
from pixelry.tour import Stop

CODE = """\
pixelry pixels downscale photo.png --factors 8 --out small/
pixelry pixels noise photo.png --kind gaussian --amount 0.1 --seed 0 --out noisy/

from pixelry.pixels import read_image, gaussian_noise, psnr
photo = read_image("photo.png")
psnr(gaussian_noise(photo, sigma=0.1, seed=0), reference=photo)"""
TEXT = (
    "Everything begins with pixels: arrays of (height, width, colour), and plain functions on them, with one rule "
    "for the kinds of numbers. The photograph ships with scikit-image."
)


def visit(stop: Stop) -> list[Section]:
    """Change a photograph in a few ways, and measure what noise does to it."""
    photo = samples.astronaut()
    write_image(stop.out / "photo.png", photo)
    noisy = {
        "Gaussian noise": gaussian_noise(photo, sigma=0.1, seed=stop.seed),
        "salt and pepper": salt_pepper_noise(photo, amount=0.05, seed=stop.seed),
    }
    shown = {
        "photo": photo,
        "grey": to_grey(photo),
        "8 x 8 pixels to one": downscale(photo, factors=8),
        "resized to 48x64": resize(photo, shape=(48, 64)),
        **noisy,
    }
    sheet = contact_sheet(list(shown.values()), labels=list(shown), columns=3, cell=220)
    write_image(stop.out / "pixels.png", sheet)
    rows = tuple(
        (name, round(psnr(image, reference=photo), 2), round(ssim(image, reference=photo), 3))
        for name, image in noisy.items()
    )
    table = Table("Distance to the photo", ("picture", "PSNR in dB", "SSIM"), rows, "Higher is closer.")
    pictures = (Picture("What became of it", sheet), Picture("How bright its pixels are", histogram(photo, log=True)))
    return [Section("Pixels", TEXT, CODE, (table,), pictures)]
