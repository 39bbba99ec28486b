"""Synthetic faces: a procedural morphable head, rendered in the challenge's layout.

anatomy   the mean head in closed form          mesh     its triangles
modes     identity                              expressions, actions   what faces do
model     all of these as arrays                head     skull, neck, eyes and mouth around a face
paint, render, raster   pictures                pose     camera and head motion
frames    one labelled frame in memory          dataset  a folder of them
"""

from proxy_tasks.jmlr.synthetic.dataset import synthesize
from proxy_tasks.jmlr.synthetic.model import FaceModel, default_model, load_model

VERSION = 2  # raise when the same request makes other faces, so that nobody is served the old ones

__all__ = ["VERSION", "FaceModel", "default_model", "load_model", "synthesize"]
