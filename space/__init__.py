"""What may be built, and what it costs: specs, plans, budgets and the set that fits a budget."""

from space.arch import REFERENCES, ArchSpec

__all__ = ["REFERENCES", "ArchSpec"]
