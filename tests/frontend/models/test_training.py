"""Every classifier learns something at a small size, and gradients reach all of its parameters."""

from __future__ import annotations

import numpy as np
import pytest

from tests.frontend.models.classifiers import CASES, losses_of


@pytest.mark.parametrize("name", CASES)
def test_the_loss_falls(name: str) -> None:
    network, shape, optimizer = CASES[name]
    found = losses_of(network, shape, optimizer(), 60)
    assert np.mean(found[-3:]) < 0.7 * found[0]
