"""Loops with state: values, derivatives, forms, errors, and the program that they become."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from graphc.errors import DeclarationError, FeedError, ShapeError
from graphc.ops.scan import Scan
from graphc.scalar import Array
from graphc.text import parse, print_graph
from tests.harness import same_bits

SHAPES = {"x": (6, 3, 4), "kernel": (4, 5), "recurrent": (5, 5), "bias": (5,), "first": (3, 5)}
TIME = 6


def numbers(shape: tuple[int, ...], seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


INPUTS = {name: gc.input(name, shape, "float64") for name, shape in SHAPES.items()}
FEED = {name: numbers(shape, seed) for seed, (name, shape) in enumerate(SHAPES.items())}


def step(hidden: gc.Tensor, now: gc.Tensor) -> tuple[gc.Tensor, gc.Tensor]:
    after = gc.tanh(now @ INPUTS["kernel"] + hidden @ INPUTS["recurrent"] + INPUTS["bias"])
    return after, after * 2.0


def rolled(reverse: bool = False, checkpoint: int | None = None) -> gc.Tensor:
    """A loss of a loop's last state and values."""
    last, values = gc.scan(step, INPUTS["first"], INPUTS["x"], reverse=reverse, checkpoint=checkpoint)
    assert isinstance(last, gc.Tensor)
    assert isinstance(values, gc.Tensor)
    return gc.sum(values * values * values) + gc.sum(last)


def unrolled(reverse: bool = False) -> gc.Tensor:
    hidden, loss = INPUTS["first"], gc.cast(gc.constant(0.0), "float64")
    for time in reversed(range(TIME)) if reverse else range(TIME):
        hidden, value = step(hidden, INPUTS["x"][time])
        loss = loss + gc.sum(value * value * value)
    return loss + gc.sum(hidden)


def derivatives(loss: gc.Tensor) -> dict[str, gc.Tensor]:
    slopes = gc.grad(loss, list(INPUTS.values()))
    assert isinstance(slopes, list)
    return dict(zip(INPUTS, slopes, strict=True))


def second_derivatives(loss: gc.Tensor) -> dict[str, gc.Tensor]:
    first, *others = (gc.sum(slope * slope) for slope in derivatives(loss).values())
    return derivatives(sum(others, first))


def values_of(outputs: dict[str, gc.Tensor], threads: int | None = None) -> dict[str, Array]:
    found = gc.function(list(INPUTS.values()), outputs, threads=threads)(**FEED)
    assert isinstance(found, dict)
    return found


def evaluated(outputs: dict[str, gc.Tensor]) -> dict[str, Array]:
    return dict(zip(outputs, gc.evaluate(list(outputs.values()), FEED), strict=True))


def assert_close(found: dict[str, Array], expected: dict[str, Array]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, 1e-11, 1e-11 * float(np.abs(value).max()), err_msg=name)


@pytest.mark.parametrize("checkpoint", [None, 1, 2, 6])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_loop_has_the_values_and_derivatives_of_its_rounds(reverse: bool, checkpoint: int | None) -> None:
    loss, expected = rolled(reverse, checkpoint), unrolled(reverse)
    outputs = {"loss": loss, **derivatives(loss)}
    wanted = evaluated({"loss": expected, **derivatives(expected)})
    assert_close(evaluated(outputs), wanted)
    assert_close(values_of(outputs), wanted)


@pytest.mark.parametrize("checkpoint", [None, 3])
def test_second_derivatives_of_a_loop(checkpoint: int | None) -> None:
    assert_close(values_of(second_derivatives(rolled(False, checkpoint))), evaluated(second_derivatives(unrolled())))


def test_threads_do_not_change_a_bit_of_a_loop() -> None:
    outputs = derivatives(rolled())
    one, *others = (values_of(outputs, threads) for threads in (1, 2, 3))
    for other in others:
        assert all(same_bits(one[name], other[name]) for name in one)


def test_the_length_does_not_change_the_program() -> None:
    counts = []
    for length in (2, 50):
        x, u = gc.input("x", (length, 2, 3)), gc.parameter((3, 3), "orthogonal", "u")
        _, values = gc.scan(lambda h, now, u=u: (gc.tanh(now + h @ u),) * 2, x[0] * 0.0, x)
        assert isinstance(values, gc.Tensor)
        counts.append(len(gc.compile(gc.mean(values), gc.optimizers.SGD(0.1)).executable().program.calls))
    assert counts[0] == counts[1]


def test_one_program_serves_sequences_of_every_length() -> None:
    x = gc.input("x", ("time", "batch"))
    start = gc.broadcast_to(gc.constant(0.0), ("batch",))
    last, sums = gc.scan(lambda total, now: (total * 0.5 + now, total), start, x)
    assert isinstance(sums, gc.Tensor)
    assert isinstance(last, gc.Tensor)
    slope = gc.grad(gc.sum(sums * sums), x)
    assert isinstance(slope, gc.Tensor)
    function = gc.function([x], {"last": last, "sums": sums, "slope": slope})
    for time, batch in ((3, 2), (1, 4), (7, 1), (3, 2)):
        data = numbers((time, batch)).astype(np.float32)
        found = function(data)
        assert isinstance(found, dict)
        total, before = np.zeros(batch, np.float32), []
        for now in data:
            before.append(total)
            total = total * np.float32(0.5) + now
        np.testing.assert_allclose(found["last"], total, 1e-6)
        np.testing.assert_allclose(found["sums"], before, 1e-6, 1e-6)
        assert found["slope"].shape == data.shape
    with pytest.raises(FeedError, match="a loop of no rounds"):
        function(np.zeros((0, 2), np.float32))


def test_state_sequences_and_values_may_be_nested() -> None:
    x, y = gc.input("x", (4,)), gc.input("y", (4, 2))

    def body(state: dict[str, gc.Tensor], now: tuple[gc.Tensor, gc.Tensor]) -> tuple[object, object]:
        count, total = state["count"], state["total"]
        return {"count": count + 1, "total": total + now[1] * now[0]}, [count, None, (total,)]

    first = {"count": gc.constant(0), "total": gc.constant([0.0, 0.0])}
    last, values = gc.scan(body, first, (x, y))
    assert isinstance(last, dict)
    assert isinstance(values, list)
    assert values[1] is None
    counts, (totals,) = values[0], values[2]
    data = {"x": np.arange(4, dtype=np.float32), "y": np.ones((4, 2), np.float32)}
    found = gc.function([x, y], [last["count"], last["total"], counts, totals])(**data)
    assert isinstance(found, list)
    assert found[0] == 4
    np.testing.assert_array_equal(found[1], [6, 6])
    np.testing.assert_array_equal(found[2], [0, 1, 2, 3])
    np.testing.assert_array_equal(found[3][:, 0], [0, 0, 1, 3])


def test_a_loop_without_sequences_has_a_length() -> None:
    last, powers = gc.scan(lambda x, _: (x * 2.0, x), gc.constant(1.0), length=5)
    assert isinstance(last, gc.Tensor)
    assert isinstance(powers, gc.Tensor)
    np.testing.assert_array_equal(np.asarray(gc.function([], powers)()), [1, 2, 4, 8, 16])
    assert float(gc.evaluate(last)) == 32


def test_what_no_round_changes_is_computed_once() -> None:
    x, u = gc.input("x", (9, 2, 3)), gc.parameter((3, 3), "orthogonal", "u")
    _, values = gc.scan(lambda h, now: (gc.tanh(now + h @ gc.exp(u).T),) * 2, x[0], x)
    assert isinstance(values, gc.Tensor)
    program = gc.compile(gc.mean(values), gc.optimizers.SGD(0.1)).executable().program
    inside = [call.kernel.name for call in program.calls if call.loops]
    assert not any("exp" in name or "transpose" in name for name in inside)
    assert any("exp" in call.kernel.name for call in program.calls if not call.loops)


def test_the_derivative_asks_for_products_and_does_not_repeat_them() -> None:
    program = gc.function(list(INPUTS.values()), derivatives(rolled())).program
    loops = list(dict.fromkeys(call.loops for call in program.calls if call.loops))
    products = [sum("matmul" in call.kernel.name for call in program.calls if call.loops == loop) for loop in loops]
    assert products == [2, 2]


def test_the_text_form_holds_bodies() -> None:
    text = print_graph(gc.graph_of({"slope": derivatives(rolled())["recurrent"]}))
    assert "body=graph body() { %0 = input" in text
    again = parse(text)
    assert print_graph(again) == text
    assert sum(isinstance(node.op, Scan) for node in again.nodes) > 2


def test_unlike_lengths_and_states_are_refused() -> None:
    x, y = gc.input("x", (4, 2)), gc.input("y", (5, 2))
    with pytest.raises(ShapeError, match="different lengths"):
        gc.scan(lambda s, now: (s, None), gc.constant(0.0), (x, y))
    with pytest.raises(ShapeError, match="changes its type") as caught:
        gc.scan(lambda s, now: (s + now, None), gc.constant(0.0), x)
    assert "test_scan.py" in str(caught.value)
    with pytest.raises(DeclarationError, match="another form"):
        gc.scan(lambda s, now: ((s, s), None), gc.constant(0.0), x)
    with pytest.raises(DeclarationError, match="something else than two things"):
        gc.scan(lambda s, now: s, gc.constant(0.0), x)
    with pytest.raises(DeclarationError, match="unknown length"):
        gc.scan(lambda s, now: (s, None), gc.constant(0.0))
    with pytest.raises(ShapeError, match="no axis of time"):
        gc.scan(lambda s, now: (s, None), gc.constant(0.0), gc.constant(1.0))
    with pytest.raises(ShapeError, match="no rounds"):
        gc.scan(lambda s, now: (s, None), gc.constant(0.0), length=0)


def test_pieces_divide_the_length() -> None:
    with pytest.raises(DeclarationError, match="does not divide into pieces"):
        rolled(checkpoint=4)


def test_random_numbers_are_drawn_outside() -> None:
    x = gc.input("x", (4, 2))
    with pytest.raises(DeclarationError, match="draws random numbers inside") as caught:
        gc.scan(lambda s, now: (s + now * gc.random.uniform((2,)), None), x[0], x)
    assert "hand it in as a sequence" in str(caught.value)
    noise = gc.random.uniform((4, 2))
    last, _ = gc.scan(lambda s, now: (s + now[0] * now[1], None), x[0], (x, noise))
    assert isinstance(last, gc.Tensor)


def test_memory_is_proportional_to_the_length() -> None:
    x = gc.input("x", ("time", 4, 8))
    layer = gc.parameter((8, 8), "orthogonal", "layer")
    _, values = gc.scan(lambda h, now: (gc.tanh(now + h @ layer),) * 2, gc.broadcast_to(gc.constant(0.0), (4, 8)), x)
    assert isinstance(values, gc.Tensor)
    executable = gc.compile(gc.mean(values * values), gc.optimizers.SGD(0.1)).executable()
    short, long = (executable.memory({"time": time}) for time in (64, 1024))
    assert 15 < long / short <= 16


def test_a_report_counts_all_rounds() -> None:
    reports = []
    for length in (4, 8):
        x, u = gc.input("x", (length, 2, 3)), gc.parameter((3, 3), "orthogonal", "u")
        _, values = gc.scan(lambda h, now, u=u: (gc.tanh(now + h @ u),) * 2, x[0] * 0.0, x)
        assert isinstance(values, gc.Tensor)
        reports.append(gc.compile(gc.mean(values), gc.optimizers.SGD(0.1)).report(timed=False))
    rows = [next(row for row in report.splitlines() if "tanh" in row) for report in reports]
    assert [row.split("  ")[-1] for row in rows] == ["in 4 rounds", "in 8 rounds"]
    work = [int(row.split()[2].replace(",", "")) for row in rows]
    assert work[1] == 2 * work[0]
