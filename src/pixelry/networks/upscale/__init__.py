"""Networks that enlarge: (B, C, H, W) in, intensities (B, C, factor H, factor W) out."""
