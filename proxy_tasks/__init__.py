"""How good is an architecture, cheaply: short training runs and their score."""

import space.early  # noqa: F401
