"""Data sets: splits of samples, the formats that they come in, batches and augmentation."""
