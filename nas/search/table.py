"""Which latency table a search reads: its own on --resume, the one named, or the device's in the cache."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nas.record.run_dir import RunDir
from space.design import Space
from space.files import write_json
from space.latency import LatencyTable

if TYPE_CHECKING:
    from nas.search.config import SearchConfig


def find_table(
    config: SearchConfig, run: RunDir, outputs: int, *, resumed: bool, needed: bool
) -> LatencyTable | None:
    """The table of a search, None where there is none; ValueError for one of another device or version.

    outputs  of the task's networks, whose last layer takes time too
    needed  something was asked for in milliseconds, so that its absence is an error; else a table in the
            cache helps to tell the time that runs will take
    """
    if resumed:
        return LatencyTable.load(run.latency_table) if run.latency_table.exists() else None
    if config.latency_table is None and not needed and config.objective is not None:
        return None  # a simulation takes no time
    from proxy_tasks.latency.device import conditions_here
    from proxy_tasks.latency.kept import find, read_here, table_file
    from space.machine import cores

    if config.latency_table is not None:
        table = read_here(Path(config.latency_table)).table
    else:
        here = conditions_here(threads=cores(), block=config.space.get("block", "basic"), outputs=outputs)
        if not needed:
            return _usable(table_file(here), config)
        table = find(here).table
    if table.conditions.block != config.space.get("block", "basic"):
        raise ValueError(
            f"the latency table is of {table.conditions.block} blocks, and the space has others: "
            "measure one with python -m proxy_tasks.latency calibrate --block"
        )
    if table.conditions.outputs != outputs:
        raise ValueError(
            f"the latency table is of networks with {table.conditions.outputs:,} outputs, and the task's "
            f"have {outputs:,}: measure one with python -m proxy_tasks.latency calibrate --outputs {outputs}"
        )
    _require_cover(table, Space.from_dict(config.space))
    return table


def _usable(path: Path, config: SearchConfig) -> LatencyTable | None:
    """A table that nobody asked for: none where anything about it is wrong."""
    try:
        table = LatencyTable.load(path)
        _require_cover(table, Space.from_dict(config.space))
    except ValueError:
        return None
    return table


def _require_cover(table: LatencyTable, space: Space) -> None:
    """ValueError where the space has widths that the table does not reach."""
    for stage, choices in enumerate(space.width_choices):
        grid = table.widths[stage]
        if choices[0] < grid[0] or choices[-1] > grid[-1]:
            raise ValueError(
                f"the latency table holds widths {grid[0]} to {grid[-1]} in stage {stage + 1}, and the space "
                f"has {choices[0]} to {choices[-1]}: calibrate with the space's own flags"
            )


def keep_table(run: RunDir, table: LatencyTable) -> None:
    """So that the run can be resumed, and its report made, where the cache is not."""
    write_json(run.latency_table, table.to_dict())
