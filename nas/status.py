"""How searches are doing: all of them, or one's trials by outcome, best, control, who is tied, time.

    python -m nas.status                  every search below runs/, a line each
    python -m nas.status runs/NAME        one of them
    python -m nas.status runs/NAME --watch

reads run.json and the store, writes nothing, and works while the search runs.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from space.commandline import Parser, a_path, door, parser_of


def status(run_dir: Path) -> dict[str, Any]:
    """The state of a search as plain values (docs/search.md lists the keys)."""
    from nas.record.costs import Latencies, figures, verdict
    from nas.record.hours import clock_hours, device_hours
    from nas.record.run_dir import RunDir
    from nas.record.select import select
    from nas.record.sought import front_sought, to_dict
    from nas.record.store import Store
    from proxy_tasks.kind import Score

    run = RunDir(run_dir)
    about = run.read()
    records = Store.open(run_dir).records()
    score = Score.of(about)
    selection, latencies = select(records), Latencies.of(about)
    front = front_sought(run, about, selection)
    counts, active = Counter(r.state for r in records if r.role != "known"), run.is_active()
    best, control = selection.best, selection.control
    reasons = Counter(r.reason for r in records if r.state == "failed")
    return {
        "run": str(run_dir),
        "active": active,
        **{state: counts.get(state, 0) for state in ("complete", "pruned", "failed")},
        "running": counts.get("running", 0) if active else 0,
        "unfinished": 0 if active else counts.get("running", 0),
        "roles": dict(Counter(r.role for r in records)),
        "failures": dict(reasons),
        "best": best and {"arch": best.arch.id, "l_error_mm": best.mean} | figures(best, latencies),
        "winner": selection.winner and selection.winner.arch.id,
        "control": control
        and {"arch": control.arch.id, "name": control.name, "l_error_mm": list(control.values)}
        | figures(control, latencies),
        "front": front and to_dict(front),
        "latency_of": latencies.where or None,
        "gain_mm": selection.gain and dict(zip(("estimate", "low", "high"), selection.gain, strict=True)),
        "tied": [arch.id for arch in selection.tied],
        "chances": {arch.id: selection.chances.get(arch.id) for arch in selection.tied},
        "noise_sd_mm": selection.noise_sd_mm,
        "paired_sd_mm": selection.paired_sd_mm,
        "verdict": score.words(verdict(selection, latencies)),
        "score": score.to_dict(),
        "baseline_l_error_mm": about.get("baseline_l_error_mm"),
        "device_hours": device_hours(about, records),
        "hours": clock_hours(records),
    }


def _print(run_dir: Path, found: dict[str, Any]) -> None:
    from nas.record.answer import table
    from nas.record.costs import Latencies
    from nas.record.front import table as front_table
    from nas.record.run_dir import RunDir
    from nas.record.select import select
    from nas.record.sought import front_sought
    from nas.record.store import Store
    from proxy_tasks.kind import Score

    doing = "running now" if found["active"] else "not running"
    if found["unfinished"]:
        doing += f"; interrupted, go on with: python -m nas.search --resume --out {shlex.quote(str(run_dir))}"
    print(f"{run_dir}: {doing}")
    going_on = "running" if found["active"] else "unfinished"
    counts = ", ".join(f"{found[s]} {s}" for s in ("complete", "pruned", "failed", going_on))
    print(f"trials: {counts}; {found['hours']:.2f} h, {found['device_hours']:.2f} device hours")
    for reason, count in found["failures"].items():
        print(f"  failed {count} times: {reason}")
    about = RunDir(run_dir).read()
    selection = select(Store.open(run_dir).records())
    score = Score.of(about)
    print(score.words(table(selection, found["baseline_l_error_mm"], Latencies.of(about))))
    front = front_sought(RunDir(run_dir), about, selection)
    verdicts = [found["verdict"]]
    if front is not None:
        print(score.words(front_table(front)))
        verdicts.insert(0, front.verdict)
    for verdict in verdicts:
        print(score.words(f"{verdict[0].upper()}{verdict[1:]}."))


def main(argv: list[str] | None = None) -> int:
    """Run the command; the exit status."""
    return door(_parser, _run, argv)


def _parser() -> Parser:
    p = parser_of("nas.status", __doc__)
    what = p.add_argument_group("what to show")
    what.add_argument(
        "run", type=a_path, nargs="?", metavar="RUN", help="folder of a search (default: a line for each)"
    )
    what.add_argument(
        "--runs", type=a_path, default=Path("runs"), metavar="DIR", help="where to look for searches (runs)"
    )
    how = p.add_argument_group("how")
    how.add_argument("--json", action="store_true", help="as JSON: one object, or a list of all searches")
    how.add_argument(
        "--rows", action="store_true", help="its complete runs, a JSON line each, as proxy_tasks.bench reads"
    )
    how.add_argument("--watch", action="store_true", help="again and again, until the search ends")
    how.add_argument(
        "--every", type=float, default=5.0, metavar="S", help="seconds between two looks of --watch (5)"
    )
    return p


def _run(arguments: argparse.Namespace) -> int:
    if not arguments.every > 0:
        raise ValueError(f"--every is a positive number of seconds, not {arguments.every}")
    if arguments.rows:
        return _rows(arguments)
    if not arguments.watch:
        _show(arguments)
        return 0
    if arguments.run is None:
        raise ValueError("--watch follows one search: name its folder")
    return _watch(arguments)


def _rows(arguments: argparse.Namespace) -> int:
    from nas.record.rows import rows
    from nas.record.run_dir import RunDir
    from nas.record.store import Store
    from proxy_tasks.bench.plan import kept_as

    if arguments.run is None:
        raise ValueError("--rows are those of one search: name its folder")
    info = RunDir(arguments.run).read()
    data = info.get("data", {}).get("fingerprint", "")
    for row in rows(Store.open(arguments.run).records(), data, kept_as(), info.get("config")):
        print(json.dumps(row, separators=(",", ":")))
    return 0


def _watch(arguments: argparse.Namespace) -> int:
    """Show it until its process has gone; a Ctrl-C ends the looking alone."""
    from nas.record.run_dir import RunDir

    screen = sys.stdout.isatty()
    try:
        while True:
            active = RunDir(arguments.run).is_active()
            if screen:
                print("\033[H\033[2J", end="")
            _show(arguments)
            if not active:
                return 0
            sys.stdout.flush()
            time.sleep(arguments.every)
            if not screen:
                print()
    except KeyboardInterrupt:
        raise KeyboardInterrupt("no longer watching; the search goes on") from None


def _show(arguments: argparse.Namespace) -> None:
    if arguments.run is None:
        _show_all(arguments.runs, as_json=arguments.json)
        return
    found = status(arguments.run)
    if arguments.json:
        print(json.dumps(found, indent=2))
    else:
        _print(arguments.run, found)


def _show_all(root: Path, *, as_json: bool) -> None:
    from nas.record.overview import lines, overviews

    found = overviews(root)
    if as_json:
        print(json.dumps([o.to_dict() for o in found], indent=2))
    elif found:
        print(lines(found))
    else:
        print(f"no search below {root}/: begin one with python -m nas.search --budget 5.1GFLOPs")


if __name__ == "__main__":
    sys.exit(main())
