"""Groups of parameters, each with an optimizer of its own."""

from __future__ import annotations

import pytest

import graphc as gc
from graphc import optimizers
from graphc.errors import DeclarationError


def two() -> tuple[gc.Parameter, gc.Parameter, gc.Tensor]:
    """Two parameters of one name, 1 and 2, and a loss whose gradients are 1 by each."""
    first, second = gc.parameter((), 1.0, name="w"), gc.parameter((), 2.0, name="w")
    return first, second, first + second


def test_each_group_takes_steps_of_its_own_size() -> None:
    first, second, loss = two()
    gc.compile(loss, optimizers.Groups([([second], optimizers.SGD(0.5)), ([first], optimizers.SGD(0.25))])).step({})
    assert (float(first.value), float(second.value)) == (0.75, 1.5)


def test_a_parameter_belongs_to_the_first_group_that_takes_it() -> None:
    first, second, loss = two()
    groups = optimizers.Groups([([first], optimizers.SGD(0.5)), (lambda p: True, optimizers.SGD(0.25))])
    gc.compile(loss, groups).step({})
    assert (float(first.value), float(second.value)) == (0.5, 1.75)


def test_the_default_takes_the_others() -> None:
    first, second, loss = two()
    gc.compile(loss, optimizers.Groups([([first], optimizers.SGD(0.5))], default=optimizers.Adam(0.25))).step({})
    assert float(first.value) == 0.5
    assert float(second.value) == pytest.approx(1.75)


def test_a_function_chooses_by_shape_and_name() -> None:
    network = gc.layers.Dense(2)
    loss = gc.sum(network(gc.input("x", ("batch", 3))))
    decayed = optimizers.SGD(1e-9, weight_decay=0.5)
    groups = optimizers.Groups([(lambda p: p.name.endswith("bias"), optimizers.SGD(0.5))], default=decayed)
    gc.compile(loss, groups).step({"x": [[0.0, 0.0, 0.0]]})
    assert network.bias.value.tolist() == [-0.5, -0.5]


def test_groups_know_their_rules_and_learning_rates() -> None:
    fast, slow = optimizers.SGD(0.5), optimizers.ClipByValue(optimizers.Adam(0.1), 1.0)
    groups = optimizers.Groups([(lambda p: False, fast)], default=slow)
    assert groups.rules == (fast, slow.optimizer)
    assert groups.learning_rate == 0.5
    with pytest.raises(DeclarationError) as caught:
        groups.learning_rate = 0.1
    lines = str(caught.value).splitlines()
    assert lines[0] == "each group has a learning rate of its own"
    assert lines[-1] == "  way out    set it on the optimizer of a group"


def test_learning_rates_of_groups_change_one_by_one() -> None:
    first, second, loss = two()
    fast, slow = optimizers.SGD(0.5), optimizers.SGD(0.25)
    model = gc.compile(loss, optimizers.Groups([([first], fast), ([second], slow)]))
    slow.learning_rate = 1.0
    model.step({})
    assert (float(first.value), float(second.value)) == (0.5, 1.0)
    assert {"learning_rate", "learning_rate_1"} <= model.cells.keys()


def test_one_clipping_goes_over_all_groups() -> None:
    first, second, loss = two()
    groups = optimizers.Groups([([first], optimizers.SGD(1.0)), ([second], optimizers.SGD(1.0))])
    gc.compile(loss, optimizers.ClipByGlobalNorm(groups, 0.5)).step({})
    assert float(first.value) == pytest.approx(1 - 0.5 / 2**0.5, rel=1e-5)


def test_a_parameter_in_no_group_is_refused() -> None:
    first, _, loss = two()
    with pytest.raises(DeclarationError) as caught:
        gc.compile(loss, optimizers.Groups([([first], optimizers.SGD(0.5))]))
    lines = str(caught.value).splitlines()
    assert lines[0] == "parameter 'w_1' is in no group"
    assert "gc.compile(loss" in lines[1]
    assert lines[-1].startswith("  way out    give Groups a default optimizer")


def test_a_listed_parameter_that_is_not_trained_is_refused() -> None:
    first, second, _ = two()
    groups = optimizers.Groups([([second], optimizers.SGD(0.5))], default=optimizers.SGD(0.5))
    with pytest.raises(DeclarationError, match="a chosen parameter is not trained by this loss") as caught:
        gc.compile(first * 2.0, groups)
    assert "state 'w'" in str(caught.value)


def test_what_is_no_parameter_cannot_be_grouped() -> None:
    fixed = gc.parameter((), 1.0, name="fixed", trainable=False)
    for wrong in (fixed, gc.constant(1.0)):
        with pytest.raises(DeclarationError, match="only trainable parameters can be chosen") as caught:
            optimizers.Groups([([wrong], optimizers.SGD(0.5))])
        assert "expected   parameters, such as layer.parameters" in str(caught.value)


def test_no_groups_at_all_are_refused() -> None:
    with pytest.raises(DeclarationError, match="there are no groups"):
        optimizers.Groups([])
