"""Decisions over many proxy runs: propose, schedule, select, retrain, ensemble, export."""

import space.early  # noqa: F401
