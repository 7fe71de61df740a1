"""Networks that restore: (B, C, H, W) noisy in; clean intensities, or their logits, of the same shape out."""
