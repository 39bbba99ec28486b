"""Times that a person reads: hours are written in the unit that fits them."""

from __future__ import annotations

from reports.tables import Fact

UNITS = {"s": 3600.0, "min": 60.0, "h": 1.0}  # of an hour
_FROM = {"h": 2.0, "min": 2.0 / 60}  # hours at which a unit begins; below both, seconds


def unit_for(hours: float) -> str:
    """ "s", "min" or "h": seconds below two minutes, minutes below two hours."""
    return next((unit for unit, least in _FROM.items() if hours >= least), "s")


def duration(hours: float) -> Fact:
    """Hours as a fact in the unit that fits."""
    unit = unit_for(hours)
    return Fact(hours * UNITS[unit], ".1f", unit)
