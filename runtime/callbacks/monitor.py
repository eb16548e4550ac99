"""What callbacks watch: one number of each epoch, and whether it became better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from graphc.errors import DeclarationError
from graphc.origin import user_location

__all__ = ["Monitor"]

_MORE_IS_BETTER = ("accuracy", "f1", "iou", "precision", "r_squared", "recall")


@dataclass(frozen=True)
class Monitor:
    """name: the column of the history to watch. mode: "min" if less is better, "max" if more is, "auto" for "max" where
    the name holds that of a metric of which more is better, such as accuracy, and "min" elsewhere."""

    name: str
    mode: str = "auto"

    def __post_init__(self) -> None:
        if self.mode not in ("auto", "min", "max"):
            raise DeclarationError(
                "there is no such mode", at=str(user_location()), expected="auto, min or max", got=repr(self.mode)
            )

    def of(self, logs: Mapping[str, float]) -> float:
        """The number in a row of the history; DeclarationError if the row has none."""
        if self.name not in logs:
            raise DeclarationError(
                f"there is no {self.name!r} to watch",
                at=str(user_location()),
                expected=", ".join(logs),
                got=repr(self.name),
                way_out="give fit validation_data or validation_split" if self.name.startswith("val_") else None,
            )
        return logs[self.name]

    def better(self, value: float, than: float | None, least: float = 0.0) -> bool:
        """Whether a value is better by more than the least difference; a number is better than None and than NaN."""
        if value != value:
            return False
        if than is None or than != than:
            return True
        more = self.mode == "max" or (self.mode == "auto" and any(name in self.name for name in _MORE_IS_BETTER))
        return value - than > least if more else than - value > least
