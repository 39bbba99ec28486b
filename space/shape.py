"""Whether a JSON value has the shape that its reader relies on, and where it has not.

A shape is a type (float takes whole numbers too, and no shape but bool takes true), None, a tuple of shapes
of which one must fit, a list [shape] for lists of any length, or a dict of keys and shapes; a key that ends
in `?` may be absent, and keys that the shape does not name are let be. tests/test_space_shape.py
"""

from __future__ import annotations

from typing import Any

_NAMES = {dict: "an object", list: "a list", str: "text", int: "a whole number", float: "a number",
          bool: "true or false", None: "null"}  # fmt: skip


def misfit(value: Any, shape: Any, where: str = "it") -> str:
    """What is wrong and where, such as `config.seed is 'x', not a whole number`; empty where nothing is."""
    if isinstance(shape, tuple):
        if any(not misfit(value, one) for one in shape):
            return ""
        return misfit(value, shape[0], where)
    if isinstance(shape, list):
        if not isinstance(value, list):
            return _told(value, list, where)
        found = (misfit(entry, shape[0], f"{where}[{i}]") for i, entry in enumerate(value))
        return next((wrong for wrong in found if wrong), "")
    if isinstance(shape, dict):
        return _misfit_of_object(value, shape, where)
    return "" if _is_a(value, shape) else _told(value, shape, where)


def _misfit_of_object(value: Any, shape: dict[str, Any], where: str) -> str:
    if not isinstance(value, dict):
        return _told(value, dict, where)
    for key, inner in shape.items():
        name = key.removesuffix("?")
        path = name if where == "it" else f"{where}.{name}"
        if name not in value:
            if name == key:
                return f"{path} is missing"
        elif wrong := misfit(value[name], inner, path):
            return wrong
    return ""


def _is_a(value: Any, kind: type | None) -> bool:
    if kind is None:
        return value is None
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, int | float) if kind is float else isinstance(value, kind)


def _told(value: Any, shape: Any, where: str) -> str:
    kind = dict if isinstance(shape, dict) else list if isinstance(shape, list) else shape
    text = repr(value)
    return f"{where} is {text if len(text) < 40 else text[:40] + '...'}, not {_NAMES[kind]}"
