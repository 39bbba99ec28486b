"""What the commands about a run share beside their door (space/commandline.py)."""

from __future__ import annotations

from space.commandline import Parser, a_path


def add_where(p: Parser) -> None:
    """The flags of those that use trained networks of a run: on which data and device, and how loud."""
    p.add_argument("--data", type=a_path, metavar="DIR", help="the data set, where it has moved")
    p.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    p.add_argument("--quiet", action="store_true", help="no progress on stderr")
