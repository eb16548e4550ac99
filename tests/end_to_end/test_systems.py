"""The page of systems: its snippets build, its commands exist, and what it calls built learns at a small size."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import graphc as gc
from graphc.runtime.tasks import BUILT_IN
from tests.end_to_end.systems import SYSTEMS

PAGE = Path(__file__).parent.parent.parent / "docs" / "systems.md"


def rows() -> Iterator[tuple[str, str]]:
    """The name and the last cell of each row."""
    for line in PAGE.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| ") and cells[0] not in ("system", "algorithm"):
            yield cells[0], cells[-1].strip("| ")


ROWS = dict(rows())


def declared() -> dict[str, object]:
    """What the snippets may use."""
    x, label = gc.input("x", ("batch", 16)), gc.input("label", ("batch",), "int64")
    network = gc.layers.Dense(10)
    scores = network(x)
    return {
        "gc": gc,
        "image": gc.input("image", ("batch", 32, 32, 3)),
        "label": label,
        "loss": gc.losses.softmax_cross_entropy(scores, label),
        "network": network,
        "scores": scores,
        "weight": network.weight,
        "x": x,
    }


def test_the_page_has_a_row_for_each_system() -> None:
    assert len(ROWS) == 63


@pytest.mark.parametrize("name", ROWS)
def test_the_snippets_of_a_row_build(name: str) -> None:
    for snippet in re.findall(r"`([^`]+)`", ROWS[name]):
        if snippet.startswith("graphc train "):
            assert snippet.split()[2] in BUILT_IN
        elif not snippet.startswith("graphc "):
            assert eval(snippet, declared()) is not None


def test_what_is_trained_here_is_on_the_page() -> None:
    assert [name for name in SYSTEMS if name not in ROWS] == []


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_loss_falls(name: str) -> None:
    found = SYSTEMS[name]()
    assert np.isfinite(found).all()
    assert found[-1] < 0.8 * found[0]
