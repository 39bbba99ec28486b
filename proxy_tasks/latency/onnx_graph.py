"""A plan as an ONNX graph with weights of no meaning, and its run under ONNX Runtime.

Only for timing: batch norms are folded into the convolutions, as every runtime folds them, and no exporter is
asked, which takes seconds a network. nas.export writes trained networks.
tests/test_latency_networks.py holds the graph equal to the network of proxy_tasks/backbone.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from space.arrays import Floats
from space.plan import Block, Conv, Plan

OPSET = 17


def version() -> str:
    """ONNX Runtime's; ValueError where it, or onnx, is not installed."""
    try:
        import onnx  # noqa: F401
        import onnxruntime
    except ImportError:
        raise ValueError(
            "--mode onnxruntime needs onnx and onnxruntime: pip install -c constraints.txt -e '.[onnx]'"
        ) from None
    return str(onnxruntime.__version__)


def providers() -> list[str]:
    """What this ONNX Runtime can run on."""
    import onnxruntime

    return list(onnxruntime.get_available_providers())


def runner(graph: bytes, images: Any, threads: int | None, *, cuda: bool = False) -> Callable[[], list[Any]]:
    """The graph as a function without arguments; (B, 3, S, S) float32 `images` stay where they are."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    if threads:
        options.intra_op_num_threads = threads
    options.log_severity_level = 3
    card = _current_card() if cuda else 0
    provider = ("CUDAExecutionProvider", {"device_id": card}) if cuda else "CPUExecutionProvider"
    session = onnxruntime.InferenceSession(graph, options, providers=[provider])
    value = onnxruntime.OrtValue.ortvalue_from_numpy(images, "cuda" if cuda else "cpu", card)
    return lambda: session.run_with_ort_values(["outputs"], {"images": value})


def _current_card() -> int:
    import torch

    return torch.cuda.current_device()


def graph_of(plan: Plan, batch: int, size: int, weight: Callable[[str, tuple[int, ...]], Floats]) -> bytes:
    """The serialized model, (batch, 3, size, size) -> (batch, outputs).

    weight(name, shape) gives the weights (name) and biases (name.bias) of each convolution and the head.
    """
    from onnx import TensorProto, helper

    made = _Graph(weight)
    value = "images"
    for conv in plan.stem:
        value = made.node("Relu", made.conv(conv, value))
    value = made.node("MaxPool", value, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    for stage in plan.stages:
        for block in stage.blocks:
            value = made.block(block, value)
    value = made.node("Flatten", made.node("GlobalAveragePool", value))
    head = plan.head
    names = made.weights(head.name, (head.cout, head.cin))
    made.nodes.append(helper.make_node("Gemm", [value, *names], ["outputs"], transB=1))
    kind = TensorProto.FLOAT
    inputs = [helper.make_tensor_value_info("images", kind, [batch, 3, size, size])]
    outputs = [helper.make_tensor_value_info("outputs", kind, [batch, head.cout])]
    graph = helper.make_graph(made.nodes, "plan", inputs, outputs, made.initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    return bytes(model.SerializeToString())


class _Graph:
    """Nodes and weights so far."""

    def __init__(self, weight: Callable[[str, tuple[int, ...]], Floats]) -> None:
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self._weight = weight

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add one; the name of its output."""
        from onnx import helper

        output = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def weights(self, name: str, shape: tuple[int, ...]) -> tuple[str, str]:
        """Add a layer's weights and biases; their names."""
        from onnx import numpy_helper

        for key, each in ((name, shape), (f"{name}.bias", shape[:1])):
            array = np.ascontiguousarray(self._weight(key, each), np.float32)
            self.initializers.append(numpy_helper.from_array(array, key))
        return name, f"{name}.bias"

    def conv(self, conv: Conv, value: str) -> str:
        """A convolution with the batch norm behind it."""
        names = self.weights(conv.name, (conv.cout, conv.cin, conv.kernel, conv.kernel))
        pads = [conv.kernel // 2] * 4
        return self.node("Conv", value, *names, strides=[conv.stride] * 2, pads=pads)

    def block(self, block: Block, value: str) -> str:
        """A residual block."""
        shortcut = value
        if block.shortcut is not None:
            if block.stride > 1:
                sides = [block.stride] * 2
                shortcut = self.node("AveragePool", value, kernel_shape=[2, 2], strides=sides, ceil_mode=1)
            shortcut = self.conv(block.shortcut, shortcut)
        for index, conv in enumerate(block.convs):
            value = self.conv(conv, self.node("Relu", value) if index else value)
        return self.node("Relu", self.node("Add", value, shortcut))
