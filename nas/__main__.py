"""The commands of jmlr-nas, and in which order they are usually run.

    python -m nas

Each of them has --help.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from space.commandline import Parser, door, parser_of

COMMANDS = {
    "look around": {
        "space": "how many networks a budget leaves, and a few of them",
        "proxy_tasks.proxies": "the training settings that have names, and a file of one's own",
        "proxy_tasks.latency": "a table of block times, for caps on latency",
    },
    "prepare": {
        "proxy_tasks.synthesize": "a data set of synthetic faces",
        "proxy_tasks.check": "what is wrong with a data set",
    },
    "search": {
        "nas.search": "propose, train briefly, race the best, say who won",
        "nas.status": "all searches, or how one is doing",
        "reports.build": "a search's report: one page that opens from disk",
        "reports.compare": "searches or design spaces side by side",
    },
    "use": {
        "nas.retrain": "the winners trained in full",
        "nas.ensemble": "which of them to average",
        "nas.predict": "meshes and poses of images",
        "nas.export": "an architecture and its weights for other programs",
    },
    "study the search itself": {
        "proxy_tasks.bench": "train and read a table of networks",
        "proxy_tasks.fidelity": "which cheap training ranks as the longest does",
        "reports.evidence": "such a table as one picture",
    },
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    return door(parser, _run, argv)


def parser() -> Parser:
    """It takes no flags."""
    return parser_of("nas", __doc__)


def _run(args: argparse.Namespace) -> int:
    print(listing())
    return 0


def listing() -> str:
    """Every command with one line on it."""
    width = max(len(name) for group in COMMANDS.values() for name in group)
    lines = ["Neural architecture search for JMLR. Each command has --help.", ""]
    for title, group in COMMANDS.items():
        lines += [f"{title}:"]
        lines += [f"  python -m {name:<{width}}  {text}" for name, text in group.items()]
    return "\n".join([*lines, "", "Begin with: python -m nas.search --budget 5.1GFLOPs"])


if __name__ == "__main__":
    sys.exit(main())
