"""Proxy: the settings of a training run, and the ones that have names.

A proxy is a short, cheap stand-in for the full training of an architecture:
fewer pixels, people and epochs, the same losses and score. `full` is the
paper's schedule (sec. 3.3) itself. Budgets are meant at 256x256 whatever
resolution a proxy trains at. tests/test_proxy_engine.py
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from space.commandline import sentence_of
from space.files import parse_object


@dataclass(frozen=True, slots=True)
class Synthetic:
    """The faces that a proxy makes for itself where no data set is given."""

    subjects: int
    frames: int  # images a subject
    size: int  # pixels, square
    seed: int = 0

    def __post_init__(self) -> None:
        _check_types(self, "synthetic faces")

    def to_dict(self) -> dict[str, int]:
        return dataclasses.asdict(self)


_COUNTS = ("resolution", "epochs", "batch", "warmup_steps", "evaluations", "least_steps", "subjects")

_LATER = {
    "optimizer": "sgd",
    "average": 0.0,
    "validation_people": (),
    "edge_weight": 0.25,
}  # added later: at these values a proxy keeps the id it had


_TYPES = {  # of a field's annotation: how a JSON value may be given, and what to call it
    "int": ("a whole number", lambda v: type(v) is int),
    "float": ("a number", lambda v: isinstance(v, float) or (type(v) is int and abs(v) < 10**300)),
    "bool": ("true or false", lambda v: isinstance(v, bool)),
    "str": ("text", lambda v: isinstance(v, str)),
    "tuple[str, ...]": (
        "a list of names",
        lambda v: isinstance(v, tuple) and all(isinstance(name, str) for name in v),
    ),
}
_BOUNDS = {  # of the fields that are not counts: from 0 to this, and the last excluded where it is marked so
    "momentum": (1.0, True),
    "average": (1.0, True),
    "scale": (1.0, True),
    "jitter": (1.0, False),
    "shift": (1.0, False),
    "degrees": (180.0, False),
    "power": (math.inf, False),
    "edge_weight": (math.inf, False),
    "weight_decay": (math.inf, False),
}
LARGEST = 1024  # pixels: no crop is larger


def _check_types(settings: Any, of: str) -> None:
    """ValueError for a value of another type than its field's: a JSON file may hold anything."""
    for field in dataclasses.fields(settings):
        if field.type in _TYPES:
            name, fits = _TYPES[field.type]
            value = getattr(settings, field.name)
            if not fits(value):
                raise ValueError(f"{field.name} of {of} is {name}, not {value!r}")


@dataclass(frozen=True, slots=True)
class Proxy:
    """Settings of one training run.

    lr is meant at a batch of 512 and scales with `batch` (AdamW's with its root). Where `epochs` of a small
    data set come to fewer than `least_steps` steps, a run takes as many epochs as those fill. `subjects` and
    `frames` (a subject) bound the training part of a data set, `validation_images`, spread evenly over its
    people, the other part; 0 takes all. That part is one person in five by their ids' hashes, or exactly
    `validation_people`. `evaluations` is the number of equally spaced validations, rungs and checkpoints;
    0 is one an epoch.
    """

    name: str
    resolution: int
    epochs: int
    batch: int
    lr: float = 0.1
    warmup_steps: int = 1000
    power: float = 2.0
    momentum: float = 0.9
    weight_decay: float = 5e-4
    evaluations: int = 0
    least_steps: int = 0
    subjects: int = 0
    frames: int = 0
    validation_images: int = 0
    validation_people: tuple[str, ...] = ()
    flip: bool = True  # every second sample, at random, is mirrored
    jitter: float = 0.2  # brightness, contrast and a quarter of it in colour, relative
    degrees: float = 0.0  # similarity jitter: turn, relative size, share of the crop's side
    scale: float = 0.0
    shift: float = 0.0
    precision: str = "auto"
    optimizer: str = "sgd"  # or adamw, which takes weight_decay and leaves momentum alone
    average: float = 0.0  # share of the run over which the scored weights are averaged; 0 takes the last
    edge_weight: float = 0.25  # of the loss's edge term (paper, eq. 4); 0 leaves it out
    synthetic: Synthetic = Synthetic(subjects=600, frames=16, size=800)

    def __post_init__(self) -> None:
        _check_types(self, "a proxy")
        if not re.fullmatch(r"\w[\w.+-]{0,79}", self.name, re.ASCII):
            raise ValueError(
                f"name of a proxy is part of file names: letters, digits and . _ + -, not {self.name!r}"
            )
        for name in (*_COUNTS, "frames", "validation_images"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} of a proxy is a whole number, 0 or more, not {getattr(self, name)}")
        for name, (most, excluded) in _BOUNDS.items():
            value = getattr(self, name)
            if not 0 <= value <= most or value == math.inf or (excluded and value == most):
                to = "" if most == math.inf else f" to {'below ' if excluded else ''}{most:g}"
                raise ValueError(f"{name} of a proxy is a number from 0{to}, not {value}")
        if not 32 <= self.resolution <= LARGEST or self.resolution % 2:
            raise ValueError(
                f"a proxy trains at an even resolution of 32 or more, to {LARGEST}, got {self.resolution}"
            )
        if min(self.epochs, self.batch) < 1:
            raise ValueError(f"epochs and batch are at least 1, got {self.epochs} and {self.batch}")
        if not 0 < self.lr < math.inf:
            raise ValueError(f"a learning rate is positive and finite, got {self.lr}")
        if self.optimizer not in ("sgd", "adamw"):
            raise ValueError(f"optimizer is sgd or adamw, got {self.optimizer!r}")
        if self.precision not in ("auto", "fp32", "bf16"):
            raise ValueError(f"precision is auto, fp32 or bf16, got {self.precision!r}")

    @property
    def id(self) -> str:
        """Short name of everything that changes a run's numbers, e.g. 'mini-3fa91c'."""
        values = {name: v for name, v in self.to_dict().items() if _LATER.get(name) != v}
        text = json.dumps(values, sort_keys=True)
        return f"{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"

    @property
    def validations(self) -> int:
        """Equally spaced validations of a whole run, so its rungs and most of its checkpoints."""
        return self.evaluations or self.epochs

    def replace(self, **changes: Any) -> Proxy:
        """The same with some settings changed, checked again."""
        return dataclasses.replace(self, **changes)

    def longer(self, factor: float) -> Proxy:
        """The same run, `factor` times as long; its schedule stretches with it."""
        return self.replace(
            name=f"{self.name}x{factor:g}",
            epochs=math.ceil(self.epochs * factor),
            least_steps=math.ceil(self.least_steps * factor),
        )

    def is_longer(self, other: str, factor: float) -> bool:
        """Whether this is `longer(factor)` of the proxy of that id; a factor of 1 is the proxy itself."""
        if factor == 1:
            return self.id == other
        shorter = self.replace(
            name=self.name.removesuffix(f"x{factor:g}"),
            epochs=max(1, math.floor(self.epochs / factor)),
            least_steps=math.floor(self.least_steps / factor),
        )
        return shorter.id == other and shorter.longer(factor) == self

    def to_dict(self) -> dict[str, Any]:
        """Plain values; without the list of people where there is none, as before there was one."""
        values = dataclasses.asdict(self)
        if not self.validation_people:
            del values["validation_people"]
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Proxy:
        """Inverse of to_dict; ValueError for keys that are unknown or missing."""
        _check_keys(values, cls, "a proxy")
        _check_keys(values["synthetic"], Synthetic, "synthetic")
        people = values.get("validation_people", ())
        people = tuple(people) if isinstance(people, list) else people
        synthetic = Synthetic(**values["synthetic"])
        return cls(**{**values, "synthetic": synthetic, "validation_people": people})


def _check_keys(values: Any, kind: type, of: str) -> None:
    if not isinstance(values, dict):
        raise ValueError(f"{of} is an object with the keys of its settings, not {values!r}")
    known = {field.name: field for field in dataclasses.fields(kind)}
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, 1)
            raise ValueError(f"{of} has no setting {name!r}" + (f": is {near[0]!r} meant?" if near else ""))
    for name, field in known.items():
        needed = field.default is dataclasses.MISSING or name == "synthetic"
        if needed and name not in values:
            raise ValueError(f"{of} lacks the setting {name!r}")


ABOUT = {  # one line on each setting
    "name": "what it is called in records",
    "resolution": "side of the crop, pixels",
    "epochs": "passes over the training images",
    "batch": "images of a step, over all processes",
    "lr": "learning rate at a batch of 512; scaled with the batch (sgd) or its root (adamw)",
    "warmup_steps": "optimizer steps of linear warm-up, at most a tenth of the run",
    "power": "of the poly decay",
    "momentum": "of SGD",
    "weight_decay": "of SGD or AdamW",
    "evaluations": "equally spaced validations and checkpoints; 0 is one an epoch",
    "least_steps": "optimizer steps at least: more epochs where the data are few",
    "subjects": "training subjects; 0 is all",
    "frames": "training images a subject; 0 is all",
    "validation_images": "validation images, spread over the people; 0 is all",
    "validation_people": "ids of those who validate; none: one in five, by the hash of the id",
    "flip": "mirror every second image",
    "jitter": "brightness, contrast and colour, relative",
    "degrees": "random turn, degrees either way",
    "scale": "random size, relative",
    "shift": "random shift, as a share of the crop's side",
    "precision": "auto, fp32 or bf16",
    "optimizer": "sgd or adamw",
    "edge_weight": "of the face loss's edge term; 0 leaves it out",
    "average": "share of the run over which the scored weights are averaged; 0 takes the last",
    "synthetic": "the faces that are made where no data set is given",
    "synthetic.subjects": "people",
    "synthetic.frames": "images of each",
    "synthetic.size": "side of an image, pixels",
    "synthetic.seed": "of the people; the same seed, the same faces",
}


# mini: 160 steps on 640 synthetic people with 4 images each, about a minute of one core with AMX. AdamW
# ends ResNet-34 at 76.5 mm where SGD at its former rate ended at 82.6 in four fifths of the processor time,
# one seed each, on people that nothing else is scored on (docs/evidence/mini-tuning.jsonl; the mean face
# has 115; machine busy). A search's control ends at 73.5 ± 1.2 mm (three seeds) where it ended at 80.4 ±
# 1.1. Twice its rate gives 81.2; more people seen once, or 48 and 32 pixels with larger batches, 79.2 to
# 79.4. Twice the steps at 48 pixels gives 71.1, four times the steps at 32 pixels 70.5: a step costs hardly
# less there (its 25 million weights do), so half the mean face's error takes a smaller budget or many
# minutes. short keeps a rate of 0.25 at its own batch; it has not been tuned.
PROXIES = {
    p.name: p
    for p in (
        Proxy(
            "mini",
            resolution=64,
            epochs=2,
            batch=32,
            optimizer="adamw",
            lr=1.2e-2,  # 3e-3 at its batch
            weight_decay=0.05,
            power=1.0,
            evaluations=4,
            least_steps=64,
            frames=16,
            subjects=640,
            validation_images=160,
            synthetic=Synthetic(subjects=800, frames=4, size=256),
        ),
        Proxy(
            "short",
            resolution=128,
            epochs=10,
            batch=256,
            lr=0.5,
            power=1.0,
            frames=200,
            validation_images=2000,
        ),
        Proxy("full", resolution=256, epochs=40, batch=512),
    )
}


def find_proxy(text: str) -> Proxy:
    """A proxy by name, or the settings in a JSON file (Proxy.to_dict, in part, over those of its `base`).

    ValueError, one sentence, where there is none or a setting cannot be meant.
    """
    if text in PROXIES:
        return PROXIES[text]
    names = ", ".join(PROXIES)
    try:
        values = parse_object(uncommented(Path(text).read_bytes()))
    except OSError as error:
        raise ValueError(
            f"--proxy {text!r} is neither one of {names}, nor a JSON file of settings ({sentence_of(error)})"
        ) from None
    except ValueError as error:
        raise ValueError(f"--proxy {text!r} is no JSON file of settings ({error})") from None
    base = values.pop("base", "mini")
    if not isinstance(base, str) or base not in PROXIES:
        raise ValueError(f"--proxy {text}: base is one of {names}, not {base!r}")
    settings = {**PROXIES[base].to_dict(), "name": _as_name(Path(text).stem), **values}
    if isinstance(values.get("synthetic"), dict):
        settings["synthetic"] = {**PROXIES[base].synthetic.to_dict(), **values["synthetic"]}
    try:
        return Proxy.from_dict(settings)
    except ValueError as error:
        raise ValueError(f"--proxy {text}: {error}") from None


def uncommented(text: bytes) -> bytes:
    """JSON without the // comments that end its lines, as `python -m proxy_tasks.proxies` writes them."""
    return re.sub(rb"^((?:[^\"/\n]|\"(?:\\.|[^\"\\\n])*\"|/(?!/))*)//[^\n]*$", rb"\1", text, flags=re.M)


def _as_name(stem: str) -> str:
    """A file's name as the name of its proxy."""
    return re.sub(r"[^\w.+-]|^\W", "_", stem, flags=re.ASCII)[:80] or "_"
