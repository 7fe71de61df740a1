"""Training: the only LightningModule, the fit function, callbacks, and the choice of the fast path."""
