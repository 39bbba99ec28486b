"""space/machine.py: where the cache lies, and how many cores a process may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from space import machine
from space.machine import cores, cpu_quota, memory_bytes


def _control_groups(tmp_path: Path, own: str, files: dict[str, str]) -> dict[str, Path]:
    (tmp_path / "own").write_text(own)
    for name, text in files.items():
        file = tmp_path / "root" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return {"root": tmp_path / "root", "own": tmp_path / "own"}


V1 = "5:memory:/job\n4:cpu,cpuacct:/slurm/job_7\n1:name=systemd:/init.scope\n"


@pytest.mark.parametrize(
    ("own", "files", "quota"),
    [
        ("0::/\n", {"cpu.max": "250000 100000\n"}, 2.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/\n", {}, None),
        ("0::/slurm/job_7\n", {"cpu.max": "max 100000", "slurm/job_7/cpu.max": "400000 100000"}, 4.0),
        ("0::/slurm/job_7\n", {"slurm/cpu.max": "100000 100000", "slurm/job_7/cpu.max": "max 100000"}, 1.0),
        ("0::/slurm/job_7\n", {"cpu.max": "300000 100000"}, 3.0),  # a container's own root
        ("0::/../outside\n", {"cpu.max": "300000 100000"}, 3.0),
        (V1, {"cpu,cpuacct/slurm/job_7/cpu.cfs_quota_us": "150000\n",
              "cpu,cpuacct/slurm/job_7/cpu.cfs_period_us": "50000\n"}, 3.0),
        (V1, {"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2.0),
        (V1, {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ("0::/\n", {"cpu.max": "what is this"}, None),
        ("nonsense\n", {"cpu.max": "100000 100000"}, None),
    ],
)  # fmt: skip
def test_the_tightest_quota_of_the_control_groups_is_found(own, files, quota, tmp_path):
    assert cpu_quota(**_control_groups(tmp_path, own, files)) == quota


def test_a_machine_without_control_groups_has_no_quota(tmp_path):
    assert cpu_quota(tmp_path / "none", tmp_path / "neither") is None


@pytest.mark.parametrize(
    ("affinity", "quota", "usable"), [(8, None, 8), (8, 2.5, 2), (2, 6.0, 2), (4, 0.5, 1), (1, None, 1)]
)
def test_cores_are_those_of_the_affinity_and_of_the_quota(affinity, quota, usable, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(affinity)), raising=False)
    monkeypatch.setattr(machine, "cpu_quota", lambda: quota)
    assert cores() == usable


def test_without_affinity_the_machine_s_own_number_counts(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(machine, "cpu_quota", lambda: None)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores() == 1


@pytest.mark.parametrize(
    ("own", "files", "limit"),
    [
        ("0::/slurm/job_7\n", {"memory.max": "max\n", "slurm/job_7/memory.max": "1048576\n"}, 2**20),
        ("0::/slurm/job_7\n", {"slurm/memory.max": "4096", "slurm/job_7/memory.max": "8192"}, 4096),
        ("5:memory:/job_7\n", {"memory/job_7/memory.limit_in_bytes": "65536\n"}, 65536),
        ("0::/\n", {"memory.max": "what is this"}, None),
        ("0::/\n", {}, None),
    ],
)
def test_memory_is_the_machine_s_or_the_control_groups_limit(own, files, limit, tmp_path):
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert memory_bytes(**_control_groups(tmp_path, own, files)) == (limit or whole)
