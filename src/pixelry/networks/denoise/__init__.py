"""Networks that restore: (B, C, H, W) noisy in, logits of the clean intensities out, of the same shape."""
