"""What a search that goes on may be told anew, and whether what it is told again means what it meant.

The very command of a search plus --resume goes on with it, from any working directory and however the same
data, budget, proxy or architecture is spelt. tests/test_search_resume.py
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nas.record.run_dir import RunDir, RunError, outputs_counted
from nas.record.storage import from_anywhere, without_password
from nas.search.config import SearchConfig
from nas.search.flags import fields_given
from nas.trials.trial import present_name
from proxy_tasks.proxy import Proxy, find_proxy
from space import ArchSpec, Budget, Space

CHANGEABLE = (
    "trials",
    "max_hours",
    "launcher",
    "ray_address",
    "gpus_per_trial",
    "cpus_per_trial",
    "launch_steps",
)
Meanings = Mapping[str, Callable[[Any], bool]]
NEEDED = ("config", "proxy", "seed_archs")  # of run.json, beside what every reader needs


def to_resumed(
    given: argparse.Namespace,
    saved: SearchConfig,
    meanings: Mapping[str, Callable[[Any], bool]] | None = None,
) -> SearchConfig:
    """The saved config with what may change; ValueError for what may not.

    `meanings` says of settings that can be spelt in several ways whether a spelling means the saved one. A
    data set that has moved is taken from where it is now.
    """
    values = fields_given(given)
    space = {**saved.space, **values.pop("space", {})}
    if Space.from_dict(space) != Space.from_dict(saved.space):
        raise _refusal("the space", saved.space or "the default one", f", not {space}")
    changes = {name: value for name, value in values.items() if name in CHANGEABLE}
    for name, value in values.items():
        if name in CHANGEABLE or value == getattr(saved, name):
            continue
        if meanings is None or name not in meanings or not meanings[name](value):
            raise _refusal(f"--{name.replace('_', '-')}", _shown(getattr(saved, name)))
        if name == "data":
            changes["data"] = str(Path(value).resolve())
    return saved.replace(**changes)


def read_request(run: RunDir, about: dict[str, Any]) -> tuple[SearchConfig, Proxy, list[ArchSpec]]:
    """What a search was asked for and under which settings; RunError where its run.json is damaged."""
    missing = [name for name in NEEDED if name not in about]
    if missing:
        raise RunError(
            f"{run.run_json} holds no settings of a search (no {missing[0]!r}): restore it or start a new run"
        )
    try:
        config = SearchConfig.from_dict(about["config"])
        return config, Proxy.from_dict(about["proxy"]), [ArchSpec.from_dict(a) for a in about["seed_archs"]]
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise RunError(f"{run.run_json} is damaged ({error}): restore it or start a new run") from None


def meanings_of(saved: SearchConfig, proxy: Proxy, archs: list[ArchSpec], about: dict[str, Any]) -> Meanings:
    """For each setting that can be spelt in several ways: whether a spelling means the saved one."""
    from nas.search.plan import find_arch
    from space import FeasibleSet

    budget = Budget.parse(saved.budget, saved.tolerance)

    def same_archs(texts: tuple[str, ...]) -> bool:
        space = Space.from_dict({**saved.space, "outputs": outputs_counted(about)})
        feasible = FeasibleSet(space, budget)
        return [find_arch(text, feasible) for text in texts] == archs

    return {
        "budget": lambda text: Budget.parse(text, saved.tolerance) == budget,
        "proxy": lambda text: find_proxy(text).replace(name=proxy.name) == proxy,
        "seed_arch": same_archs,
        "warm_start": lambda paths: tuple(str(Path(path).resolve()) for path in paths) == saved.warm_start,
        "storage": lambda url: from_anywhere(url) == about.get("store", {}).get("url"),
        "objective": lambda path: (
            saved.objective is not None and present_name(path) == present_name(saved.objective)
        ),
        "data": lambda folder: _same_data(Path(folder), saved, proxy, about),
    }


def _same_data(folder: Path, saved: SearchConfig, proxy: Proxy, about: dict[str, Any]) -> bool:
    """Whether `folder` is the data set of the search, there or moved; False for a search without one."""
    if saved.data is None:
        return False
    if folder.resolve() == Path(saved.data).resolve():
        return True
    from proxy_tasks.kind import find_kind

    known = about.get("data", {}).get("fingerprint")
    return known is not None and find_kind(saved.task).fingerprint(str(folder), proxy) == known


def _refusal(what: str, has: object, more: str = "") -> ValueError:
    return ValueError(
        f"{what} cannot change on --resume: this search has {has}{more}; start a new run for another"
    )


def _shown(value: Any) -> str:
    return repr(without_password(value) if isinstance(value, str) else value)
