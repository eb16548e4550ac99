"""Tasks: a model with its data, as the command line trains it; built in by name, or from a user's Python file."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from graphc.errors import DeclarationError, GraphcError
from graphc.origin import user_location
from graphc.runtime.model import Model
from graphc.scalar import Array

__all__ = ["BUILT_IN", "Task", "load_task", "message_of", "task_options"]

BUILT_IN = {
    "digits": "graphc.runtime.digits",
    "autoencoder": "graphc.runtime.examples.autoencoder",
    "vae": "graphc.runtime.examples.vae",
    "gan": "graphc.runtime.examples.gan",
    "char-lstm": "graphc.runtime.examples.char_lstm",
    "gpt": "graphc.runtime.examples.gpt",
    "shapes": "graphc.runtime.examples.shapes",
    "visualise": "graphc.runtime.examples.visualise",
}
"""Modules of the tasks that come with graphc, by name."""


@dataclass(frozen=True)
class Task:
    """What ``graphc train`` trains.

    model: compiled. train, test: arrays by input name. epochs, batch_size: unless the command line says otherwise.
    leave: a function of the run folder's path that writes into it after training, such as pictures of predictions.

    A task file defines a function ``task`` that returns one; its keyword arguments become options of the command line
    (``--set hidden=64``), ``seed`` and ``threads`` among them if it has them.

    >>> import graphc as gc
    >>> x, y = gc.input("x", shape=("batch", 1)), gc.input("y", shape=("batch", 1))
    >>> loss = gc.losses.mean_squared_error(gc.layers.Dense(1)(x), y)
    >>> data = {"x": [[0.0], [1.0]], "y": [[1.0], [3.0]]}
    >>> gc.Task(gc.compile(loss, gc.optimizers.SGD(0.1)), train=data, epochs=5).batch_size
    32
    """

    model: Model
    train: Mapping[str, object]
    test: Mapping[str, object] | None = None
    epochs: int = 10
    batch_size: int = 32
    leave: Callable[[Path], None] | None = None

    def first_batch(self, size: int) -> dict[str, Array]:
        """The first samples of the training data."""
        return {name: np.asarray(value)[:size] for name, value in self.train.items()}


def _builder(name: str) -> Callable[..., object]:
    """The ``task`` function of a built-in task or of a file."""
    if name in BUILT_IN:
        function = importlib.import_module(BUILT_IN[name]).task
    else:
        path = Path(name)
        if not path.is_file():
            raise DeclarationError(
                f"there is no task {name!r}",
                expected=f"{', '.join(BUILT_IN)}, or the path of a Python file with a function task()",
                got=name,
            )
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        function = getattr(module, "task", None)
    if not callable(function):
        raise DeclarationError(
            f"{name} defines no function task()",
            expected="def task(seed=0, threads=None): ... return gc.Task(model, train=..., test=...)",
            got="no such function",
        )
    builder: Callable[..., object] = function
    return builder


def task_options(name: str) -> dict[str, object]:
    """The keyword arguments of a task and their defaults."""
    parameters = inspect.signature(_builder(name)).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters}


def load_task(name: str, options: Mapping[str, object]) -> Task:
    """Build a task; options that it does not have are a DeclarationError."""
    function = _builder(name)
    known = inspect.signature(function).parameters
    unknown = [option for option in options if option not in known]
    if unknown:
        raise DeclarationError(
            f"task {name!r} has no option {unknown[0]!r}",
            expected=", ".join(known) or "no options",
            got=", ".join(options),
        )
    task = function(**options)
    if not isinstance(task, Task):
        raise DeclarationError(f"task() of {name} returns no gc.Task", expected="gc.Task(...)", got=repr(task)[:80])
    return task


def message_of(error: GraphcError) -> str:
    """What a command prints of an error: all of it but a line of the script that started graphc, which is nobody's."""
    script, at = user_location(), error.at
    lines = str(error).splitlines()
    if script is None or at is None or not at.startswith(f"{script.file}:"):
        return "\n".join(lines)
    return "\n".join(line for line in lines if not line.endswith(at))
