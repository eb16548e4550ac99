"""Where a node comes from: the user's line, the scope, and the forward node that a backward node differentiates."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphc.node import Node

__all__ = ["Location", "Origin", "current_origin", "current_scope", "derived_from", "scope", "user_location"]


@dataclass(frozen=True)
class Location:
    """One line of the user's program."""

    file: str
    line: int

    @property
    def source(self) -> str:
        """The text of the line, stripped; empty where the file is not at hand."""
        return linecache.getline(self.file, self.line).strip()

    @property
    def short(self) -> str:
        """File name without folders, and line: ``model.py:12``."""
        return f"{self.file.replace(chr(92), '/').rpartition('/')[2]}:{self.line}"

    def __str__(self) -> str:
        text = self.source
        return f"{self.file}:{self.line}" + (f"    {text}" if text else "")


@dataclass(frozen=True)
class Origin:
    """location: the user's line that declared the node; scope: names of the enclosing scopes, outermost first;
    forward: the node whose derivative this node belongs to, None in the forward graph."""

    location: Location | None = None
    scope: tuple[str, ...] = ()
    forward: Node | None = None


_scope: ContextVar[tuple[str, ...]] = ContextVar("graphc_scope", default=())
_override: ContextVar[Origin | None] = ContextVar("graphc_origin", default=None)


def user_location() -> Location | None:
    """The innermost line of the call stack that lies outside graphc, or in a module of it that reads like a user's and
    says so with ``IS_USER_CODE``."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        inside = module == "graphc" or module.startswith("graphc.")
        if not inside or frame.f_globals.get("IS_USER_CODE"):
            return Location(frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return None


def current_scope() -> tuple[str, ...]:
    """Names of the scopes that are open, outermost first."""
    return _scope.get()


def current_origin() -> Origin:
    """The origin that a node made now gets."""
    override = _override.get()
    return override if override is not None else Origin(user_location(), _scope.get())


@contextmanager
def scope(name: str) -> Iterator[None]:
    """Group the values declared inside under a name; scopes nest and become clusters in the picture.

    >>> with scope("encoder"), scope("layer1"):
    ...     current_scope()
    ('encoder', 'layer1')
    """
    token = _scope.set((*_scope.get(), name))
    try:
        yield
    finally:
        _scope.reset(token)


@contextmanager
def derived_from(origin: Origin) -> Iterator[None]:
    """Give every node made inside this origin, whatever line runs: passes keep the user's line this way."""
    token = _override.set(origin)
    try:
        yield
    finally:
        _override.reset(token)
