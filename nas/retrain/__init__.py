"""The winners trained in full, and the networks that come of it."""
