"""Checks of the numbers that optimizers, schedules and regularizers are set up with."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real

from graphc.errors import DeclarationError
from graphc.origin import user_location

__all__ = ["check_choice", "check_count", "check_fraction", "check_not_negative", "check_positive"]


def check_positive(name: str, value: object) -> None:
    """Refuse what is no finite number above 0."""
    if not isinstance(value, Real) or not 0 < float(value) < float("inf"):
        raise _refusal(f"{name} must be positive", "a number above 0", value)


def check_not_negative(name: str, value: object) -> None:
    """Refuse what is no finite number of at least 0."""
    if not isinstance(value, Real) or not 0 <= float(value) < float("inf"):
        raise _refusal(f"{name} must not be negative", "a number of at least 0", value)


def check_fraction(name: str, value: object) -> None:
    """Refuse what does not lie in [0, 1)."""
    if not isinstance(value, Real) or not 0 <= float(value) < 1:
        raise _refusal(f"{name} must lie in [0, 1)", "0 <= value < 1", value)


def check_count(name: str, value: object) -> None:
    """Refuse what is no whole number of at least 1."""
    if not isinstance(value, int) or value < 1:
        raise _refusal(f"{name} must be a whole number of at least 1", "1, 2, ...", value)


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Refuse what is none of some names."""
    if value not in choices:
        raise _refusal(f"there is no {name} {value!r}", ", ".join(choices), value)


def _refusal(what: str, expected: str, value: object) -> DeclarationError:
    return DeclarationError(what, at=str(user_location()), expected=expected, got=str(value))
