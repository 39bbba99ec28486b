"""The settings of a search: one field for each flag of `python -m nas.search`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from proxy_tasks.kind import DEFAULT
from proxy_tasks.launching import LAUNCHES
from proxy_tasks.proxy import PROXIES

LEAST_CPUS = 0.01  # less is no share of a core that anybody means, and thousands of trials at once
STRATEGIES = ("random", "qmc", "tpe", "gp", "evolution", "predictor")
SCHEDULERS = ("none", "asha")
LAUNCHERS = ("ray", "inprocess")
WHAT, HOW, WHERE = "what to search", "how to search", "on what, and where to"  # groups of flags
REQUIRED: Any = object()  # a flag that must be given has this for a default


def _object(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except json.JSONDecodeError:
        values = None
    if not isinstance(values, dict):
        raise argparse.ArgumentTypeError(f"{text!r} is no JSON object such as '{{\"noise_mm\": 0.2}}'")
    return values


def flag(group: str, help: str, default: Any = None, *, shown: str | None = None, **how: Any) -> Any:
    """A field that is a flag of nas.search: its group, help and default, said here and nowhere else.

    `shown` says in the help what a default of None comes to; `how` is for argparse (metavar, type).
    """
    told = "required" if default is REQUIRED else f"default {default if shown is None else shown}"
    many = {"action": "append"} if default == () else {}
    switch = {"action": "store_true"} if default is False else {}
    words = help if default == () else f"{help} ({told})"
    metadata = {"group": group, "argparse": {"help": words.replace("%", "%%"), **how, **many, **switch}}
    if default is REQUIRED:
        return field(metadata=metadata)
    return field(default=default, metadata=metadata)


def _either(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


_ARGUMENTS = {
    "group": WHAT,
    "argparse": {"help": "arguments of --objective (default none)", "metavar": "JSON", "type": _object},
}


@dataclass(frozen=True, slots=True)
class SearchConfig:
    """What was asked. None: the default depends on the machine; nas/search/plan.py decides and records it."""

    budget: str = flag(WHAT, "multiply-adds at 256x256, e.g. 5.1GFLOPs", REQUIRED, metavar="FLOPS")
    tolerance: float = flag(WHAT, "of the budget, either way", 0.02, metavar="SHARE", type=float)
    task: str = flag(WHAT, "what is learnt: jmlr, or your own by MODULE:NAME", DEFAULT, metavar="NAME")
    data: str | None = flag(WHAT, "the task's data set", shown="its own, as synthetic faces", metavar="DIR")
    proxy: str | None = flag(
        WHAT,
        f"how a trial is trained: {', '.join(PROXIES)}, a table's recipe, or a JSON file",
        shown="short; mini without a GPU",
        metavar="NAME|FILE",
    )
    objectives: str = flag(
        HOW, "l_error,latency for a front; also params, activations", "l_error", metavar="NAMES"
    )
    latency_table: str | None = flag(
        HOW,
        "of python -m proxy_tasks.latency calibrate, made on this machine",
        shown="this device's in the cache",
        metavar="FILE",
    )
    max_params: str | None = None  # space/flags.py has the flags of the caps and of the space
    max_activations: str | None = None
    max_latency: str | None = None
    strategy: str = flag(HOW, _either(STRATEGIES), "tpe", metavar="NAME")
    scheduler: str = flag(HOW, "none, or asha to stop poor runs early", "none", metavar="NAME")
    trials: int | None = flag(
        HOW, "architectures to propose", shown="64; 4 without a GPU", metavar="N", type=int
    )
    rounds: int = flag(HOW, "2: narrow the space by the first half's best", 1, metavar="N", type=int)
    seed_arch: tuple[str, ...] = flag(
        HOW,
        "propose this one first: a reference's name, scaled into the budget, or a spec file; repeatable",
        (),
        metavar="NAME|FILE",
    )
    warm_start: tuple[str, ...] = flag(
        HOW, "tell the strategy the runs of an earlier search or table; repeatable", (), metavar="RUN|FILE"
    )
    repeats: int = flag(
        HOW, "runs of the control and of each finalist, each with another seed; at least 3", 3,
        metavar="N", type=int,
    )  # fmt: skip
    finalists: int | None = flag(
        HOW,
        "best proposals to run again with other seeds",
        shown="8; without a GPU 1, or 4 for a front",
        metavar="N",
        type=int,
    )
    race_epochs: float | None = flag(
        HOW,
        "then run those still tied again, X times as long; 1 leaves this out",
        shown="2; 1 without a GPU",
        metavar="X",
        type=float,
    )
    space: dict[str, Any] = field(default_factory=dict)
    launcher: str = flag(WHERE, "ray, or inprocess for one run after another", "ray", metavar="NAME")
    ray_address: str | None = flag(
        WHERE, "join a Ray cluster, e.g. auto", shown="Ray is started here", metavar="ADDRESS"
    )
    gpus_per_trial: str | None = flag(
        WHERE,
        "a whole number, a slice 1/n, or auto by predicted memory",
        shown="1; 0 without a GPU",
        metavar="N",
    )
    cpus_per_trial: float | None = flag(
        WHERE,
        "cores of a trial, and its torch threads on a CPU",
        shown="the machine's cores shared among its trials; 1 with --ray-address",
        metavar="N",
        type=float,
    )
    launch_steps: str = flag(
        WHERE, f"how training steps reach a GPU, docs/gpu.md: {_either(LAUNCHES)}", "auto", metavar="WAY"
    )
    storage: str | None = flag(
        WHERE, "where the study is kept: an Optuna storage URL", shown="a journal in the run", metavar="URL"
    )
    seed: int = flag(HOW, "of proposals and first runs", 0, metavar="N", type=int)
    max_hours: float | None = flag(
        HOW,
        "time limit; proposing stops early enough to run the control and the best again",
        shown="no limit",
        metavar="H",
        type=float,
    )
    objective: str | None = flag(
        WHAT,
        "what a trial runs, e.g. nas.trials.standin:Standin",
        shown="training under the proxy",
        metavar="MODULE:CLASS",
    )
    objective_args: dict[str, Any] = field(default_factory=dict, metadata=_ARGUMENTS)

    def __post_init__(self) -> None:
        _at_least("--trials", self.trials, 1)
        _at_least("--repeats", self.repeats, 3)  # fewer give the control no error bar to speak of
        _at_least("--finalists", self.finalists, 1)
        _at_least("--seed", self.seed, 0)
        if self.rounds not in (1, 2):
            raise ValueError(f"--rounds is 1 or 2, not {self.rounds}")
        if self.cpus_per_trial is not None and self.cpus_per_trial < LEAST_CPUS:
            raise ValueError(
                f"--cpus-per-trial is at least {LEAST_CPUS} of a core, not {self.cpus_per_trial:g}"
            )
        for flag, value in (("--max-hours", self.max_hours), ("--cpus-per-trial", self.cpus_per_trial)):
            if value is not None and not (0 < value < math.inf):
                raise ValueError(f"{flag} is a positive number, not {value}")
        if self.launch_steps not in LAUNCHES:
            raise ValueError(f"--launch-steps is {', '.join(LAUNCHES)}, not {self.launch_steps}")
        if self.race_epochs is not None and not 1 <= self.race_epochs < math.inf:
            raise ValueError(
                f"--race-epochs multiplies the proxy's epochs by 1 or more, not {self.race_epochs}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for run.json."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> SearchConfig:
        """Inverse of to_dict."""
        several = {name: tuple(values.get(name, ())) for name in ("seed_arch", "warm_start")}
        return cls(**{**values, **several})

    def replace(self, **changes: Any) -> SearchConfig:
        """The same with some fields changed, checked again."""
        return dataclasses.replace(self, **changes)


def _at_least(flag: str, value: int | None, least: int) -> None:
    if value is not None and value < least:
        raise ValueError(f"{flag} is at least {least}, not {value}")


def gpu_share(value: str | None) -> float:
    """GPUs of one trial: a whole number or exactly 1/n, since Ray loses other fractions between nodes."""
    if value is None:
        return 0.0
    try:
        share = 1 / int(value[2:]) if value.startswith("1/") else float(value)
    except (ValueError, ZeroDivisionError):
        share = math.nan
    if not math.isfinite(share) or share < 0:
        raise ValueError(
            f"--gpus-per-trial is auto, a whole number or a slice such as 1/4 or 0.25, not {value}"
        )
    if 0 < share < 1:
        parts = round(1 / share)
        if abs(share * parts - 1) > 1e-3:
            raise ValueError(
                f"--gpus-per-trial {value} does not divide a GPU: use a slice 1/n, such as 1/{parts}"
            )
        return 1 / parts
    if share != int(share):
        raise ValueError(f"--gpus-per-trial {value} is neither a whole number nor a slice 1/n of one GPU")
    return share
