"""Orders, the largest elements, running sums and sums of products, with their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc as gc
from tests.against_torch.peer import assert_close, torch, with_gradients

DATA = np.random.default_rng(0).normal(size=(4, 90, 6)).astype(np.float32)

PEERS: dict[str, tuple[Any, Any]] = {
    "sort": (lambda x: gc.sort(x, 1), lambda x: torch.sort(x, 1)[0]),
    "descending": (lambda x: gc.sort(x, descending=True), lambda x: torch.sort(x, descending=True)[0]),
    "largest": (lambda x: gc.top_k(x, 3, axis=1)[0], lambda x: torch.topk(x, 3, 1)[0]),
    "running sums": (lambda x: gc.cumsum(x, 1), lambda x: torch.cumsum(x, 1)),
    "products": (lambda x: gc.einsum("bij,bkj->bki", x, x), lambda x: torch.einsum("bij,bkj->bki", x, x)),
}


@pytest.mark.parametrize("name", PEERS)
def test_values_and_gradients(name: str) -> None:
    mine, theirs = PEERS[name]
    x = torch.from_numpy(DATA.copy()).requires_grad_()
    result = theirs(x)
    weights = np.random.default_rng(1).normal(size=tuple(result.shape)).astype(np.float32)
    (result * torch.from_numpy(weights)).sum().backward()
    found = with_gradients(mine, {"x": DATA}, weights)
    assert_close(found[0], result.detach().numpy())
    assert_close(found[1], x.grad.numpy())


def test_what_is_no_number_is_the_largest() -> None:
    data = np.array([[np.nan, 1.0, np.inf, -np.inf, np.nan, 0.0]])
    for descending in (False, True):
        expected = torch.sort(torch.from_numpy(data), descending=descending, stable=True)
        found = gc.evaluate([gc.sort(data, descending=descending), gc.argsort(data, descending=descending)])
        np.testing.assert_array_equal(found[0], expected[0].numpy())
        np.testing.assert_array_equal(found[1], expected[1].numpy())
