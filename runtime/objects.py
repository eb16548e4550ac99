"""Object code as a value, and as a file that can be trusted or thrown away."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

__all__ = ["ObjectCode"]

_MAGIC = b"graphc object 1\n"


@dataclass(frozen=True)
class ObjectCode:
    """Machine code of one function in the system's object format, and the symbol it is called by."""

    symbol: str
    data: bytes

    def to_bytes(self, kernel: str) -> bytes:
        """The content of a cache file: a magic line, a line of JSON, the code."""
        header = {"symbol": self.symbol, "kernel": kernel, "sha256": hashlib.sha256(self.data).hexdigest()}
        return _MAGIC + json.dumps(header).encode() + b"\n" + self.data

    @staticmethod
    def from_bytes(content: bytes) -> ObjectCode | None:
        """The object code of a cache file; None if anything about it is wrong."""
        if not content.startswith(_MAGIC):
            return None
        line, _, data = content[len(_MAGIC) :].partition(b"\n")
        try:
            header = json.loads(line)
            symbol, digest = str(header["symbol"]), header["sha256"]
        except (ValueError, KeyError, TypeError):
            return None
        return ObjectCode(symbol, data) if hashlib.sha256(data).hexdigest() == digest else None
