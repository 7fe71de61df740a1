"""Train a diffusion model on small digits, draw each class, show the way from noise, and fill a hole.

python examples/diffuse_digits.py
"""

import numpy as np

import pixelry as px
from pixelry.draw import draw_samples
from pixelry.way import way_strip, way_to_pictures

data = px.load_dataset("digits")
model = px.train("generate", data, network="ddpm", minutes=1, settings={"conditional": True})
print(model.evaluate(data, count=500))

how = {"steps": 10, "guidance": 1.5}
digits = [made for label in model.classes for made in model.generate(10, label=label, settings=how)]
px.write_image("digits.png", draw_samples([np.asarray(digit) for digit in digits]))
px.write_image("way.png", way_strip(way_to_pictures(model, label="7")))

mask = np.zeros((8, 8), dtype=bool)
mask[2:6, 2:6] = True  # what is drawn; all around it is kept
filled = model.inpaint(data["test"].images[0], mask, count=10)
px.write_image("filled.png", draw_samples([np.asarray(digit) for digit in filled]))
