"""Draw the pictures of the documentation again: python docs/pictures.py (Graphviz needed)."""

from __future__ import annotations

from pathlib import Path

import graphc as gc
from graphc import losses, optimizers

IMAGES = Path(__file__).resolve().parent / "images"


def draw() -> None:
    """A neuron's training step as kernels, and a lecture's example with values and gradients."""
    x = gc.input("x", shape=("batch", 3))
    y = gc.input("y", shape=("batch",))
    weight = gc.parameter((3,), name="weight")
    bias = gc.parameter((), "zeros", name="bias")
    loss = losses.mean_squared_error(gc.tanh(x @ weight + bias), y)
    model = gc.compile(loss, optimizer=optimizers.SGD(0.1), name="one training step of a neuron")
    gc.render(model, IMAGES / "step.svg")

    a, b, c = (gc.input(name, shape=()) for name in "abc")
    gc.render((a + b) * c, IMAGES / "example.svg", feed={"a": -2.0, "b": 5.0, "c": -4.0})
    for path in IMAGES.glob("*.svg"):  # lines are named from the project on, wherever it lies
        text = path.read_text("utf-8").replace(f"{IMAGES.parent.parent}/", "")
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    draw()
