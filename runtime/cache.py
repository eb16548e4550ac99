"""The cache of compiled kernels: one file a kernel in a private folder of the user, named by what it depends on.

    <folder>/<hash of source>-<hash of versions and processor>.o

Files are written to a temporary name and renamed, so a reader never sees half of one and two processes may compile the
same kernel at once. A file that is broken, as a power failure may leave it, is compiled again. Nothing in a file is
executed on reading; the folder must belong to the user and be closed to others, or it is not used.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import platformdirs

from graphc.runtime.engine import host
from graphc.runtime.objects import ObjectCode

__all__ = ["FOLDER_VARIABLE", "KernelCache", "default_cache", "environment_key", "versions_key"]

FOLDER_VARIABLE = "GRAPHC_CACHE_DIR"
"""The environment variable that names the folder of the cache; empty turns the cache off."""
_LIMIT = 256 * 2**20
_GENERATORS = (
    "graphc.philox",
    "graphc.functions",
    "graphc.trigonometry",
    "graphc.passes.source",
    "graphc.passes.expressions",
    "graphc.passes.terms",
    "graphc.runtime.intrinsics",
    "graphc.runtime.compiler",
    "graphc.runtime.engine",
)
"""Modules whose text decides what a source compiles to."""


@cache
def environment_key() -> str:
    """A hash of all that compiled code depends on besides its source: versions, processor, the generators' own text."""
    packages = (f"{package} {version(package)}" for package in ("numba", "llvmlite", "numpy"))
    return versions_key((*packages, *host()), _GENERATORS)


def versions_key(facts: Iterable[str], modules: Iterable[str]) -> str:
    """A hash of facts and of the text of modules."""
    digest = hashlib.sha256("\n".join(facts).encode())
    for module in modules:
        spec = find_spec(module)
        if spec is not None and spec.origin is not None:
            digest.update(Path(spec.origin).read_bytes())
    return digest.hexdigest()[:20]


@dataclass
class KernelCache:
    """A folder of compiled kernels. limit: bytes above which the files that were unused longest are removed.

    counts: what happened in this process, by "hit", "new", "other version or processor", "broken". environment: a hash
    of what the code depends on besides its source.
    """

    folder: Path | None
    limit: int = _LIMIT
    counts: Counter[str] = field(default_factory=Counter)
    environment: Callable[[], str] = environment_key

    def path(self, source_key: str) -> Path | None:
        """The file for a source."""
        return self.folder / f"{source_key}-{self.environment()}.o" if self.folder is not None else None

    def load(self, source_key: str) -> ObjectCode | None:
        """The compiled kernel of a source, if it is there and whole."""
        path = self.path(source_key)
        if path is None:
            return None
        try:
            content = path.read_bytes()
        except OSError:
            others = path.parent.glob(f"{source_key}-*.o")
            self.counts["other version or processor" if any(others) else "new"] += 1
            return None
        code = ObjectCode.from_bytes(content)
        self.counts["hit" if code is not None else "broken"] += 1
        if code is not None:
            _touch(path)
        return code

    def store(self, source_key: str, code: ObjectCode, kernel: str) -> None:
        """Keep a compiled kernel; a full disk or a lost folder only costs the next process time."""
        path = self.path(source_key)
        if path is None:
            return
        try:
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(code.to_bytes(kernel))
                os.replace(temporary, path)
            except OSError:
                Path(temporary).unlink(missing_ok=True)
                raise
        except OSError as error:
            reason = error.strerror or error  # without the temporary name, so that it is said once for all kernels
            warnings.warn(f"graphc cannot keep a compiled kernel in {path.parent}: {reason}", stacklevel=2)

    def entries(self) -> list[Path]:
        """The files of the cache, those unused longest first."""
        return [path for _, path, _ in self._measured()]

    def _measured(self) -> list[tuple[float, Path, int]]:
        """When each file was last used, its path and its size; another process may remove some meanwhile."""
        if self.folder is None or not self.folder.is_dir():
            return []
        found = []
        for path in self.folder.glob("*.o"):
            with suppress(FileNotFoundError):
                known = path.stat()
                found.append((known.st_mtime, path, known.st_size))
        return sorted(found)

    def is_current(self, path: Path) -> bool:
        """True if this process could load a file: same versions, same processor."""
        return path.stem.endswith(f"-{self.environment()}")

    def shrink(self) -> int:
        """Remove the files that were unused longest until the cache is within its limit; returns how many."""
        entries = self._measured()
        total = sum(size for _, _, size in entries)
        removed = 0
        for _, path, size in entries:
            if total <= self.limit:
                break
            total -= size
            path.unlink(missing_ok=True)
            removed += 1
        return removed

    def clear(self) -> int:
        """Remove all files; returns how many."""
        entries = self.entries()
        for path in entries:
            path.unlink(missing_ok=True)
        return len(entries)


def _touch(path: Path) -> None:
    try:
        os.utime(path)
    except OSError:
        return


@cache
def default_cache() -> KernelCache:
    """The user's cache: in $GRAPHC_CACHE_DIR, or in the system's place for caches."""
    named = os.environ.get(FOLDER_VARIABLE)
    if named == "":
        return KernelCache(None)
    folder = Path(named) if named else Path(platformdirs.user_cache_dir("graphc")) / "kernels"
    problem = _prepare(folder)
    if problem is not None:
        warnings.warn(f"graphc does not use the kernel cache {folder}: {problem}", stacklevel=2)
        return KernelCache(None)
    return KernelCache(folder)


def _prepare(folder: Path) -> str | None:
    """Make the folder, private to the user; says what is wrong with it, if anything."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        known = folder.lstat()
    except OSError as error:
        return str(error)
    if not stat.S_ISDIR(known.st_mode):
        return "it is no folder"
    if hasattr(os, "getuid") and known.st_uid != os.getuid():
        return "it belongs to another user"
    if known.st_mode & 0o022:
        return "other users may write to it (chmod 700 would close it)"
    return None
