"""Kernels for a GPU: which form a kernel takes, what its grid is, and what is in its source."""

from __future__ import annotations

import ast

import pytest

import graphc as gc
from graphc.dims import evaluate
from graphc.frontend.tensor import Tensor
from graphc.passes.cuda.grid import CudaKernel, Share
from graphc.passes.cuda.kernels import cuda_kernel
from graphc.passes.lower import KernelCall


def calls(*outputs: Tensor, inputs: list[Tensor]) -> tuple[KernelCall, ...]:
    return gc.function(inputs, list(outputs), winograd=False).program.calls


def last(output: Tensor, inputs: list[Tensor], exact: bool = True) -> CudaKernel:
    return cuda_kernel(calls(output, inputs=inputs)[-1], exact)


def values(kernel: CudaKernel, call: KernelCall, **sizes: int) -> list[int]:
    return [evaluate(size, sizes) for size in call.sizes]


def test_a_share_has_as_many_blocks_as_cover_it_and_none_for_nothing() -> None:
    share = Share((3, 5), 4)
    assert share.blocks({}) == 4
    assert Share((0, 5), 4).blocks({}) == 0
    assert Share((), 1).blocks({}) == 1


def test_a_thread_of_a_cheap_map_computes_four_elements_whose_loads_come_first() -> None:
    x = gc.input("x", shape=("n",))
    kernel = last(x * 2.0, [x])
    assert "values = cuda.local.array(4, float32)" in kernel.source.code
    assert kernel.source.code.index("values[l] =") < kernel.source.code.index("out[i] =")
    assert [kernel.blocks([count]) for count in (0, 1, 1024, 1025)] == [0, 1, 1, 2]


def test_a_thread_of_a_costly_map_computes_one_element() -> None:
    x = gc.input("x", shape=("n",))
    kernel = last(gc.exp(x), [x])
    assert "i = cuda.grid(1)" in kernel.source.code
    assert kernel.blocks([257]) == 2


def test_sixteen_threads_reduce_a_row_and_many_blocks_share_rows() -> None:
    x = gc.input("x", shape=("n", 300))
    kernel = last(x.sum(axis=1), [x])
    assert "for j in range(lane, 300, 16):" in kernel.source.code
    assert "total = total + exchange(total, half)" in kernel.source.code
    assert (kernel.threads, kernel.blocks([9])) == (64, 3)


def test_a_block_reduces_a_long_row() -> None:
    x = gc.input("x", shape=("n", 5000))
    kernel = last(x.sum(axis=1), [x])
    assert "for block in range(0, 5000, 65536):" in kernel.source.code
    assert kernel.blocks([9]) == 9


def test_threads_compute_rows_of_tall_columns_together_and_short_ones_alone() -> None:
    x, y = gc.input("x", shape=("n", 40)), gc.input("y", shape=(8, 40))
    tall, short = last(x.sum(axis=0), [x]), last(y.sum(axis=0), [y])
    assert "total_values = cuda.shared.array(512, float32)" in tall.source.code
    assert tall.blocks([1000]) == 2
    assert "shared" not in short.source.code
    assert short.blocks([]) == 1


def test_blocks_of_a_product_cover_its_rows_and_columns() -> None:
    x, w = gc.input("x", shape=("n", 64)), gc.parameter((64, 512), name="w")
    call = calls(x @ w, inputs=[x])[-1]
    kernel = cuda_kernel(call)
    code = kernel.source.code
    assert "left = cuda.shared.array(" in code
    assert "fma(left[" in code
    assert kernel.blocks(values(kernel, call, n=100)) == -(-100 // 16) * -(-512 // 16)


def test_a_large_product_has_large_tiles() -> None:
    x, w = gc.input("x", shape=(4096, 64)), gc.parameter((64, 512), name="w")
    kernel = last(x @ w, [x])
    assert "first_row = block // 8 * 128" in kernel.source.code
    assert kernel.blocks([4096]) == 32 * 8


def test_a_long_sum_with_few_results_is_cut_into_parts_unless_its_order_counts() -> None:
    x, y = gc.input("x", shape=(9000, 20)), gc.input("y", shape=(9000, 24))
    product = gc.transpose(x) @ y
    exact, free = last(product, [x, y]), last(product, [x, y], exact=False)
    assert exact.before is None
    assert exact.scratch == ()
    assert free.before is not None
    assert free.before.scratch == free.scratch
    assert free.source.name.endswith("_sum")
    assert free.before.source.name.endswith("_parts")
    parts = free.scratch[0]
    assert isinstance(parts, int)
    assert 1 < parts <= 32
    assert free.scratch_bytes([20]) == parts * 20 * 24 * 4


def test_a_convolution_takes_depths_apart() -> None:
    x, w = gc.input("x", shape=("n", 8, 8, 3)), gc.parameter((3, 3, 3, 20), name="w")
    code = last(gc.convolution(x, w), [x]).source.code
    assert "quotient(inner, " in code
    assert "rest(inner, " in code


def test_updates_of_an_embedding_are_added_by_a_block_for_each_row_of_it() -> None:
    table, index = gc.parameter((50, 12), name="table"), gc.input("index", shape=("n",), dtype="int64")
    gradient = gc.grad((gc.take(table, index, axis=0) ** 2.0).sum(), table)
    assert isinstance(gradient, Tensor)
    kernel = last(gradient, [index])
    assert "targets = cuda.shared.array(128, int64)" in kernel.source.code
    assert kernel.blocks([1000]) == 50


def test_a_kernel_on_a_side_of_a_choice_looks_at_the_condition_first() -> None:
    x = gc.input("x", shape=("n",))
    y = gc.cond(x.sum() > 0.0, lambda: gc.exp(x), lambda: x - 1.0)
    assert isinstance(y, Tensor)
    guarded = [cuda_kernel(call) for call in calls(y, inputs=[x]) if call.loops]
    assert [kernel.guards for kernel in guarded] == [1, 1]
    assert "if (when0[0] != 0) != (chosen0 != 0):\n        return" in guarded[0].source.code
    assert guarded[0].source.code.splitlines()[0].endswith("when0, chosen0):")


@pytest.mark.parametrize("exact", [True, False])
def test_source_is_python_in_which_every_float_has_a_type(exact: bool) -> None:
    x, w = gc.input("x", shape=("n", 64)), gc.parameter((64, 512), name="w")
    for call in calls(gc.softmax(x @ w), (x * 0.5).sum(), inputs=[x]):
        tree = ast.parse(cuda_kernel(call, exact).source.code)
        typed = {
            id(number)
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float32"
            for number in ast.walk(node)
        }
        floats = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, float)]
        assert all(id(node) in typed for node in floats)
