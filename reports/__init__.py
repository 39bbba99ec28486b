"""Pictures and prose for people who decide from distributions."""

import space.early  # noqa: F401
