"""What may be built, and what it costs: specs, plans, budgets and the set that fits a budget."""

from space.arch import REFERENCES, ArchSpec
from space.budget import Budget
from space.design import Space
from space.feasible import FeasibleSet

__all__ = ["REFERENCES", "ArchSpec", "Budget", "FeasibleSet", "Space"]
