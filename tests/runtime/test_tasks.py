"""Task files: what is accepted, and what is said about others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graphc.errors import DeclarationError
from graphc.runtime import digits
from graphc.runtime.tasks import BUILT_IN, load_task, task_options
from tests.runtime.tasks import write_task


def test_a_task_is_built_with_its_options(tmp_path: Path) -> None:
    path = write_task(tmp_path)
    assert task_options(path) == {"hidden": 4, "rate": 0.1, "seed": 0, "threads": None}
    task = load_task(path, {"hidden": 3, "seed": 5})
    assert [parameter.value.shape for parameter in task.model.parameters] == [(2, 3), (3,), (3, 1), (1,)]
    assert int(task.model.cells["seed"].array) == 5
    assert (task.epochs, task.batch_size, task.test is None) == (3, 16, False)


def test_the_built_in_digits_need_no_file() -> None:
    assert task_options("digits").keys() == {"network", "hidden", "dropout", "learning_rate", "seed", "threads"}
    task = load_task("digits", {"hidden": 8})
    assert task.test is not None
    assert [np.asarray(data["image"]).shape for data in (task.train, task.test)] == [(1437, 8, 8), (360, 8, 8)]


def refusal(name: str, **options: object) -> DeclarationError:
    with pytest.raises(DeclarationError) as caught:
        load_task(name, options)
    return caught.value


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    error = refusal(str(tmp_path / "lost.py"))
    assert error.what == f"there is no task '{tmp_path / 'lost.py'}'"
    assert error.expected == f"{', '.join(BUILT_IN)}, or the path of a Python file with a function task()"


@pytest.mark.parametrize("text", ["", "task = 3\n", "def tusk(): ...\n"])
def test_a_file_without_a_task_is_refused(tmp_path: Path, text: str) -> None:
    path = write_task(tmp_path, text)
    error = refusal(path)
    assert error.what == f"{path} defines no function task()"
    assert error.expected == "def task(seed=0, threads=None): ... return gc.Task(model, train=..., test=...)"


def test_a_task_that_returns_something_else_is_refused(tmp_path: Path) -> None:
    path = write_task(tmp_path, "def task():\n    return 3\n")
    error = refusal(path)
    assert error.what == f"task() of {path} returns no gc.Task"
    assert error.got == "3"


def test_an_option_that_the_task_lacks_is_refused(tmp_path: Path) -> None:
    path = write_task(tmp_path)
    error = refusal(path, hiden=3)
    assert error.what == f"task '{path}' has no option 'hiden'"
    assert error.expected == "hidden, rate, seed, threads"
    assert error.got == "hiden"


@pytest.mark.parametrize("network", ["lenet", "resnet"])
def test_other_networks_learn_the_digits_too(network: str) -> None:
    learned = digits.task(network=network)
    batch = {name: np.asarray(values)[:64] for name, values in learned.train.items()}
    losses = [learned.model.step(batch)["loss"] for _ in range(8)]
    assert losses[-1] < 0.9 * losses[0]


def test_a_network_that_the_digits_do_not_have_is_refused() -> None:
    with pytest.raises(DeclarationError, match="no network 'vgg'") as caught:
        digits.task(network="vgg")
    assert "'perceptron', 'lenet', 'resnet'" in str(caught.value)
