"""The proxies that have names, and what each of their settings means.

    python -m proxy_tasks.proxies                         the presets side by side
    python -m proxy_tasks.proxies --example > mine.json   every setting with what it means, to change
    python -m proxy_tasks.proxies --proxy mine.json       what a file of settings comes to

A file names what it changes and takes the rest from its "base"; // comments are allowed. `--proxy mine.json`
of nas.search and nas.retrain reads it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from proxy_tasks.proxy import ABOUT, PROXIES, Proxy, find_proxy
from space.commandline import Parser, door, parser_of


def _parser() -> Parser:
    p = parser_of("proxy_tasks.proxies", __doc__)
    what = p.add_argument_group("what to print")
    what.add_argument("--example", action="store_true", help="a file of settings with a comment on each")
    what.add_argument(
        "--base", choices=tuple(PROXIES), default="mini", help="whose values the example has (mini)"
    )
    what.add_argument("--proxy", metavar="FILE", help="another column: what this file of settings comes to")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    return door(_parser, _run, argv)


def _run(args: argparse.Namespace) -> int:
    if args.example:
        print(example(args.base))
        return 0
    shown = [*PROXIES.values(), *([find_proxy(args.proxy)] if args.proxy else [])]
    print(side_by_side(shown))
    print("\nA file of your own: python -m proxy_tasks.proxies --example > mine.json, then --proxy mine.json")
    return 0


def settings(proxy: Proxy) -> Iterator[tuple[str, Any]]:
    """Every setting and its value, those of the synthetic faces as synthetic.NAME."""
    for name in ABOUT:
        outer, _, inner = name.partition(".")
        value = getattr(proxy, outer)
        if inner:
            yield name, getattr(value, inner)
        elif outer != "synthetic":
            yield name, value


def side_by_side(proxies: Sequence[Proxy]) -> str:
    """A line a setting, a column a proxy."""
    rows = zip(*(settings(proxy) for proxy in proxies), strict=True)
    lines = []
    for row in rows:
        name, values = row[0][0], "".join(f"{_short(value):>10}" for _, value in row)
        lines.append(f"{name:<18}{values}   {ABOUT[name]}")
    return "\n".join(lines)


def _short(value: Any) -> str:
    return f"{len(value)} ids" if isinstance(value, tuple) and value else json.dumps(value)


def example(base: str) -> str:
    """JSON with // comments that find_proxy reads: every setting but the name, at the base's values."""
    values = {"base": base, **{k: v for k, v in settings(PROXIES[base]) if k != "name"}}
    about = {**ABOUT, "base": f"where settings that are left out come from: {', '.join(PROXIES)}"}
    outer = {k: v for k, v in values.items() if "." not in k}
    inner = {k: v for k, v in values.items() if "." in k}
    lines = [f"  {_pair(k, v) + ',':<32} // {about[k]}" for k, v in outer.items()]
    lines.append(f'  "synthetic": {{{"":<18} // {about["synthetic"]}')
    for i, (k, v) in enumerate(inner.items(), 1):
        comma = "," if i < len(inner) else ""
        lines.append(f"    {_pair(k.partition('.')[2], v) + comma:<30} // {about[k]}")
    return "\n".join(["{", *lines, "  }", "}"])


def _pair(key: str, value: Any) -> str:
    return f"{json.dumps(key)}: {json.dumps(value)}"


if __name__ == "__main__":
    sys.exit(main())
