"""Restore a scanned page by logistic classification of its pixels.

python examples/restore_text.py
"""

import numpy as np
from skimage import data as samples
from skimage.filters import threshold_sauvola

import pixelry as px
from pixelry.pixels import contact_sheet, salt_pepper_noise

scan = samples.page()
page = np.where(scan > threshold_sauvola(scan, window_size=41, k=0.1), np.uint8(255), np.uint8(0))
upper, lower = page[:120], page[120:]
data = px.load_dataset({"train": (upper[None], None), "test": (lower[None], None)}, name="page")

settings = {"noise": "salt_pepper", "amount": 0.2, "features": "buckets"}
model = px.train("denoise", data, network="logistic", minutes=0.5, settings=settings, val_fraction=0)
print(model.evaluate(data))

noisy = salt_pepper_noise(lower, amount=0.2, seed=0)
restored = np.asarray(model.predict(noisy))
before, after = (np.mean((picture > 127) == (lower > 127)) for picture in (noisy, restored))
print(f"pixels that are right: {before:.1%} before, {after:.1%} after")
sheet = contact_sheet([noisy, restored, lower], labels=["noisy", "restored", "as it was"], columns=1, cell=780)
px.write_image("page.png", sheet)
