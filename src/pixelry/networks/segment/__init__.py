"""Networks that give each pixel a class: pictures (B, C, H, W) in, logits of that size or a part of it out."""
