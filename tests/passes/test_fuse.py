from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import graphc as gc
from graphc import optimizers
from graphc.errors import FeedError
from graphc.passes.fuse import Fuse, Fusion
from graphc.passes.lower import KernelCall
from tests.harness import same_bits
from tests.passes.building import kernel_names, optimised, program_of, training_program

X, Y = gc.input("x", shape=("batch", 8)), gc.input("y", shape=("batch", 8))
UNFUSED = Fuse(enabled=False)


def group_kinds(fusion: Fusion) -> list[str]:
    return [group.kind for group in fusion.groups]


def arguments(call: KernelCall) -> list[str]:
    return [str(storage) for storage in call.arguments]


def written(call: KernelCall) -> set[str]:
    buffers = zip(call.arguments, call.kernel.buffers, strict=True)
    return {str(storage) for storage, buffer in buffers if buffer.written}


def test_a_chain_of_elementwise_ops_is_one_kernel_without_temporaries() -> None:
    program = program_of({"z": gc.exp(gc.sin(X) * 2.0 + Y) - X})
    assert kernel_names(program) == ["multiply_add_exp_subtract"]
    assert arguments(program.calls[0]) == ["input x", "input y", "output z"]


def test_without_fusion_every_op_has_a_kernel_of_its_own() -> None:
    program = program_of({"z": gc.exp(gc.sin(X) * 2.0 + Y) - X}, fuse=UNFUSED)
    assert kernel_names(program) == ["sin", "multiply", "add", "exp", "subtract"]


def test_movement_between_elementwise_ops_costs_no_kernel() -> None:
    moved = gc.broadcast_to(gc.exp(X[:, ::-1]).T[1:3, None, :] * 2.0, (2, 5, X.shape[0]))
    assert kernel_names(program_of({"z": moved + 1.0})) == ["exp_multiply_add"]


def test_padding_of_outer_axes_costs_no_kernel() -> None:
    x = gc.input("x", shape=("batch", 3, 10))
    apart = gc.grad(gc.sum(x[:, 1::2] * x[:, 1::2] * x[:, 1::2]), wrt=x)
    program = program_of({"z": gc.pad(gc.exp(x), [(0, 0), (1, 2), (0, 0)], -1.0) * 2.0, "apart": apart + x})
    assert all(call.kernel.name != "pad_kernel" for call in program.calls)
    assert len(program.calls) == 2
    data = np.random.default_rng(0).normal(size=(5, 3, 10)).astype(np.float32)
    outputs = [gc.pad(gc.exp(x), [(0, 0), (1, 2), (0, 0)], -1.0) * 2.0, apart + x]
    fused, plain = (gc.function([x], outputs, fuse=fuse)(data) for fuse in (True, False))
    assert isinstance(fused, list)
    assert isinstance(plain, list)
    for one, other, expected in zip(fused, plain, gc.evaluate(outputs, {"x": data}), strict=True):
        assert same_bits(one, other)
        np.testing.assert_allclose(one, expected, 1e-6)


def test_padding_of_the_innermost_axis_is_put_in_memory() -> None:
    x = gc.input("x", shape=("batch", 10))
    assert kernel_names(program_of({"z": gc.pad(x, [(0, 0), (1, 0)]) * 2.0})) == ["pad", "pad", "multiply"]


def test_a_cheap_value_with_two_readers_is_computed_twice() -> None:
    product = X * Y
    graph = optimised({"sum": gc.sum(product), "turned": gc.sin(product).T})
    fusion = Fuse()(graph)
    assert group_kinds(fusion) == ["fold", "map"]
    assert fusion.stored == {graph.output("sum"), graph.output("turned")}


def test_a_dear_value_with_two_readers_is_stored_by_the_first() -> None:
    dear = gc.tanh(gc.exp(X * Y))
    graph = optimised({"sum": gc.sum(dear, axis=1), "turned": gc.sin(dear).T})
    (between,) = Fuse()(graph).stored - {graph.output("sum"), graph.output("turned")}
    assert between is dear.node
    program = program_of({"sum": gc.sum(dear, axis=1), "turned": gc.sin(dear).T})
    assert kernel_names(program) == ["multiply_exp_tanh_sum", "sin"]
    assert arguments(program.calls[0]) == ["input y", "input x", "temporary t0", "output sum"]


@pytest.mark.parametrize(("recompute", "stored"), [(0, 1), (1000, 0)])
def test_how_dear_is_too_dear_can_be_set(recompute: int, stored: int) -> None:
    value = gc.exp(X * Y)
    graph = optimised({"sum": gc.sum(value, axis=1), "turned": value.T * 2.0})
    assert len(Fuse(recompute=recompute)(graph).stored) == 2 + stored


def test_elementwise_work_before_and_after_a_reduction_shares_its_kernel() -> None:
    program = program_of({"norm": gc.sqrt(gc.sum(X * X, axis=1)) * 2.0 + 1.0})
    assert kernel_names(program) == ["sum_sqrt_multiply_add"]
    assert arguments(program.calls[0]) == ["input x", "output norm"]


def test_reductions_of_one_space_share_a_kernel_and_others_do_not() -> None:
    shared = program_of({"a": gc.sum(X * X, axis=1), "b": gc.max(X + Y, axis=1)})
    assert len(shared.calls) == 1
    apart = program_of({"a": gc.sum(X * X, axis=1), "b": gc.sum(X * Y, axis=0)})
    assert len(apart.calls) == 2


def test_what_two_reductions_of_different_spaces_meet_in_gets_them_stored() -> None:
    both = gc.sum(X * X, axis=1) + gc.sum(X * Y, axis=0)[0]
    assert kernel_names(program_of({"z": both})) == ["multiply_sum", "multiply_sum_add"]


def test_softmax_is_three_kernels() -> None:
    assert kernel_names(program_of({"p": gc.softmax(X, axis=1)})) == ["max", "subtract_exp_sum", "divide"]


def test_values_over_one_shape_share_a_kernel_if_they_share_an_operand() -> None:
    assert len(program_of({"a": gc.sin(X), "b": gc.exp(X * 2.0)}).calls) == 1
    assert len(program_of({"a": gc.sin(X), "b": gc.exp(Y)}).calls) == 2


def test_values_do_not_share_a_kernel_if_another_must_run_in_between() -> None:
    first = gc.tanh(gc.exp(X))
    between = gc.sum(first)
    program = program_of({"first": first, "between": between, "last": first * between})
    assert [kernel_names(program)[-1], len(program.calls)] == ["multiply", 2]


def test_a_kernel_computes_at_most_the_largest_number_of_nodes() -> None:
    value = X
    for _ in range(30):
        value = gc.sin(value) + 1.0
    assert len(program_of({"z": value}).calls) == 1
    assert len(program_of({"z": value}, fuse=Fuse(largest=20)).calls) > 2


def test_a_value_computed_from_very_many_stored_ones_is_computed_in_parts() -> None:
    x = gc.input("x", shape=(3,))
    rows = [gc.pad(x * float(number), [(number, 0)])[:3] for number in range(80)]
    total = sum(rows[1:], start=rows[0])
    feed = np.array([1.0, -2.0, 0.5], np.float32)
    assert max(len(call.arguments) for call in program_of({"total": total}).calls) <= 34
    found = gc.function([x], total)(feed)
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(found, gc.evaluate(total, {"x": feed}), 1e-6)


def test_random_numbers_that_two_kernels_need_are_computed_once() -> None:
    noise = gc.random.uniform((40, 8), name="noise")
    program = program_of({"rows": gc.sum(noise, axis=1), "columns": gc.sum(noise, axis=0)})
    readers = [call for call in program.calls if "state seed" in arguments(call)]
    assert len(readers) == 1


def test_an_operand_of_a_contraction_lies_in_memory() -> None:
    program = program_of({"z": gc.exp(gc.sin(X) @ gc.input("w", shape=(8, 3)))})
    assert kernel_names(program) == ["sin", "matmul_exp"]


def test_updates_of_one_parameter_and_its_moments_share_a_kernel() -> None:
    program = training_program(optimizers.Adam())
    updating = [call for call in program.calls if "state mlp/dense/weight/moment1" in arguments(call)]
    (call,) = updating
    written = [
        storage.name for storage, buffer in zip(call.arguments, call.kernel.buffers, strict=True) if buffer.written
    ]
    assert written == ["mlp/dense/weight/moment1", "mlp/dense/weight/moment2", "mlp/dense/weight"]


def test_updates_of_parameters_of_one_shape_share_a_kernel() -> None:
    x = gc.input("x", shape=("batch", 4))
    first, second = (gc.parameter((4,), "ones", name=name) for name in ("first", "second"))
    model = gc.compile(gc.sum(gc.tanh(x * first) * second), optimizers.SGD(0.1), name="twins")
    calls = model.executable("train").program.calls
    (update,) = [call for call in calls if {"state first", "state second"} & written(call)]
    assert {"state first", "state second"} <= written(update)


@pytest.mark.parametrize(
    ("optimizer", "most"), [(optimizers.SGD(0.1), 14), (optimizers.Momentum(0.1), 16), (optimizers.Adam(), 16)]
)
def test_training_step_of_a_perceptron_has_few_kernels(optimizer: optimizers.Optimizer, most: int) -> None:
    # Five matrix products, one transposition, the loss in five kernels, its check, the rest the layers and updates.
    fused, plain = training_program(optimizer), training_program(optimizer, UNFUSED)
    assert len(fused.calls) <= most
    assert len(plain.calls) > 2 * len(fused.calls)


def test_products_are_finished_before_they_are_stored() -> None:
    weight, bias = gc.parameter((8, 5), name="weight"), gc.parameter((5,), "ones", name="bias")
    program = program_of({"z": gc.relu(X @ weight + bias)})
    assert kernel_names(program) == ["matmul_add_less_equal_select"]
    assert arguments(program.calls[0]) == ["state bias", "input x", "state weight", "output z"]


def test_an_update_in_place_finishes_the_product_that_is_its_gradient() -> None:
    weight = gc.parameter((8, 8), name="weight")
    program = program_of({}, {weight: weight - 0.1 * (X.T @ Y)})
    assert kernel_names(program) == ["matmul_multiply_subtract"]
    assert arguments(program.calls[0]) == ["input x", "input y", "state weight"]


def test_the_update_of_a_weight_that_no_cache_holds_stays_apart() -> None:
    x, y = gc.input("x", shape=("batch", 1024)), gc.input("y", shape=("batch", 512))
    weight = gc.parameter((1024, 512), name="weight")
    program = program_of({}, {weight: weight - 0.1 * (x.T @ y)})
    assert kernel_names(program) == ["matmul", "multiply_subtract"]


def test_a_weight_that_a_product_reads_is_not_overwritten_by_it() -> None:
    weight = gc.parameter((8, 8), "ones", name="weight")
    step = gc.function([], [], {weight: weight - 0.5 * (weight @ weight)})
    step()
    np.testing.assert_array_equal(weight.value, np.full((8, 8), 1.0 - 0.5 * 8.0, np.float32))


@pytest.mark.parametrize("dear", [gc.erf, lambda x: x * gc.random.uniform(x.shape)])
def test_what_is_dear_does_not_finish_a_product(dear: Callable[[gc.Tensor], gc.Tensor]) -> None:
    program = program_of({"z": dear(X @ gc.parameter((8, 5), name="weight"))})
    assert kernel_names(program)[0] == "matmul"
    assert len(program.calls) == 2


def test_fusion_does_not_change_a_bit() -> None:
    outputs = [gc.softmax(X * Y, axis=1), gc.sum(gc.tanh(X) * Y, axis=0), gc.mean(gc.exp(X))]
    rng = np.random.default_rng(0)
    data = rng.normal(size=(2, 37, 8)).astype(np.float32)
    fused = gc.function([X, Y], outputs)(*data)
    plain = gc.function([X, Y], outputs, fuse=False)(*data)
    assert isinstance(fused, list)
    assert isinstance(plain, list)
    assert all(same_bits(one, other) for one, other in zip(fused, plain, strict=True))


def test_a_fused_graph_lists_checks_first_and_every_root_once() -> None:
    label = gc.input("label", shape=("batch",), dtype="int64")
    hot = gc.one_hot(gc.check_range(label, 0, 8), 8) * X
    graph = optimised({"a": hot, "b": gc.sum(hot)})
    fusion = Fuse()(graph)
    assert fusion.groups[0].kind == "check"
    roots = [root for group in fusion.groups if group.kind != "check" for root in group.roots]
    assert len(roots) == len(set(roots))
    assert set(roots) == fusion.stored


def test_positions_whose_axes_are_merged_lie_in_memory() -> None:
    line = gc.input("line", shape=("batch",), dtype="int64")
    merged = gc.iota((3, *line.shape), 0).reshape(-1) + gc.concatenate([line] * 3)
    found = gc.function([line], merged)(np.array([10, 20]))
    np.testing.assert_array_equal(np.asarray(found), [10, 20, 11, 21, 12, 22])


def test_a_reduction_that_is_checked_is_stored_for_the_check_to_read() -> None:
    index = gc.input("index", shape=("n", 3), dtype="int64")
    for total in (index.sum(axis=1), index.sum(axis=1) + 1, gc.cumsum(index)[:, 0]):
        function = gc.function([index], gc.check_range(total, 0, 9) * 2)
        assert np.asarray(function([[1, 2, 3]])).tolist() == [2 * int(gc.evaluate(total, {"index": [[1, 2, 3]]})[0])]
        with pytest.raises(FeedError, match="a computed integer is out of range"):
            function([[9, 9, 9]])
