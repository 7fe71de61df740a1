"""Draw digits pixel by pixel, by logistic regression, and complete the lower halves of given ones.

python examples/generate_digits.py
"""

import numpy as np

import pixelry as px
from pixelry.draw import draw_samples

data = px.load_dataset("digits")
settings = {"levels": 4, "conditional": True, "pairs": 2}
model = px.train("generate", data, network="logistic", minutes=0.2, settings=settings)
print(model.evaluate(data))

digits = [image for label in model.classes for image in model.generate(10, label=label)]
px.write_image("digits.png", draw_samples([np.asarray(digit) for digit in digits]))

mask = np.zeros((8, 8), dtype=bool)
mask[4:] = True  # what is drawn; the upper half is kept
given = data["test"].images[0]
completed = model.inpaint(given, mask, count=10)
px.write_image("completed.png", draw_samples([np.asarray(digit) for digit in completed]))
