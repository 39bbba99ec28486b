"""How the steps of a run reach the device: names, and which is meant by 'auto'. Changes no numbers.

    eager            every kernel by itself
    graphs           as one CUDA graph, recorded once a run (proxy_tasks.graphs)
    compiled         through torch.compile, a minute or more a network before the first step
    compiled-graphs  both

docs/gpu.md says what each is for; tests/bench/gpu.sh measures them. tests/test_proxy_graphs.py
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from proxy_tasks.task import World

LAUNCHES = ("auto", "eager", "graphs", "compiled", "compiled-graphs")
LONG = 200  # steps from which on a run earns back what choosing algorithms and recording a graph take


def how_to_launch(launch: str, device: torch.device, world: World, steps: int) -> str:
    """What 'auto' means for a run, or `launch`; ValueError where it is unknown or cannot be.

    auto: a CUDA graph where one process trains on a GPU and the run is long enough for one, else eagerly.
    Compiling takes a minute or more a network, so it is never chosen unasked.
    """
    if launch not in LAUNCHES:
        raise ValueError(f"steps are launched {', '.join(LAUNCHES[:-1])} or {LAUNCHES[-1]}, not {launch!r}")
    alone = device.type == "cuda" and world.size == 1
    if launch == "auto":
        return "graphs" if alone and steps >= LONG else "eager"
    if "graphs" in launch and not alone:
        raise ValueError(f"{launch} needs a CUDA device and one process: launch steps eager or compiled")
    return launch
