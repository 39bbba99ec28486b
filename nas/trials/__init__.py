"""One training run: what it is, and who runs it, this process or Ray."""
