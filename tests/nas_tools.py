"""Small searches for the tests of nas: everything real but the training."""

from __future__ import annotations

from pathlib import Path

from nas.record.run_dir import RunDir
from nas.record.store import Store
from nas.search.config import SearchConfig
from nas.search.driver import Driver
from nas.search.plan import Plan, resolve
from nas.trials.inprocess import run_all
from nas.trials.standin import Standin
from proxy_tasks.proxy import Proxy

PROXY = Proxy("test", resolution=64, epochs=6, batch=32)  # six validations: rungs after 2 and 4
SMALL = {"max_depth": 6, "max_width": 128, "width_step": 16}  # a space of thousands, built in milliseconds


def plan(budget: str = "5.1GFLOPs", **changes) -> Plan:
    values = {"strategy": "random", "trials": 6, "objective": "nas.trials.standin:Standin", **changes}
    return resolve(SearchConfig(budget, **values), gpus=0, proxy=PROXY)


def small_plan(**changes) -> Plan:
    return plan("0.5GFLOPs", **{"space": SMALL, "tolerance": 0.1, **changes})


def driver(path: Path, made: Plan) -> Driver:
    """On a new or old store in `path`, as a new or resumed search would."""
    run = RunDir(path)
    if not run.run_json.exists():
        path.mkdir(parents=True, exist_ok=True)
        run.write({"store": {"url": None, "prefix": ""}, "baseline_l_error_mm": 154.0})
    return Driver(made, Store.open(path, write=True), run.checkpoint)


def search(path: Path, made: Plan, objective=None, rungs=None) -> list:
    """Run a whole search in this process; its records."""
    one = driver(path, made)
    run_all(one, objective or Standin(), rungs)
    return one.store.records()


def proposals(records) -> list:
    return [r for r in records if r.role == "proposal"]
