"""A run directory as a search leaves it, without a search: for tests of what comes after one."""

from __future__ import annotations

from pathlib import Path

from nas.record.run_dir import RunDir
from nas.record.store import Store
from proxy_tasks.jmlr.wcpa.dataset import WcpaDataset
from space import ArchSpec

SMALL = ArchSpec((1, 1, 1, 1), (8, 8, 8, 8))
WIDER = ArchSpec((1, 1, 1, 1), (8, 8, 16, 24))
CONTROL = ArchSpec((1, 1, 2, 1), (8, 8, 8, 16))
SCHEDULE = [
    *("--launcher", "inprocess", "--device", "cpu", "--precision", "fp32", "--quiet"),
    *("--resolution", "32", "--epochs", "3", "--batch", "8", "--lr", "3.2"),
]


def write(run: Path, data: Path, *, finished: bool = True) -> Path:
    """Trials of SMALL (11 mm), WIDER (10 mm) and the control (12 mm) on `data`; none finished if so asked."""
    run.mkdir(parents=True, exist_ok=True)
    dataset = WcpaDataset.open(data)
    facts = {"path": str(data), "fingerprint": dataset.id, "subjects": len(dataset.subjects())}
    facts["outputs"] = 5 * dataset.topology.vertex_count
    RunDir(run).write(
        {
            "command": "python -m nas.search --budget 0.5GFLOPs",
            "seed": 0,
            "commit": "0123abc",
            "versions": {"torch": "2.13.0"},
            "data": facts,
            "store": {"url": None, "prefix": ""},
        }
    )
    store = Store.open(run, write=True)
    for number, (arch, error, role) in enumerate(
        [(SMALL, 11.0, "proposal"), (WIDER, 10.0, "proposal"), (CONTROL, 12.0, "control")]
    ):
        study = "round1" if role == "proposal" else "repeats"
        trial = store.storage.create_new_trial(store.ensure_study(study))
        store.begin(trial, job(arch, role, number))
        if finished:
            store.finish(trial, "complete", l_error_mm=error, parts={"median_mm": error}, seconds=1.0)
    return run


def job(arch: ArchSpec, role: str, seed: int) -> dict[str, object]:
    return {
        "role": role,
        "round": 1,
        "arch": arch.to_dict(),
        "name": "resnet34-scaled" if role == "control" else "",
        "seed": seed,
        "fidelity": "mini-abc",
        "macs": arch.macs(),
        "params": arch.params(),
        "activations": arch.activations(),
        "epochs": 6,
        "intervals": 3,
    }


def retrain(run: Path, *arguments: str) -> None:
    """Train what `arguments` say in this process, in a second or two each."""
    from nas.retrain.__main__ import main

    assert main([str(run), *SCHEDULE, *arguments]) == 0
