from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

import graphc as gc
from graphc.errors import DTypeError, GradientError, ShapeError
from graphc.frontend.tensor import Tensor
from graphc.graph import toposort
from graphc.node import apply
from graphc.ops.transcendental import Exp
from graphc.scalar import Array
from graphc.tensor_type import TensorType
from graphc.value import V
from tests.harness import slope

RNG = np.random.default_rng(3)


def derivative(loss: Tensor, wrt: Tensor, stabilise: bool = True) -> Tensor:
    result = gc.grad(loss, wrt, stabilise=stabilise)
    assert isinstance(result, Tensor)
    return result


def value(tensor: Tensor, feed: Mapping[str, object]) -> Array:
    """The value of a tensor from data of which it may need only some."""
    needed = {str(getattr(node.op, "label", "")) for node in gc.graph_of({"y": tensor}).inputs}
    return gc.evaluate(tensor, {name: data for name, data in feed.items() if name in needed})


def vector(name: str, size: int = 3) -> Tensor:
    return gc.input(name, shape=(size,), dtype="float64")


def test_derivatives_over_several_paths_are_summed() -> None:
    x, y = vector("x"), vector("y")
    loss = gc.sum(x * y + gc.sin(x) - gc.exp(x * 0.5))
    a, b = RNG.normal(size=(2, 3))
    np.testing.assert_allclose(
        gc.evaluate(derivative(loss, x), {"x": a, "y": b}), b + np.cos(a) - 0.5 * np.exp(0.5 * a), 1e-12
    )


def test_a_value_used_twice_by_one_op_counts_twice() -> None:
    x = vector("x")
    a = RNG.normal(size=3)
    np.testing.assert_array_equal(gc.evaluate(derivative(gc.sum(x * x), x), {"x": a}), 2 * a)
    np.testing.assert_array_equal(value(derivative(gc.sum(x - x), x), {"x": a}), np.zeros(3))


def test_a_million_million_paths_make_a_small_graph() -> None:
    x = gc.input("x", shape=(), dtype="float64")
    doubled = x
    for _ in range(40):
        doubled = doubled + doubled
    found = derivative(doubled, x)
    assert value(found, {"x": 1.0}) == 2.0**40
    assert len(toposort([found.node])) < 100


def test_a_chain_of_thousands_of_ops_has_a_derivative() -> None:
    x = gc.input("x", shape=(), dtype="float64")
    chain = x
    for _ in range(3000):
        chain = chain * 1.0001
    assert value(derivative(chain, x), {"x": 1.0}) == pytest.approx(1.0001**3000, rel=1e-10)


def test_gradient_of_a_network_is_the_slope_of_its_loss() -> None:
    x = gc.input("x", shape=("batch", 4), dtype="float64")
    w, b = gc.input("w", shape=(4, 3), dtype="float64"), vector("b")
    loss = gc.logsumexp(gc.tanh(x @ w + b), axis=1).mean()
    feed = {"x": RNG.normal(size=(5, 4)), "w": RNG.normal(size=(4, 3)), "b": RNG.normal(size=3)}
    along_w, along_b = RNG.normal(size=(4, 3)), RNG.normal(size=3)
    by_w, by_b = gc.evaluate([derivative(loss, w), derivative(loss, b)], feed)
    assert np.sum(by_w * along_w) == pytest.approx(
        slope(lambda at: float(gc.evaluate(loss, feed | {"w": at})), feed["w"], along_w, 1e-4), rel=1e-9
    )
    assert np.sum(by_b * along_b) == pytest.approx(
        slope(lambda at: float(gc.evaluate(loss, feed | {"b": at})), feed["b"], along_b, 1e-4), rel=1e-9
    )


def test_gradient_of_a_gradient_gives_products_with_the_hessian() -> None:
    data, truth = RNG.normal(size=(20, 3)), RNG.integers(0, 2, 20).astype(np.float64)
    w, v = vector("w"), vector("v")
    score = gc.constant(data) @ w
    loss = gc.sum(gc.softplus(score) - score * truth)
    product = derivative(gc.sum(derivative(loss, w) * v), w)
    at, along = RNG.normal(size=(2, 3))
    p = 1 / (1 + np.exp(-data @ at))
    hessian = data.T @ (data * (p * (1 - p))[:, None])
    np.testing.assert_allclose(gc.evaluate(product, {"w": at, "v": along}), hessian @ along, 1e-11)


def test_third_derivative_of_a_power() -> None:
    x = gc.input("x", shape=(), dtype="float64")
    third = derivative(derivative(derivative(x**5, x), x), x)
    assert gc.evaluate(third, {"x": 2.0}) == pytest.approx(60 * 2.0**2, rel=1e-12)


def test_derivative_by_a_value_in_the_middle() -> None:
    x = vector("x")
    hidden = x * x
    found = derivative(gc.sum(hidden * hidden) + gc.sum(x), hidden)
    np.testing.assert_array_equal(gc.evaluate(found, {"x": [1.0, 2.0, 3.0]}), [2.0, 8.0, 18.0])


def test_a_value_asked_for_survives_stabilisation() -> None:
    x = vector("x")
    probabilities = gc.softmax(x, axis=0)
    found = derivative(-gc.sum(gc.log(probabilities)), probabilities)
    a = RNG.normal(size=3)
    np.testing.assert_allclose(gc.evaluate(found, {"x": a}), -np.exp(a).sum() / np.exp(a), 1e-12)


def test_formulas_are_made_stable_before_they_are_differentiated() -> None:
    x = vector("x")
    loss = -gc.log(gc.softmax(x, axis=0))[1]
    feed = {"x": [1000.0, 0.0, -1000.0]}
    np.testing.assert_array_equal(gc.evaluate(derivative(loss, x), feed), [1.0, -1.0, 0.0])
    assert np.isnan(gc.evaluate(derivative(loss, x, stabilise=False), feed)).any()


def test_one_tensor_gives_one_derivative_and_several_give_a_list() -> None:
    x, y = vector("x"), vector("y")
    found = gc.grad(gc.sum(x * y), wrt=[y, x])
    assert isinstance(found, list)
    assert [each.node for each in found] == [derivative(gc.sum(x * y), y).node, derivative(gc.sum(x * y), x).node]


def test_upstream_is_the_derivative_of_what_follows() -> None:
    x = vector("x")
    found = gc.grad(x**2, x, upstream=np.array([1.0, 10.0, 0.0]))
    assert isinstance(found, Tensor)
    np.testing.assert_allclose(gc.evaluate(found, {"x": [1.0, 2.0, 3.0]}), [2.0, 40.0, 0.0])


def test_upstream_of_a_wrong_shape_is_refused() -> None:
    x = vector("x")
    with pytest.raises(ShapeError) as caught:
        gc.grad(x * x, x, upstream=np.ones(4))
    text = str(caught.value)
    assert text.startswith("upstream does not fit the loss\n")
    assert "test_autodiff.py" in text
    assert "expected   f64[3]\n  got        f64[4]" in text


def test_a_tensor_the_loss_does_not_depend_on_is_refused_or_gets_zeros() -> None:
    x, other = vector("x"), vector("other", 4)
    loss = gc.sum(x)
    with pytest.raises(GradientError) as caught:
        gc.grad(loss, wrt=[x, other])
    text = str(caught.value)
    assert text.startswith("the loss does not depend on this tensor\n  at         ")
    assert "gc.grad(loss, wrt=[x, other])" in text
    assert "loss       f64[]  result of reduce_sum, declared at" in text
    assert "wrt        f64[4]  input 'other', declared at" in text
    assert text.endswith('way out    ask for zeros instead with unused="zeros"')
    zeros = gc.grad(loss, wrt=other, unused="zeros")
    assert isinstance(zeros, Tensor)
    np.testing.assert_array_equal(gc.evaluate(zeros), np.zeros(4))


def test_an_unknown_choice_for_unused_is_refused() -> None:
    x = vector("x")
    with pytest.raises(GradientError, match=r"unused='zero'\n(.|\n)*expected   \"error\" or \"zeros\""):
        gc.grad(gc.sum(x), x, unused="zero")


def test_a_loss_that_is_no_scalar_is_refused() -> None:
    x = vector("x")
    with pytest.raises(GradientError) as caught:
        gc.grad(gc.exp(x), x)
    text = str(caught.value)
    assert text.startswith("the loss is no scalar\n  at         ")
    assert "loss       f64[3]  result of exp, declared at" in text
    assert "expected   a scalar, f32[] or f64[]\n  got        f64[3]\n  way out    take its sum or mean" in text


def test_integers_have_no_derivatives() -> None:
    x, label = vector("x"), gc.input("label", shape=(3,), dtype="int64")
    with pytest.raises(DTypeError) as caught:
        gc.grad(gc.sum(x * label), label)
    text = str(caught.value)
    assert text.startswith("only floats have derivatives\n")
    assert "wrt        i64[3]  input 'label', declared at" in text
    assert text.endswith("expected   float tensors in wrt\n  got        i64[3]")
    with pytest.raises(DTypeError, match=r"only floats have derivatives\n(.|\n)*expected   a float loss"):
        gc.grad(gc.sum(label), x)


def test_no_derivative_flows_behind_stop_gradient() -> None:
    x = vector("x")
    loss = gc.sum(x * gc.stop_gradient(x * x))
    a = RNG.normal(size=3)
    np.testing.assert_allclose(gc.evaluate(derivative(loss, x), {"x": a}), a * a, 1e-15)
    with pytest.raises(GradientError, match="does not depend on this tensor"):
        gc.grad(gc.sum(gc.stop_gradient(x)), x)


def test_no_derivative_flows_through_comparisons_and_integers() -> None:
    x = vector("x")
    for blocked in (gc.sum((x > 0.5).cast("float64")), gc.sum(x.cast("int64").cast("float64"))):
        with pytest.raises(GradientError, match="does not depend on this tensor"):
            gc.grad(blocked, x)


def test_derivatives_at_ties_and_kinks_are_as_documented() -> None:
    x, y = vector("x"), vector("y")
    feed = {"x": [1.0, 2.0, 2.0], "y": [1.0, 0.0, 5.0]}

    def at_ties(loss: Tensor, by: Tensor = x) -> list[float]:
        found: list[float] = value(derivative(loss, by), feed).tolist()
        return found

    assert at_ties(gc.sum(gc.maximum(x, y))) == [0.5, 1.0, 0.0]
    assert at_ties(gc.sum(gc.maximum(x, y)), y) == [0.5, 0.0, 1.0]
    assert at_ties(gc.sum(gc.minimum(x, y))) == [0.5, 0.0, 1.0]
    assert at_ties(gc.max(x)) == [0.0, 0.5, 0.5]
    assert at_ties(gc.min(-x)) == [0.0, -0.5, -0.5]
    assert at_ties(gc.sum(gc.relu(x - 1.0))) == [0.0, 1.0, 1.0]
    assert at_ties(gc.sum(gc.abs(x - 1.0))) == [0.0, 1.0, 1.0]


def test_backward_nodes_remember_the_forward_node_its_line_and_scope() -> None:
    x = gc.input("remembered", shape=(3,))
    with gc.scope("block"):
        y = gc.tanh(x)
    loss = gc.sum(y * y)
    forward = set(toposort([loss.node]))
    backward = [node for node in toposort([derivative(loss, x).node]) if node not in forward and node.inputs]
    assert backward
    for node in backward:
        assert node.origin.forward in forward
        assert node.origin.location == node.origin.forward.origin.location
    through_tanh = [node for node in backward if node.origin.forward is y.node]
    assert through_tanh
    assert all(node.origin.scope == ("block",) for node in through_tanh)


def test_a_gradient_rule_of_a_wrong_type_is_named() -> None:
    class Wrong(Exp):
        def infer(self, *types: TensorType) -> TensorType:
            return types[0]

        def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
            return (g.sum((0,)),)

    x = vector("x")
    with pytest.raises(GradientError) as caught:
        gc.grad(gc.sum(Tensor(apply(Wrong(), x.node))), x)
    assert str(caught.value) == (
        "the gradient rule of exp gives a derivative of the wrong type\n  expected   f64[3]\n  got        f64[]"
    )


def test_derivatives_keep_the_element_type() -> None:
    x, scale = gc.input("x", shape=(3,)), vector("scale")
    found = gc.grad(gc.sum(x.cast("float64") * scale), wrt=[x, scale])
    assert [str(each.type) for each in found] == ["f32[3]", "f64[3]"]
    assert value(found[0], {"scale": [1.0, 2.0, 3.0]}).tolist() == [1.0, 2.0, 3.0]
