"""solve_pnp against scipy's least_squares run to convergence: how many faces agree, and how closely.

    OMP_NUM_THREADS=1 python tests/bench/bench_pnp_scipy.py [--faces 400]

prints the table of docs/pose.md in a minute or two; tests/pose_study.py says what is compared.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import pose_study
from pose_faces import REGIMES


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=int, default=400, help="faces a regime")
    parser.add_argument("--seed", type=int, default=2)
    args = parser.parse_args(argv)
    print("| predicted vertices and landmarks | excluded | equal | ours lower | degrees | metres |")
    print("|---|--:|--:|--:|--:|--:|")
    for name in REGIMES:
        found = pose_study.compare(name, args.faces, args.seed)
        posed, equal = found.posed, found.posed & found.equal
        print(
            f"| {name} | {(~posed).sum()} | {equal.sum()} of {posed.sum()} "
            f"| {(posed & found.ours_lower).sum()} "
            f"| {found.degrees[equal].max():.0e} | {found.metres[equal].max():.0e} |",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
