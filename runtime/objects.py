"""Object code as a value, and as a file that can be trusted or thrown away."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

__all__ = ["ObjectCode"]

_MAGIC = b"graphc object 2\n"


@dataclass(frozen=True)
class ObjectCode:
    """Machine code of one function in the system's object format or a GPU's, and the symbol it is called by.

    numbers: what else its compiler told of it, by name.
    """

    symbol: str
    data: bytes
    numbers: tuple[tuple[str, int], ...] = ()

    def to_bytes(self, kernel: str) -> bytes:
        """The content of a cache file: a magic line, a line of JSON, the code."""
        header = {"symbol": self.symbol, "kernel": kernel, "numbers": self.numbers, "sha256": self._digest()}
        return _MAGIC + json.dumps(header).encode() + b"\n" + self.data

    @staticmethod
    def from_bytes(content: bytes) -> ObjectCode | None:
        """The object code of a cache file; None if anything about it is wrong."""
        if not content.startswith(_MAGIC):
            return None
        line, _, data = content[len(_MAGIC) :].partition(b"\n")
        try:
            header = json.loads(line)
            numbers = tuple((str(name), int(number)) for name, number in header["numbers"])
            code, digest = ObjectCode(str(header["symbol"]), data, numbers), header["sha256"]
        except (ValueError, KeyError, TypeError):
            return None
        return code if code._digest() == digest else None

    def _digest(self) -> str:
        return hashlib.sha256(json.dumps([self.symbol, self.numbers]).encode() + self.data).hexdigest()
