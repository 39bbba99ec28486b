"""Which cheap view of a training run ranks architectures as the longest training does, and what it costs.

    python -m proxy_tasks.fidelity ROWS.jsonl [--bound 0.5] [--scores SCORES.jsonl | --data FACES]

ROWS are files of `python -m proxy_tasks.bench build`; their architectures all lie in one budget's band.
Prints Kendall's tau and the regret of training the 1, 3 or 5 favourites of each view in full, with 95 %
bootstrap intervals over architectures, its cost beside the longest training's, and what seeds and chance
allow. A view is anything that orders architectures: an earlier validation, a shorter run, fewer people, a
count, a score; regret@k is what the best of its k favourites lies above the best of all. `*`
marks a view of the very run that it is compared with: it shares the seed and looks better than it is.
--scores adds what `python -m proxy_tasks.bench score` kept: scores of untrained networks, latency. --data
takes the former on a batch of its images now, in a few seconds for each.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from proxy_tasks.bench.views import KEPT, Interval, Judged, Study
from proxy_tasks.kind import Score
from space.commandline import Parser, a_path, door, parser_of

BOUND_MM = 0.5


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    return door(_parser, _run, argv)


def _parser() -> Parser:
    parser = parser_of("proxy_tasks.fidelity", __doc__)
    what = parser.add_argument_group("what to judge")
    what.add_argument("rows", type=a_path, nargs="+", metavar="ROWS", help="files of proxy_tasks.bench build")
    untrained = what.add_mutually_exclusive_group()
    untrained.add_argument(
        "--scores", type=a_path, metavar="FILE", help="what proxy_tasks.bench score wrote of them"
    )
    untrained.add_argument("--data", type=a_path, metavar="DIR", help="images to score untrained networks on")
    how = parser.add_argument_group("how")
    how.add_argument(
        "--bound",
        type=float,
        default=BOUND_MM,
        metavar="E",
        help="the last line names the cheapest training that ranks better than chance and whose regret@3, "
        f"interval included, stays within E, in the unit of the rows ({BOUND_MM:g})",
    )
    how.add_argument(
        "--length", type=float, metavar="X", help="what to rank as: runs of X times the recipe (the longest)"
    )
    return parser


def _run(args: argparse.Namespace) -> int:
    from proxy_tasks.bench import rows
    from proxy_tasks.bench.scoring import ZeroCost, by_architecture
    from proxy_tasks.bench.views import study

    asked = [*args.rows, *([args.scores] if args.scores else [])]
    if missing := [str(path) for path in asked if not path.is_file()]:
        raise ValueError(f"there is no file {missing[0]}: give what proxy_tasks.bench wrote")
    scores = None
    if args.scores:
        scores = by_architecture(rows.read(args.scores))
    elif args.data:
        scores = ZeroCost(args.data)
    read = rows.read(*args.rows)
    print(text(study(read, scores, length=args.length), args.bound, Score.of(read[0])))
    return 0


def text(
    found: Study,
    bound_mm: float = BOUND_MM,
    score: Score = Score(),  # noqa: B008  frozen
) -> str:
    """The study as a table, in the score's unit, and the view that it recommends."""
    regret = f", {score.unit}" if score.unit else ""
    best = found.recommended(bound_mm)
    said = (
        "no training ranks and" if best is None else f"{_name(best)} is the cheapest training that ranks and"
    )
    chance = ", ".join(f"@{k} {lost:.2f}" for k, lost in zip(KEPT, found.chance, strict=True))
    return "\n".join(
        [
            f"{len(found.archs)} architectures; dear: the final error of runs of x{found.length:g}, "
            f"{found.seconds:.0f} s each, {found.dear.min():.2f} to {score.amount(found.dear.max())}",
            _noise(found, score),
            f"{'view':<40} {'cost':>6}  {'n':>3}  {'tau':^22}"
            + "".join(f"  {f'regret@{k}{regret}':^20}" for k in KEPT),
            *(_line(each, found.seconds) for each in found.judged),
            f"an order by chance has a regret of {chance}",
            f"{said} keeps regret@3 within {f'{bound_mm:g} {score.unit}'.rstrip()}, both by the interval",
        ]
    )


def _noise(found: Study, score: Score) -> str:
    length, freedom = found.noise_of
    if not freedom:
        return "no run was repeated: what seeds allow is not known"
    return (
        f"runs of one seed differ by {score.amount(found.noise_mm)} (x{length:g} runs, {freedom} degrees of "
        f"freedom): at that noise a view that knew the truth has a tau of {found.ceiling:.2f}, one other run "
        f"of x{found.length:g} of {found.again:.2f}"
    )


def _line(each: Judged, seconds: float) -> str:
    cost = f"{each.view.seconds / seconds:.1%}"
    return f"{_name(each):<40} {cost:>6}  {each.n:>3}  {_told(each.tau, '+.2f'):<22}" + "".join(
        f"  {_told(one, '.2f'):<20}" for one in each.regrets
    )


def _name(each: Judged) -> str:
    return each.view.name + (" *" if each.view.same_run else "")


def _told(found: Interval, form: str) -> str:
    value, low, high = found
    return f"{value:{form}} ({low:{form}} to {high:{form}})"


if __name__ == "__main__":
    sys.exit(main())
