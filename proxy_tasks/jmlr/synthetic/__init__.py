"""Synthetic faces: a procedural morphable head, rendered in the challenge's layout.

anatomy   the mean head in closed form          mesh     its triangles
modes     identity                              expressions, actions   what faces do
model     all of these as arrays                head     skull, neck, eyes and mouth around a face
paint, render, raster   pictures                pose     camera and head motion
frames    one labelled frame in memory          dataset  a folder of them

The names are imported when first used: a search asks for VERSION alone, and the rest loads scipy.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy_tasks.jmlr.synthetic.dataset import synthesize
    from proxy_tasks.jmlr.synthetic.model import FaceModel, default_model, load_model

VERSION = 2  # raise when the same request makes other faces, so that nobody is served the old ones

__all__ = ["VERSION", "FaceModel", "default_model", "load_model", "synthesize"]

_HOMES = {"synthesize": "dataset", "FaceModel": "model", "default_model": "model", "load_model": "model"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found
