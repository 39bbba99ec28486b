"""The parser of every command of this project: what is wrong with a request is one sentence, exit status 2.

argparse prints its usage text above the sentence, and a tired person reads the wrong one of the two.
tests/test_space_commandline.py asks every command for something that it does not know.
"""

from __future__ import annotations

import argparse
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """argparse's own, but for what it prints where a request cannot be parsed."""

    def error(self, message: str) -> NoReturn:
        """End with status 2; `message` already says which argument, and what was given."""
        self.exit(2, f"{message}; {self.prog} --help says what it takes\n")
