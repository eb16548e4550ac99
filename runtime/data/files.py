"""Files of well-known data sets: IDX (MNIST and its kin), and the binary versions of CIFAR-10 and CIFAR-100."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Sequence
from math import prod
from pathlib import Path

import numpy as np

from graphc.errors import DataError
from graphc.origin import user_location
from graphc.scalar import Array

__all__ = ["read_cifar10", "read_cifar100", "read_idx", "write_idx"]

FilePath = str | os.PathLike[str]

_ELEMENTS = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CODES = {np.dtype(text).newbyteorder("="): code for code, text in _ELEMENTS.items()}
_PIXELS = 32 * 32 * 3


def read_idx(path: FilePath) -> Array:
    """The array of an IDX file, as MNIST's files are (Y. LeCun, C. Cortes, C. Burges); gzip files are unpacked.

    The element types are uint8, int8, int16, int32, float32 and float64. Raises DataError for a file that is missing,
    damaged, or of another format.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_idx(Path(folder, "labels"), np.asarray([5, 0, 4], np.uint8))
    ...     read_idx(Path(folder, "labels"))
    array([5, 0, 4], dtype=uint8)
    """
    content = _content(path)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _ELEMENTS:
        raise DataError(
            f"{path} is no IDX file",
            at=str(user_location()),
            expected="two zero bytes, then the code of the element type (8, 9, 11 to 14), then the number of axes",
            got=f"the bytes {content[:4].hex(' ')}",
        )
    element, axes = np.dtype(_ELEMENTS[content[2]]), content[3]
    head = 4 + 4 * axes
    shape = tuple(int.from_bytes(content[place : place + 4], "big") for place in range(4, head, 4))
    whole = head + prod(shape) * element.itemsize
    if len(content) != whole:
        raise DataError(
            f"{path} is {'cut off' if len(content) < whole else 'longer than its sizes say'}",
            at=str(user_location()),
            expected=f"{whole} bytes for {element.newbyteorder('=').name}{list(shape)}",
            got=f"{len(content)} bytes",
            way_out="get the file again",
        )
    found: Array = np.frombuffer(content, element, offset=head).reshape(shape).astype(element.newbyteorder("="))
    return found


def write_idx(path: FilePath, array: Array) -> None:
    """Write an array as an IDX file, packed with gzip where the name ends in .gz.

    Raises DataError for an element type that the format does not have. For an example see ``read_idx``.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_idx(Path(folder, "image.gz"), np.zeros((2, 2), np.uint8))
    ...     read_idx(Path(folder, "image.gz")).shape
    (2, 2)
    """
    if array.dtype not in _CODES:
        raise DataError(
            "IDX files do not hold such elements",
            at=str(user_location()),
            expected=", ".join(kind.name for kind in _CODES),
            got=array.dtype.name,
        )
    code = _CODES[array.dtype]
    head = bytes([0, 0, code, array.ndim]) + np.asarray(array.shape, ">u4").tobytes()
    content = head + array.astype(_ELEMENTS[code]).tobytes()
    Path(path).write_bytes(gzip.compress(content, mtime=0) if str(path).endswith(".gz") else content)


def read_cifar10(paths: FilePath | Sequence[FilePath]) -> tuple[Array, Array]:
    """Images [n, 32, 32, 3] of uint8 and labels [n] of int64 from CIFAR-10's binary files (A. Krizhevsky, 2009).

    paths: one file, such as test_batch.bin, or several, whose samples follow each other. Raises DataError for a file
    that is missing, damaged, or of another format.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "batch.bin")
    ...     _ = path.write_bytes(bytes([7]) + bytes(3072))
    ...     images, labels = read_cifar10(path)
    >>> images.shape, labels
    ((1, 32, 32, 3), array([7]))
    """
    images, labels = _read_cifar(paths, (10,))
    return images, labels[:, 0]


def read_cifar100(paths: FilePath | Sequence[FilePath]) -> tuple[Array, Array, Array]:
    """Images [n, 32, 32, 3] of uint8, the 20 coarse and the 100 fine labels [n] of int64 from CIFAR-100's files.

    Arguments and errors are those of ``read_cifar10``.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "train.bin")
    ...     _ = path.write_bytes(bytes([3, 71]) + bytes(3072))
    ...     images, coarse, fine = read_cifar100(path)
    >>> coarse, fine
    (array([3]), array([71]))
    """
    images, labels = _read_cifar(paths, (20, 100))
    return images, labels[:, 0], labels[:, 1]


def _read_cifar(paths: FilePath | Sequence[FilePath], classes: tuple[int, ...]) -> tuple[Array, Array]:
    record = len(classes) + _PIXELS
    parts = []
    for path in [paths] if isinstance(paths, str | os.PathLike) else paths:
        content = _content(path)
        if not content or len(content) % record:
            raise DataError(
                f"{path} is cut off, or no binary file of CIFAR-{classes[-1]}",
                at=str(user_location()),
                expected=f"records of {record} bytes: {len(classes)} of labels, {_PIXELS} of pixels",
                got=f"{len(content)} bytes, {len(content) / record:.2f} records",
            )
        records = np.frombuffer(content, np.uint8).reshape(-1, record)
        wrong = np.argwhere(records[:, : len(classes)] >= np.asarray(classes))
        if len(wrong):
            number, label = (int(place) for place in wrong[0])
            raise DataError(
                f"{path} is damaged, or no binary file of CIFAR-{classes[-1]}",
                at=str(user_location()),
                expected=f"labels below {classes[label]}",
                got=f"label {records[number, label]} in record {number}",
            )
        parts.append(records)
    if not parts:
        raise DataError(
            "there are no files to read", at=str(user_location()), expected="one path or several", got="none"
        )
    records = np.concatenate(parts)
    planes = records[:, len(classes) :].reshape(-1, 3, 32, 32)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), records[:, : len(classes)].astype(np.int64)


def _content(path: FilePath) -> bytes:
    """All bytes of a file, unpacked if they are packed."""
    try:
        content = Path(path).read_bytes()
        return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path} cannot be read",
            at=str(user_location()),
            expected="a file, as it is or packed with gzip",
            got=str(error) or type(error).__name__,
            way_out="get the file again" if Path(path).is_file() else "correct the path",
        ) from None
