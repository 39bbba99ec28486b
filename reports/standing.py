"""How the best and the control stand at the proxy that the proposals were trained under.

A race may decide at a longer proxy, where errors are lower for that reason alone. What is drawn beside the
proposals' own errors must be of their proxy.
"""

from __future__ import annotations

from dataclasses import replace

from nas.record.select import Selection, select
from reports.run import Run


def at_own_proxy(run: Run, selection: Selection) -> Selection:
    """The selection of the search's own proxy, with the same best as `selection`, as far as it ran there."""
    own = select(run.records, run.fidelity)
    if selection.best is None:
        return own
    return replace(own, best=next((row for row in own.rows if row.arch == selection.best.arch), None))
