"""The paper's Table 1 at a table's budget and recipe: augmentation, network, loss, ensemble.

As in the paper, ResNet-18, -34 and -50 share their widths (a block of ResNet-50 being a bottleneck), so they
differ in FLOPs; the searched networks have ResNet-34's. Three seeds each, people whom nothing was chosen by.
tests/test_proxy_ablation.py
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from proxy_tasks.bench.rows import Row
from proxy_tasks.bench.run import Entry
from proxy_tasks.proxy import Proxy
from space import ArchSpec

SCORE = "test_l_error_mm"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table: what the paper says of it, and the runs that stand for it here."""

    augmentation: str
    network: str
    loss: str
    paper_mm: float | None
    archs: tuple[ArchSpec, ...]  # several are an ensemble
    changes: dict[str, bool | float] = field(default_factory=dict)  # of the recipe

    def entries(self, proxy: Proxy, seeds: int) -> Iterator[Entry]:
        """Its runs."""
        recipe = proxy.replace(**self.changes)
        for seed in range(seeds):
            yield Entry(self.archs[0], self.network, seed, recipe, partners=self.archs[1:])


@dataclass(frozen=True, slots=True)
class AblationPlan:
    """Table 1: `control` for ResNet-34, `searched` for the paper's network, and ours where there is one."""

    proxy: Proxy
    control: ArchSpec
    searched: ArchSpec
    ours: ArchSpec | None = None
    seeds: int = 3

    @property
    def lines(self) -> tuple[Line, ...]:
        """In the paper's order; ours after the network that the paper found."""
        resnet18 = ArchSpec((2, 2, 2, 2), self.control.widths)
        resnet50 = ArchSpec((3, 4, 6, 3), self.control.widths, block="bottleneck")
        ours = [Line("flip", "ours", "L", None, (self.ours,))] if self.ours else []
        return (
            Line("flip", "ResNet-34", "L", 34.31, (self.control,)),
            Line("none", "ResNet-34", "L", 34.76, (self.control,), {"flip": False}),
            Line("flip", "ResNet-18", "L", 34.95, (resnet18,)),
            Line("flip", "ResNet-50", "L", 34.70, (resnet50,)),
            Line("flip", "searched", "L", 34.13, (self.searched,)),
            *ours,
            Line("flip", "ResNet-34", "no edge", 34.60, (self.control,), {"edge_weight": 0.0}),
            Line("flip", "ResNet-34 & searched", "L", 33.39, (self.control, self.searched)),
        )

    def entries(self) -> Iterator[Entry]:
        """Every run, seed by seed, so that what is there at any moment can be compared."""
        each = [list(line.entries(self.proxy, self.seeds)) for line in self.lines]
        for runs in zip(*each, strict=True):
            yield from runs

    def text(self, rows: Iterable[Row]) -> str:
        """The table: GFLOPs, runs, error on the test people (mean and SD over seeds) beside the paper's."""
        found = {row["key"]: row for row in rows if math.isfinite(row.get(SCORE) or math.nan)}
        head = f"{'aug.':<6}{'network':<22}{'loss':<9}{'GFLOPs':>7}{'runs':>6}{'L_error, mm':>16}{'paper':>8}"
        lines = [head]
        for line in self.lines:
            theirs = [found[e.key] for e in line.entries(self.proxy, self.seeds) if e.key in found]
            macs = sum(arch.macs() for arch in line.archs) / 1e9
            paper = f"{line.paper_mm:.2f}" if line.paper_mm else "-"
            lines.append(
                f"{line.augmentation:<6}{line.network:<22}{line.loss:<9}{macs:>7.2f}{len(theirs):>6}"
                f"{_spread([row[SCORE] for row in theirs]):>16}{paper:>8}"
            )
        return "\n".join(lines)


def _spread(values: list[float]) -> str:
    if not values:
        return "-"
    return f"{np.mean(values):.2f}" + (f" ± {np.std(values, ddof=1):.2f}" if len(values) > 1 else "")
