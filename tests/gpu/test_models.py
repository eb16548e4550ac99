"""Models on the GPU: fit, evaluate, predict, checkpoints, batches of several sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import graphc as gc
from graphc.runtime.target import Target
from graphc.scalar import Array
from tests.cuda.networks import perceptron, perceptron_feed, recurrent, recurrent_feed
from tests.gpu.targets import CPU, EXACT, check_same, moved, run, states, trained

pytestmark = pytest.mark.gpu

SIZES = (8, 3, 8, 8, 3, 3, 8)


def used(target: Target) -> dict[str, Array]:
    """What a model on a target says of training, evaluation and predictions."""
    model, data, held_out = moved(perceptron(), target), perceptron_feed(22), perceptron_feed(10, seed=1)
    history = model.fit(data, epochs=3, batch_size=8, validation_data=held_out)
    found = {f"history {key}": np.array(history[key]) for key in ("loss", "accuracy", "val_loss", "val_accuracy")}
    found |= {f"evaluated {key}": np.array(value) for key, value in model.evaluate(held_out, batch_size=4).items()}
    found |= model.predict({"image": held_out["image"]}, batch_size=4)
    return found | states(model)


def carried_over(first: Target, second: Target, path: Path) -> dict[str, Array]:
    """What a model on the second target does with the checkpoint of one on the first."""
    before = moved(perceptron(), first)
    before.fit(perceptron_feed(20), epochs=1, batch_size=8)
    before.save(path)
    saved = states(before)
    after = moved(perceptron(), second)
    after.load(path)
    check_same(saved, states(after))
    history = after.fit(perceptron_feed(20), epochs=2, batch_size=8)
    assert history["epoch"] == [2, 3]
    return {"loss": np.array(history["loss"])} | states(after)


def test_training_evaluation_and_predictions_are_those_of_the_cpu() -> None:
    wanted = used(CPU)
    assert wanted["logits"].shape == (10, 3)
    assert len(set(wanted["history loss"])) == 3, "no parameter moved"
    check_same(wanted, used(EXACT))


@pytest.mark.parametrize(("first", "second"), [(CPU, EXACT), (EXACT, CPU)], ids=["to the GPU", "to the CPU"])
def test_a_checkpoint_of_one_target_goes_on_on_the_other(first: Target, second: Target, tmp_path: Path) -> None:
    wanted = carried_over(CPU, CPU, tmp_path / "cpu.safetensors")
    check_same(wanted, carried_over(first, second, tmp_path / "moved.safetensors"))


def test_batches_of_two_sizes_in_turn_give_the_bits_of_the_cpu() -> None:
    feeds = [perceptron_feed(count, seed) for seed, count in enumerate(SIZES)]
    check_same(trained(perceptron, CPU, feeds), trained(perceptron, EXACT, feeds))


def test_loops_and_choices_of_two_sizes_in_turn_give_the_bits_of_the_cpu() -> None:
    feeds = [recurrent_feed(count, seed) for seed, count in enumerate(SIZES)]
    check_same(trained(recurrent, CPU, feeds), trained(recurrent, EXACT, feeds))


def test_what_a_loop_has_chosen_differs_between_batches() -> None:
    x = gc.input("x", shape=("n",))
    found = gc.cond(gc.sum(x) > 0, lambda: gc.exp(x), lambda: x * 2.0)
    assert isinstance(found, gc.Tensor)
    function = gc.function([x], found, target="cuda")
    for values in ([1.0, 0.0], [-1.0, 0.0], [-1.0, -2.0], [2.0, 0.0], [-1.0, 0.5]):
        batch = np.array(values, np.float32)
        wanted = np.exp(batch) if batch.sum() > 0 else batch * 2
        np.testing.assert_allclose(np.asarray(function(batch)), wanted, rtol=1e-6)


def test_a_variable_of_the_environment_moves_a_program_to_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHC_TARGET", "cuda")
    model = perceptron()
    assert model.target.name == "cuda"
    losses = [model.step(perceptron_feed(8))["loss"] for _ in range(20)]
    assert losses[-1] < losses[0]


def test_states_may_be_read_and_set_between_steps() -> None:
    def changed(target: Target) -> dict[str, Array]:
        model = moved(perceptron(), target)
        executable = model.executable("train")
        for seed in range(4):
            run(executable, perceptron_feed(8, seed))
            weight = model.cells[next(name for name in model.cells if name.endswith("weight"))]
            weight.set(weight.read() * 0.5)
        return states(model)

    check_same(changed(CPU), changed(EXACT))
