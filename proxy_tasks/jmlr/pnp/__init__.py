"""Pose of least reprojection error."""

from proxy_tasks.jmlr.pnp.solve import solve_pnp

__all__ = ["solve_pnp"]
