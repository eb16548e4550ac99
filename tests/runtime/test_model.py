"""Models: compiling, evaluating, predicting, and the texts they describe themselves with."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import layers, losses, optimizers
from graphc.errors import DeclarationError, FeedError, GradientError, VerificationError
from graphc.runtime.peaks import peaks_of
from graphc.scalar import Array
from tests.harness import same_bits
from tests.runtime.networks import digits_data, digits_model

DATA = digits_data(90)
SMALL = digits_data(6)


def line(name: str = "x") -> tuple[gc.Tensor, gc.Parameter]:
    """A number fed and a number trained."""
    return gc.input(name, shape=("batch",)), gc.parameter((), initializer=2.0, name="slope")


def states_of(model: gc.Model) -> dict[str, Array]:
    return {name: cell.array.copy() for name, cell in model.cells.items()}


def test_evaluation_averages_over_samples_whatever_the_batches() -> None:
    model = digits_model()
    whole = model.evaluate(DATA, batch_size=90)
    parts = model.evaluate(DATA, batch_size=40)
    assert whole.keys() == parts.keys() == {"loss", "accuracy"}
    assert parts["loss"] == pytest.approx(whole["loss"], rel=1e-6)
    assert parts["accuracy"] == pytest.approx(whole["accuracy"], rel=1e-6)


def test_evaluation_and_prediction_change_nothing_and_repeat() -> None:
    model = digits_model()
    before = states_of(model)
    images = {"image": DATA["image"]}
    assert model.evaluate(DATA) == model.evaluate(DATA)
    assert same_bits(model.predict(images)["logits"], model.predict(images)["logits"])
    assert all(same_bits(value, before[name]) for name, value in states_of(model).items())


def test_predictions_do_not_depend_on_the_batches() -> None:
    model = digits_model()
    images = {"image": DATA["image"]}
    whole = model.predict(images)["logits"]
    assert whole.shape == (90, 10)
    for size in (1, 7, 90, 200):
        assert same_bits(model.predict(images, batch_size=size)["logits"], whole)


def test_predictions_for_no_samples_have_no_rows() -> None:
    assert digits_model().predict({"image": DATA["image"][:0]})["logits"].shape == (0, 10)


def test_rows_of_several_axes_of_samples_are_joined() -> None:
    steps = gc.input("steps", shape=("batch", 3))
    slope = gc.parameter((), initializer=2.0, name="slope")
    model = gc.compile((slope * steps).sum(), optimizers.SGD(1.0), outputs={"flat": (slope * steps).reshape(-1)})
    found = model.predict({"steps": np.arange(12.0).reshape(4, 3)}, batch_size=3)["flat"]
    assert found.tolist() == [2.0 * number for number in range(12)]


@pytest.mark.parametrize(
    ("output", "got"),
    [
        (lambda x, slope: (slope * x).sum(), "f32[]"),
        (lambda x, slope: slope.reshape(1), "f32[1]"),
        (lambda x, slope: (slope * x).sum(axis=0), "f32[time]"),
        (lambda x, slope: x.T, "f32[time, batch]"),
    ],
    ids=["scalar", "fixed", "reduced", "transposed"],
)
def test_an_output_without_an_axis_of_samples_is_refused_when_compiled(
    output: Callable[[gc.Tensor, gc.Tensor], gc.Tensor], got: str
) -> None:
    x, slope = gc.input("x", shape=("batch", "time")), gc.parameter((), initializer=2.0, name="slope")
    shown = {"x": x, "extra": output(x, slope)}
    with pytest.raises(DeclarationError, match="output 'extra' has no first axis that counts samples") as caught:
        gc.compile((slope * x).sum(), optimizers.SGD(1.0), outputs=shown)
    text = str(caught.value)
    assert "    gc.compile((slope * x).sum(), optimizers.SGD(1.0), outputs=shown)\n" in text
    assert f"  output     {got}  " in text
    assert f"  expected   a first axis of size batch\n  got        {got}\n" in text
    assert "  way out    make it a metric if it is a scalar, or compute it with gc.function" in text


def test_evaluation_of_no_samples_is_refused() -> None:
    with pytest.raises(FeedError, match="there are no samples to evaluate on") as caught:
        digits_model().evaluate({name: column[:0] for name, column in SMALL.items()})
    assert "digits_model().evaluate(" in str(caught.value.at)
    assert caught.value.expected == "at least one sample along the first axis"
    assert caught.value.got == "label: [0], image: [0, 8, 8]"


def test_the_metric_is_the_fraction_of_right_predictions() -> None:
    model = digits_model()
    guesses = model.predict({"image": DATA["image"]})["logits"].argmax(1)
    assert model.evaluate(DATA)["accuracy"] == pytest.approx(float((guesses == DATA["label"]).mean()), abs=1e-6)


def test_an_sgd_step_follows_the_gradient() -> None:
    x, slope = line()
    model = gc.compile(((slope * x) ** 2).mean(), optimizers.SGD(0.1))
    assert model.step({"x": [1.0, 3.0]}) == {"loss": 20.0}
    assert slope.value == pytest.approx(2.0 - 0.1 * 20.0)


def test_a_parameter_is_read_and_set_between_steps() -> None:
    x, slope = line()
    model = gc.compile((slope * x).sum(), optimizers.SGD(1.0))
    assert slope.value == 2.0
    slope.value = 5.0
    assert model.evaluate({"x": [1.0, 1.0]}, batch_size=1)["loss"] == 5.0
    assert model.step({"x": [3.0]})["loss"] == 15.0
    assert slope.value == 2.0


def test_models_share_parameters_but_not_steps_and_seeds() -> None:
    x, slope = line()
    first = gc.compile((slope * x).sum(), optimizers.SGD(1.0), seed=1)
    second = gc.compile((slope * x).sum(), optimizers.SGD(1.0), seed=2)
    first.step({"x": [1.0]})
    assert second.step({"x": [1.0]})["loss"] == 1.0
    assert [int(model.cells["step"].array) for model in (first, second)] == [1, 1]
    assert [int(model.cells["seed"].array) for model in (first, second)] == [1, 2]


def test_the_bits_do_not_depend_on_fusion() -> None:
    image, label = gc.input("image", shape=("batch", 8, 8)), gc.input("label", shape=("batch",), dtype="int64")
    found = []
    for fuse in (True, False):
        network = layers.Sequential([layers.Flatten(), layers.Dense(12, "relu"), layers.Dense(10)], name="plain")
        loss = losses.softmax_cross_entropy(network(image), label)
        model = gc.compile(loss, optimizers.Momentum(0.1), fuse=fuse)
        model.fit(DATA, epochs=2)
        found.append(states_of(model))
    assert all(same_bits(value, found[1][name]) for name, value in found[0].items())


def test_labels_out_of_range_are_refused_in_every_mode() -> None:
    model = digits_model()
    wrong = {**SMALL, "label": SMALL["label"] - 10}
    for use in (model.step, model.evaluate, model.fit):
        with pytest.raises(FeedError, match="input 'label': 6 of 6 integers are out of range"):
            use(wrong)


def test_prediction_wants_only_the_inputs_that_it_needs() -> None:
    with pytest.raises(FeedError, match="there is no input 'label'"):
        digits_model().predict(DATA)


def test_a_model_without_outputs_says_how_to_predict() -> None:
    x, slope = line()
    model = gc.compile((slope * x).sum(), optimizers.SGD(1.0))
    with pytest.raises(DeclarationError, match="the model has no outputs to predict") as caught:
        model.predict({"x": [1.0]})
    assert caught.value.way_out == 'give gc.compile outputs={"logits": logits}'
    assert 'model.predict({"x": [1.0]})' in str(caught.value.at)


def test_a_loss_that_is_no_float_scalar_is_refused() -> None:
    x, slope = line()
    with pytest.raises(GradientError, match="a loss is a float scalar") as caught:
        gc.compile(slope * x, optimizers.SGD(1.0))
    assert (caught.value.expected, caught.value.way_out) == ("f32[] or f64[]", "take the sum or the mean")
    assert "f32[batch]" in str(caught.value)
    assert "gc.compile(slope * x, optimizers.SGD(1.0))" in str(caught.value)
    with pytest.raises(GradientError, match="a loss is a float scalar"):
        gc.compile(gc.input("whole", shape=(), dtype="int64"), optimizers.SGD(1.0))


def test_a_loss_without_parameters_is_refused() -> None:
    with pytest.raises(GradientError, match="the loss depends on no trainable parameter") as caught:
        gc.compile(gc.input("x", shape=("batch",)).sum(), optimizers.SGD(1.0))
    assert caught.value.way_out == "declare parameters with layers or gc.parameter"


def test_a_parameter_that_no_gradient_reaches_is_refused() -> None:
    x, slope = line()
    cut = gc.parameter((), name="cut")
    with pytest.raises(GradientError, match="no gradient reaches parameter 'cut'") as caught:
        gc.compile((slope * x).sum() + gc.stop_gradient(cut), optimizers.SGD(1.0))
    assert 'cut = gc.parameter((), name="cut")' in str(caught.value)
    assert "stop_gradient" in str(caught.value.way_out)


def test_a_name_cannot_be_a_metric_and_an_output() -> None:
    x, slope = line()
    with pytest.raises(DeclarationError, match="'loss' is both a metric and an output"):
        gc.compile((slope * x).sum(), optimizers.SGD(1.0), outputs={"loss": x})


@pytest.mark.parametrize("kind", ["metrics", "outputs"])
def test_a_name_that_the_text_form_cannot_print_is_refused(kind: str) -> None:
    x, slope = line()
    named = {"log of exp": slope * x if kind == "outputs" else slope * slope}
    with pytest.raises(DeclarationError, match="an output cannot be called 'log of exp'") as caught:
        gc.compile(
            (slope * x).sum(),
            optimizers.SGD(1.0),
            metrics=named if kind == "metrics" else None,
            outputs=named if kind == "outputs" else None,
        )
    assert "test_model.py" in str(caught.value.at)


@pytest.mark.parametrize("size", [0, -1, 1.5, None], ids=str)
def test_batches_of_no_samples_are_refused(size: Any) -> None:
    x, slope = line()
    model = gc.compile((slope * x).sum(), optimizers.SGD(1.0), outputs={"y": slope * x})
    for use in (model.evaluate, model.predict):
        with pytest.raises(DeclarationError) as caught:
            use({"x": [1.0, 2.0]}, batch_size=size)
        assert caught.value.what == f"{use.__name__} needs a batch_size of at least 1"
        assert (caught.value.expected, caught.value.got) == (
            "batch_size: a positive integer",
            f"batch_size={size!r}",
        )
        assert "test_model.py" in str(caught.value.at)


def test_a_metric_is_a_scalar() -> None:
    x, slope = line()
    with pytest.raises(DeclarationError, match="metric 'all' is no scalar") as caught:
        gc.compile((slope * x).sum(), optimizers.SGD(1.0), metrics={"all": slope * x})
    text = str(caught.value)
    assert "\n  metric     f32[batch]  result of multiply, declared at " in text
    assert "expected   one number for a batch, such as f32[]\n  got        f32[batch]" in text
    assert "way out    take the mean, or give it to gc.compile as one of the outputs" in text


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(DeclarationError, match="there is no mode 'serve'") as caught:
        digits_model().source("serve")
    assert caught.value.expected == "train, evaluate or predict"


def test_the_report_counts_memory_and_operations_of_each_kernel() -> None:
    model = digits_model()
    before = states_of(model)
    report = model.report(SMALL, timed=False)
    assert report.startswith("digits: one training step, batch = 6, 2 threads\n")
    assert "  parameters  1,210 numbers\n" in report
    assert f"  states      {sum(value.nbytes for value in before.values()):,} bytes with the optimizer's\n" in report
    assert f"  arena       {model.executable().memory({'batch': 6}):,} bytes = " in report
    assert "*batch\n" in report
    calls = model.executable().program.calls
    assert f"  kernels     {len(calls)} calls of " in report
    rows = report.partition("bytes\n")[2].splitlines()[-len(calls) :]
    assert [row.split()[1] for row in rows] == [call.kernel.name for call in calls]
    matmul = next(row for row in rows if row.split()[1] == "matmul_kernel")
    assert matmul.split()[2] == f"{2 * 6 * 16 * 10:,}"  # the last layer: the first one goes on with bias and relu
    assert not any(word in report for word in (" us ", "share", "GFLOP/s", "GB/s", "roofline", "peaks"))


def test_the_timed_report_compares_each_kernel_with_the_machine() -> None:
    model = digits_model()
    lines = model.report(SMALL).splitlines()
    assert f"  peaks       {peaks_of(2)}" in lines
    title = next(number for number, line in enumerate(lines) if line.startswith("   #  kernel"))
    assert lines[title].split()[2:] == ["operations", "bytes", "us", "share", "GFLOP/s", "GB/s", "roofline"]
    calls = model.executable().program.calls
    rows = lines[title + 1 : title + 1 + len(calls)]
    assert {len(row) for row in rows} == {len(lines[title])}
    shares = []
    for row, call in zip(rows, calls, strict=True):
        number, name, operations, moved, microseconds, share, compute, bandwidth, roofline = row.split()
        assert name == call.kernel.name
        time = float(microseconds)
        for count, rate in ((operations, float(compute)), (moved, float(bandwidth))):
            rounding = 5.1 * (time + rate) + 0.1
            assert int(count.replace(",", "")) == pytest.approx(rate * time * 1e3, abs=rounding), number
        assert float(roofline.removesuffix("%")) >= 0.0
        shares.append(float(share.removesuffix("%")))
    assert sum(shares) == pytest.approx(100.0, abs=0.05 * len(rows))
    assert lines[-1].split()[:4] == ["sum", "of", "the", "kernels"]


def test_a_kernel_without_floats_is_in_the_report_too() -> None:
    count = gc.input("count", shape=("batch",), dtype="int64")
    x, slope = line()
    model = gc.compile((slope * x).sum(), optimizers.SGD(1.0), metrics={"largest": gc.max(count)})
    assert "roofline" in model.report({"x": [1.0, 2.0], "count": [3, 4]})


def test_measuring_leaves_the_states_as_they_were() -> None:
    model = digits_model()
    before = states_of(model)
    report = model.report(batch=5)
    assert "batch = 5" in report
    assert "share" in report
    assert "sum of the kernels" in report
    assert all(same_bits(value, before[name]) for name, value in states_of(model).items())


def test_the_source_shows_each_kernel_with_the_users_lines() -> None:
    model = digits_model()
    source = model.source()
    calls = model.executable().program.calls
    assert source.startswith(f"# digits, train: {len(calls)} kernel calls")
    compile(source, "kernels.py", "exec")
    for number, call in enumerate(calls, 1):
        assert f"# call {number}: " in source
        assert f"def {call.kernel.name}(" in source
    assert re.search(r"^#   %\d+ = dot_general.* f32\[batch, 16\].*    networks.py:\d+$", source, re.MULTILINE)
    assert model.source() == source
    assert model.source("predict").startswith("# digits, predict: ")
    assert "adam" not in model.source("predict").lower()


def test_dropout_is_in_the_training_program_alone() -> None:
    model = digits_model()
    assert "uniform" in model.source("train")
    assert "uniform" not in model.source("evaluate")


def test_the_graph_after_each_pass_is_dumped(tmp_path: Path) -> None:
    x, slope = line()
    gc.compile((slope * x).sum(), optimizers.SGD(1.0), dump=tmp_path).step({"x": [1.0]})
    dumped = sorted(tmp_path.rglob("*"))
    texts = [path.read_text("utf-8") for path in dumped if path.is_file()]
    assert texts
    assert all("slope" in text for text in texts)


def test_check_compares_every_pass_and_the_kernels_and_changes_nothing() -> None:
    model = digits_model()
    before = states_of(model)
    lines = model.check(SMALL)
    assert lines[-1] == (
        f"kernels             same outputs and 13 updates in {len(model.executable().program.calls)} calls"
    )
    assert all(row.startswith("pass ") and "same values" in row for row in lines[:-1])
    assert len(lines) > 3
    assert all(same_bits(value, before[name]) for name, value in states_of(model).items())


def test_check_names_the_output_that_the_kernels_get_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    x, slope = line()
    model = gc.compile((slope * x).sum(), optimizers.SGD(1.0))
    run = model.executable().run

    def wrong(inputs: Mapping[str, Array], sizes: Mapping[str, int]) -> dict[str, Array]:
        return {name: value + 1 for name, value in run(inputs, sizes).items()}

    monkeypatch.setattr(model.executable(), "run", wrong)
    with pytest.raises(VerificationError) as caught:
        model.check({"x": [1.0]})
    assert caught.value.what == "the kernels compute another output 'loss' than the reference interpreter"
    assert "up to 1" in str(caught.value)
    assert slope.value == 2.0


def test_the_state_of_the_optimizer_starts_at_zero() -> None:
    x, slope = line()
    model = gc.compile((slope * x).sum(), optimizers.Momentum(1.0, momentum=0.5))
    values = [float(slope.value)]
    for _ in range(3):
        model.step({"x": [1.0]})
        values.append(float(slope.value))
    assert np.diff(values).tolist() == [-1.0, -1.5, -1.75]
