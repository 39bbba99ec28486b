"""The settings of a search: one field for each flag of `python -m nas.search`."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

from proxy_tasks.kind import DEFAULT
from proxy_tasks.launching import LAUNCHES

LEAST_CPUS = 0.01  # less is no share of a core that anybody means, and thousands of trials at once


@dataclass(frozen=True, slots=True)
class SearchConfig:
    """What was asked. None: the default depends on the machine; nas/search/plan.py decides and records it."""

    budget: str
    tolerance: float = 0.02
    task: str = DEFAULT
    data: str | None = None
    proxy: str | None = None
    objectives: str = "l_error"
    latency_table: str | None = None
    max_params: str | None = None
    max_activations: str | None = None
    max_latency: str | None = None
    strategy: str = "tpe"
    per_second: bool = False
    scheduler: str = "none"
    trials: int | None = None
    rounds: int = 1
    seed_arch: tuple[str, ...] = ()
    warm_start: tuple[str, ...] = ()
    repeats: int = 3
    finalists: int | None = None
    race_epochs: float | None = None
    space: dict[str, Any] = field(default_factory=dict)
    launcher: str = "ray"
    ray_address: str | None = None
    gpus_per_trial: str | None = None
    cpus_per_trial: float | None = None
    launch_steps: str = "auto"
    storage: str | None = None
    seed: int = 0
    max_hours: float | None = None
    objective: str | None = None
    objective_args: dict[str, Any] = field(default_factory=dict)

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
