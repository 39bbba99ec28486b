"""What a person wants to know of a feasible set: its size, where its FLOPs go, some of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from space.arch import REFERENCES, ArchSpec
from space.arrays import Floats
from space.cost import part_costs
from space.design import Space
from space.feasible import FeasibleSet
from space.plan import OUTPUTS

DRAWS = 20_000  # for the shares; a mean share is then known to about 0.1 %
DRAWS_CAPPED = 2_000  # where most draws of the window break a cap; known to 0.3 %
_BAR = 24  # characters for a whole network
_USUAL = len("d24-24-24-24_w512-512-512-512")
_QUANTILES = (5, 95)


def summarise(feasible: FeasibleSet, samples: int, seed: int) -> dict[str, Any]:
    """Everything that `python -m space` shows, as plain data."""
    rng = np.random.default_rng(seed)
    chosen = feasible.draw(samples, rng)
    draws = DRAWS_CAPPED if feasible.caps else DRAWS
    outputs = feasible.space.outputs
    parts = part_costs(feasible.space.block, feasible.draw_array(draws, rng), outputs=outputs)
    whole = sum(parts.values())
    return {
        "space": feasible.space.to_dict(),
        "space_size": feasible.space.size,
        "budget": feasible.budget.to_dict() | {"low": feasible.budget.low, "high": feasible.budget.high},
        "id": feasible.id,
        "count": feasible.count,
        "caps": feasible.caps.to_dict(),
        "left": feasible.left,
        "draws": draws,
        "shares": {name: _share(macs / whole) for name, macs in parts.items()},
        "samples": [_describe(spec, outputs) for spec in chosen],
        "references": {
            name: _describe(spec, outputs) | {"outside": _outside(spec, feasible)}
            for name, spec in REFERENCES.items()
        },
    }


def _share(shares: Floats) -> dict[str, float]:
    low, high = np.percentile(shares, _QUANTILES)
    return {"mean": float(shares.mean()), "p5": float(low), "p95": float(high)}


def _outside(spec: ArchSpec, feasible: FeasibleSet) -> str | None:
    if spec not in feasible.space:
        return "space"
    if spec not in feasible.window:
        return "budget"
    return None if spec in feasible else "caps"


def _describe(spec: ArchSpec, outputs: int) -> dict[str, Any]:
    costs = {"macs": spec.macs(outputs=outputs), "params": spec.params(outputs)}
    costs["activations"] = spec.activations()
    return spec.to_dict() | {"id": spec.id} | costs


def render(feasible: FeasibleSet, summary: dict[str, Any], *, plain: bool = False) -> str:
    """The summary for a terminal of 80 columns; `plain` keeps to ASCII."""
    count, size = summary["count"], summary["space_size"]
    ratio = size / count
    lines = [
        f"Space    {describe_space(feasible.space)}",
        f"Budget   {feasible.budget} at 256x256: {feasible.budget.low:,} to {feasible.budget.high:,} FLOPs",
        f"Inside   {count:,} of {size:,} architectures, 1 in {ratio:,.{0 if ratio > 100 else 1}f}",
        *_caps(feasible, summary),
        "",
        f"Where the FLOPs go ({summary['draws']:,} uniform draws)",
        f"  {'part':<8}{'mean':>8}{'5 % to 95 %':>20}",
    ]
    for name, share in summary["shares"].items():
        mean, low, high = (f"{100 * share[key]:.1f} %" for key in ("mean", "p5", "p95"))
        bar = ("#" if plain else "█") * round(_BAR * share["mean"])
        lines.append(f"  {name:<8}{mean:>8}{f'{low} to {high}':>20}  {bar}".rstrip())
    lines += ["", "Uniform samples", *_table([(each["id"], each, "") for each in summary["samples"]])]
    references = summary["references"].items()
    lines += ["", "References", *_table([(name, each, _verdict(each)) for name, each in references])]
    text = "\n".join(lines)
    return text.replace("±", "+-").replace("–", "-") if plain else text


def _caps(feasible: FeasibleSet, summary: dict[str, Any]) -> list[str]:
    """What is left of the window, where there are caps."""
    if not feasible.caps:
        return []
    left, count = summary["left"], summary["count"]
    return [f"Caps     {feasible.caps}", f"Left     {left:,} of those inside, {100 * left / count:.3g} %"]


def describe_space(space: Space) -> str:
    """One line: basic blocks, depths 1–24, widths 8–512 by 8 that never decrease."""
    depths = _ranges(space.depth_choices)
    widths = _ranges(space.width_choices)
    tie = "" if space.free_widths else ", never decreasing"
    head = "" if space.outputs == OUTPUTS else f", {space.outputs:,} outputs"
    return f"{space.block} blocks, depths {depths}, widths {widths} by {space.width_step}{tie}{head}"


def _ranges(choices: tuple[range, ...]) -> str:
    each = [f"{values[0]}–{values[-1]}" if len(values) > 1 else f"{values[0]}" for values in choices]
    return each[0] if len(set(each)) == 1 else ", ".join(each)


def _verdict(reference: dict[str, Any]) -> str:
    return f"outside the {reference['outside']}" if reference["outside"] else "inside"


def _table(rows: list[tuple[str, dict[str, Any], str]]) -> list[str]:
    """Header and one line for each (name, costs, remark); columns line up for names of usual length."""
    width = max([_USUAL, *(len(name) for name, _, _ in rows)])
    lines = [f"  {'':<{width}}{'GFLOPs':>9}{'M params':>10}{'M act.':>8}"]
    for name, costs, remark in rows:
        giga = f"{costs['macs'] / 1e9:>9.3f}{costs['params'] / 1e6:>10.1f}{costs['activations'] / 1e6:>8.1f}"
        lines.append(f"  {name:<{width}}{giga}  {remark}".rstrip())
    return lines
