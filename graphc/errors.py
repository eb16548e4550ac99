"""Every error that graphc raises, and how its message is laid out.

    GraphcError
    ├── ShapeError            (ValueError)    shapes of operands do not fit, found where the value is declared
    ├── DTypeError            (TypeError)     element types do not fit, found where the value is declared
    ├── DeclarationError      (ValueError)    a value, layer or graph is declared in a way that cannot work
    ├── GradientError         (ValueError)    a derivative that does not exist or was not asked for correctly
    ├── FeedError             (ValueError)    the data handed to a compiled graph does not fit its inputs
    ├── DataError             (ValueError)    a file or table of data that is damaged or cannot be used as asked
    ├── ParseError            (ValueError)    text that is not a graph in graphc's text form
    ├── VerificationError     (ValueError)    a graph breaks a rule of the language (a bug in a pass, never the user's)
    ├── CompilationError      (ValueError)    a graph or kernel that this target cannot compile
    ├── DeviceError           (RuntimeError)  a GPU that is missing, too old, too small, or has failed
    ├── NonFiniteError        (ValueError)    a NaN or infinity appeared while training
    ├── CheckpointError       (ValueError)    a file that is no usable checkpoint of this model
    ├── RenderError           (ValueError)    a picture that cannot be drawn as asked
    └── MissingPackageError   (ImportError)   an optional package is needed for what was asked

A message has one layout everywhere: what happened, the user's line, the operands with the lines that declared them,
what was expected, what came, and a way out. No other module formats errors.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

__all__ = [
    "CheckpointError",
    "CompilationError",
    "DTypeError",
    "DataError",
    "DeclarationError",
    "DeviceError",
    "FeedError",
    "GradientError",
    "GraphcError",
    "MissingPackageError",
    "NonFiniteError",
    "ParseError",
    "RenderError",
    "ShapeError",
    "VerificationError",
]


class GraphcError(Exception):
    """Base of all errors of graphc; ``except gc.GraphcError`` catches each of them.

    what: one line saying what happened.
    at: the user's line, as text.
    facts: pairs (label, text), printed one a line: operands, tables, neighbouring lines.
    expected, got, way_out: one line each; None leaves the line out.

    >>> print(ShapeError("add: shapes differ", expected="f32[3]", got="f32[4]"))
    add: shapes differ
      expected   f32[3]
      got        f32[4]
    """

    def __init__(
        self,
        what: str,
        *,
        at: str | None = None,
        facts: Iterable[tuple[str, str]] = (),
        expected: str | None = None,
        got: str | None = None,
        way_out: str | None = None,
    ) -> None:
        self.what = what
        self.at = at
        self.facts = tuple(facts)
        self.expected = expected
        self.got = got
        self.way_out = way_out
        super().__init__(self._message())

    def _message(self) -> str:
        lines: list[tuple[str, str | None]] = [
            ("at", self.at),
            *self.facts,
            ("expected", self.expected),
            ("got", self.got),
            ("way out", self.way_out),
        ]
        return "\n".join([self.what, *(f"  {label:<10} {text}" for label, text in lines if text is not None)])

    def located(self, at: str | None, facts: Iterable[tuple[str, str]] = ()) -> Self:
        """The same error with the user's line and the operands filled in; what is already known stays."""
        return type(self)(
            self.what,
            at=self.at if self.at is not None else at,
            facts=(*facts, *self.facts),
            expected=self.expected,
            got=self.got,
            way_out=self.way_out,
        )


class ShapeError(GraphcError, ValueError):
    """Shapes of operands do not fit; raised at the line that declares the value."""


class DTypeError(GraphcError, TypeError):
    """Element types of operands do not fit; raised at the line that declares the value."""


class DeclarationError(GraphcError, ValueError):
    """A value, layer or graph is declared in a way that cannot work."""


class GradientError(GraphcError, ValueError):
    """A derivative that does not exist or was not asked for correctly."""


class FeedError(GraphcError, ValueError):
    """Data handed to a compiled graph does not fit its inputs; raised before any kernel runs."""


class DataError(GraphcError, ValueError):
    """A file or table of data that is damaged, or that cannot be used as asked."""


class ParseError(GraphcError, ValueError):
    """Text that is not a graph in graphc's text form."""


class VerificationError(GraphcError, ValueError):
    """A graph breaks a rule of the language; a pass made a mistake."""


class CompilationError(GraphcError, ValueError):
    """A graph or kernel that this target cannot compile."""


class DeviceError(GraphcError, RuntimeError):
    """A GPU that is missing, too old or too small for what is to run on it, or that has failed."""


class NonFiniteError(GraphcError, ValueError):
    """A NaN or an infinity appeared while training."""


class CheckpointError(GraphcError, ValueError):
    """A file that is no usable checkpoint of this model; the model is left unchanged."""


class RenderError(GraphcError, ValueError):
    """A picture that cannot be drawn as asked."""


class MissingPackageError(GraphcError, ImportError):
    """An optional package is needed for what was asked; the message names the extra that brings it."""
