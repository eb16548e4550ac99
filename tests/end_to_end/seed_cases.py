"""Worked numbers of five sets of lecture notes on training neural networks, S0 to S4, as data.

Values and derivatives were computed with 50 digits. null stands for a derivative that the notes leave open. "stated" is
what a page prints, with half a unit of its last place; "misprints" are those of them that are wrong.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from graphc.scalar import Array

Case = dict[str, Any]


def cases(kind: str) -> list[Case]:
    """The cases of a kind: graphs, updates or counts."""
    known: dict[str, list[Case]] = json.loads(Path(__file__).with_name("seed_cases.json").read_text("utf-8"))
    return known[kind]


def numbers(value: object) -> Array:
    """A value of a case as an array: float64, or integers where the case says so; NaN for null."""
    if isinstance(value, dict):
        return np.asarray(value["int"], np.int64)
    return np.asarray(value, np.float64)
