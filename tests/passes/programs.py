"""Small programs whose generated source the golden files hold.

Their inputs have names that no other test uses: equal nodes are one node, with the line that made it first.
"""

from __future__ import annotations

from collections.abc import Callable

import graphc as gc
from graphc import layers, losses, optimizers


def softmax() -> gc.Function:
    x = gc.input("scores", shape=("samples", 10))
    return gc.function([x], gc.softmax(x, axis=1), name="softmax")


def reductions() -> gc.Function:
    x = gc.input("table", shape=("samples", 100))
    wanted = {
        "all": gc.sum(x * x),
        "rows": gc.max(x, axis=1),
        "columns": gc.mean(x, axis=0),
        "best": gc.argmax(x, axis=1),
    }
    return gc.function([x], wanted, name="reductions")


def movement() -> gc.Function:
    x = gc.input("board", shape=(6, 8))
    index = gc.input("places", shape=("places",), dtype="int64")
    joined = gc.concatenate([gc.pad(x, [(0, 0), (1, 2)]), x[:, ::-1]], axis=1)
    wanted = {"joined": joined, "rows": gc.take(x, index), "added": gc.grad(gc.take(x, index).sum(), wrt=[x])[0]}
    return gc.function([x, index], wanted, name="movement")


def classifier() -> gc.Model:
    image = gc.input("picture", shape=("samples", 64))
    label = gc.input("digit", shape=("samples",), dtype="int64")
    network = layers.Sequential(
        [layers.Dense(32, activation="relu"), layers.Dropout(0.5), layers.Dense(10)], name="classifier"
    )
    loss = losses.softmax_cross_entropy(network(image), label)
    return gc.compile(loss, optimizer=optimizers.Adam(1e-3), name="classifier")


def winograd() -> gc.Function:
    x = gc.input("tiles", shape=("samples", 9, 20, 16))
    window = gc.input("window", shape=(3, 3, 16, 32))
    return gc.function([x, window], gc.relu(gc.convolution(x, window)), name="winograd")


PROGRAMS: dict[str, Callable[[], gc.Function | gc.Model]] = {
    "softmax": softmax,
    "reductions": reductions,
    "movement": movement,
    "classifier": classifier,
    "winograd": winograd,
}
