"""What a table of trained networks shows: uniform draws beside the control, and confirmed gains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures.style import ALL, BEST, CONTROL, PRUNED, SECOND, as_label, few_ticks, panels, styled

if TYPE_CHECKING:
    from reports.evidence import Longer, Look, Origins, Population

_NAMES = {
    "control": "ResNet-34, scaled",
    "resnet18": "ResNet-18, scaled",
    "jmlr-searched": "the paper's, scaled",
}
_COLOURS = {"control": CONTROL, "resnet18": PRUNED, "jmlr-searched": SECOND}


def draw_evidence(
    population: Population,
    looks: Sequence[Look],
    longer: Longer | None = None,
    origins: Origins | None = None,
) -> Figure:
    """The draws' distribution with the references; then gains on fresh seeds and longer runs, if any."""
    more: list[Callable[[Axes], None]] = [
        *([lambda axes: _draw_longer(axes, longer)] if longer else []),
        *([lambda axes: _draw_origins(axes, origins)] if origins else []),
        *([lambda axes: _draw_gains(axes, looks)] if looks else []),
    ]
    count = 1 + len(more)
    with styled():
        height = max(3.0, 0.4 * len(looks) + 0.9)
        columns, width = (2, 4.6) if count == 4 else (count, 3.6)
        figure, axes = panels(count, columns, width=width, height=height)
        _draw_population(axes[0], population)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=2)
        for draw, place in zip(more, axes[1:], strict=True):
            draw(place)
        for place, letter in zip(axes, "abcd" if more else "", strict=False):
            place.set_title(f"{letter}  {place.get_title('left')}", loc="left")
    return figure


def _draw_population(axes: Axes, population: Population) -> None:
    n = len(population.uniform)
    axes.step(
        population.uniform,
        np.arange(1, n + 1) / n,
        where="post",
        color=ALL,
        label=f"{n} uniform draws, one run each",
    )
    mean, low, high = population.control
    axes.axvspan(low, high, color=CONTROL, alpha=0.12, lw=0)
    for height, (role, errors) in enumerate(population.references.items()):
        colour, at = _COLOURS.get(role, BEST), 0.93 - 0.08 * height
        label = f"{_NAMES.get(role, role)}, {len(errors)} seeds"
        axes.scatter(errors, np.full(len(errors), at), s=12, color=colour, lw=0, label=label, zorder=4)
    axes.axvline(mean, color=CONTROL, lw=1.0)
    axes.set_ylim(0, 1)
    axes.set_title("short runs: where uniform draws lie", loc="left")
    axes.set_xlabel("L_error of people who validate (mm)")
    axes.set_ylabel("share of draws below")
    few_ticks(axes, 5, 5)


def _draw_gains(axes: Axes, looks: Sequence[Look]) -> None:
    for height, look in enumerate(reversed(looks)):
        gain = look.gain
        ends = [[gain.gain_mm - gain.low_mm], [gain.high_mm - gain.gain_mm]]
        axes.errorbar([gain.gain_mm], [height], xerr=ends, fmt="o", color=BEST, ms=4, capsize=3)
    axes.set_yticks(range(len(looks)), [look.label for look in reversed(looks)])
    axes.set_ylim(-0.6, len(looks) - 0.4)
    axes.axvline(0, color=CONTROL, lw=1.0)
    axes.set_title("candidates, on fresh seeds and people", loc="left")
    axes.set_xlabel("gain over ResNet-34, test people (mm)")


def _draw_origins(axes: Axes, origins: Origins) -> None:
    for height, errors in enumerate(reversed(list(origins.groups.values()))):
        axes.scatter(errors, np.full(len(errors), height), s=14, color=ALL, lw=0, alpha=0.7, zorder=4)
        axes.plot([errors.mean()] * 2, [height - 0.25, height + 0.25], color=BEST, lw=1.6, zorder=5)
    counted = [label.split(" ", 1) for label in reversed(origins.labels())]
    names = [f"{as_label(name)}\n{count} networks" for count, name in counted]
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.set_title(f"{origins.times:g} times as long: who chose", loc="left")
    middle, sd = origins.control_mm, np.nan_to_num(origins.sd_mm)
    axes.axvspan(middle - sd, middle + sd, color=CONTROL, alpha=0.12, lw=0)
    axes.axvline(middle, color=CONTROL, lw=1.0)
    axes.set_xlabel("L_error of people who validate (mm); orange: means")
    few_ticks(axes, 5, None)


def _draw_longer(axes: Axes, longer: Longer) -> None:
    for role in dict.fromkeys(longer.roles):
        at = [i for i, each in enumerate(longer.roles) if each == role]
        colour = _COLOURS.get(role, ALL)
        axes.scatter(longer.short_mm[at], longer.long_mm[at], s=14, color=colour, lw=0, zorder=4)
    sd, freedom = longer.seeds
    if freedom:  # how far seeds alone move a point of one run, up and down
        middle = float(longer.long_mm[[role == "control" for role in longer.roles]].mean())
        axes.axhspan(middle - sd, middle + sd, color=CONTROL, alpha=0.12, lw=0)
    axes.set_title("what longer training does to their order", loc="left")
    axes.set_xlabel("L_error of the short run (mm)")
    axes.set_ylabel(f"{longer.times:g} times as long (mm)")
    few_ticks(axes, 5, 5)
