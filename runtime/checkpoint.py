"""Checkpoints: one safetensors file with all states, the seed, the step and the position in the data.

A file is written to a temporary name, synced, and renamed, so that a kill at any moment leaves the old file or the new
one. Reading never executes anything; a file is checked as a whole before a single state changes.
"""

from __future__ import annotations

import json
import os
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from graphc.errors import CheckpointError
from graphc.frontend.state import Cell
from graphc.runtime.watching import Total
from graphc.scalar import Array

__all__ = ["Position", "read_checkpoint", "restore", "write_checkpoint"]

_FORMAT = "graphc-checkpoint"
_VERSION = 1


@dataclass
class Position:
    """Where training stands. epoch, batch: finished epochs, and batches of the present one. totals, samples: sums over
    those batches and their samples, for the epoch's averages. history: rows of finished epochs."""

    epoch: int = 0
    batch: int = 0
    totals: dict[str, Total] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    samples: int = 0


def write_checkpoint(path: str | os.PathLike[str], cells: Mapping[str, Cell], position: Position) -> None:
    """Write states by name and the position; the file appears as a whole or not at all."""
    from safetensors.numpy import save

    states = {name: cell.read() for name, cell in cells.items()}
    place = json.dumps(asdict(position))
    checksum = _checksum(states, place)
    content = save(states, {"format": _FORMAT, "version": str(_VERSION), "position": place, "checksum": checksum})
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _checksum(states: Mapping[str, Array], position: str) -> str:
    """CRC-32 of the position and of all names, types, shapes and bytes; safetensors itself has none."""
    found = zlib.crc32(position.encode())
    for name in sorted(states):
        array = np.ascontiguousarray(states[name])
        found = zlib.crc32(f"{name} {array.dtype.name}{list(states[name].shape)}".encode(), found)
        found = zlib.crc32(array.data, found)
    return f"{found:08x}"


def _sync_folder(folder: Path) -> None:
    """Make the renaming itself durable, where the system can."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def read_checkpoint(path: str | os.PathLike[str]) -> tuple[dict[str, Array], Position]:
    """The states by name and the position of a file.

    Raises CheckpointError for a file that is missing, truncated, damaged, or no checkpoint of graphc. A file without a
    checksum, from another tool, is read as it is.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="np") as file:
            metadata = file.metadata() or {}
            states = {name: file.get_tensor(name) for name in file.offset_keys()}
    except FileNotFoundError:
        raise CheckpointError(f"there is no file {path}") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} is no whole safetensors file",
            got=str(error),
            way_out="it may have been cut off while it was copied; use another checkpoint",
        ) from None
    if metadata.get("format") != _FORMAT:
        raise CheckpointError(
            f"{path} was not written by graphc",
            expected=f"a safetensors file with format {_FORMAT!r} in its metadata",
            got=f"metadata {metadata or 'without entries'}",
        )
    if metadata.get("version") != str(_VERSION):
        raise CheckpointError(
            f"{path} has version {metadata.get('version')} of the format",
            expected=f"version {_VERSION}",
            way_out="read it with the version of graphc that wrote it",
        )
    found = _checksum(states, metadata.get("position", ""))
    if metadata.get("checksum", found) != found:
        raise CheckpointError(
            f"{path} is damaged: its contents do not match its checksum",
            expected=f"checksum {metadata['checksum']}",
            got=found,
            way_out="some bits changed since it was written; use another checkpoint or copy it again",
        )
    try:
        return states, Position(**json.loads(metadata["position"]))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} has a damaged position", got=str(error)) from None


def restore(path: str | os.PathLike[str], states: Mapping[str, Array], cells: Mapping[str, Cell]) -> None:
    """Copy states of a checkpoint into cells of the same names.

    Raises CheckpointError, before anything changes, where names, shapes or element types differ.
    """
    problems: list[tuple[str, str]] = []
    for name in sorted(cells.keys() | states.keys()):
        if name not in states:
            problems.append(("missing", f"{name}: the model has {cells[name].type}"))
        elif name not in cells:
            problems.append(("unknown", f"{name}: the file has {states[name].dtype}{list(states[name].shape)}"))
        elif (states[name].shape, states[name].dtype) != (cells[name].type.shape, cells[name].type.dtype.numpy):
            got = f"{states[name].dtype}{list(states[name].shape)}"
            problems.append(("different", f"{name}: the model has {cells[name].type}, the file {got}"))
    if problems:
        shown = problems[:8] + ([("", f"and {len(problems) - 8} more")] if len(problems) > 8 else [])
        raise CheckpointError(
            f"{path} is a checkpoint of another model; this one is unchanged",
            facts=shown,
            expected="the same states with the same shapes",
            way_out="build the model as it was; parameters_only=True leaves out the optimizer's state",
        )
    for name, cell in cells.items():
        cell.set(states[name])
