from __future__ import annotations

import gzip
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from graphc import data
from graphc.errors import DataError

DIGITS = bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6])


def written(folder: Path, content: bytes, name: str = "digits") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def refusal(read: Callable[[], object]) -> DataError:
    with pytest.raises(DataError) as caught:
        read()
    assert __file__ in str(caught.value.at)
    return caught.value


@pytest.mark.parametrize("packed", [False, True])
def test_an_idx_file_is_read_packed_or_not(tmp_path: Path, packed: bool) -> None:
    path = written(tmp_path, gzip.compress(DIGITS) if packed else DIGITS)
    assert data.read_idx(path).tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize("kind", ["uint8", "int8", "int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("name", ["array", "array.gz"])
def test_an_idx_file_holds_what_was_written(tmp_path: Path, kind: str, name: str) -> None:
    array = np.arange(-6 if kind != "uint8" else 0, 6).astype(kind).reshape(2, -1, 1)
    data.write_idx(tmp_path / name, array)
    found = data.read_idx(tmp_path / name)
    assert found.dtype == array.dtype
    assert np.array_equal(found, array)


def test_elements_that_idx_does_not_have_are_refused(tmp_path: Path) -> None:
    error = refusal(lambda: data.write_idx(tmp_path / "array", np.arange(3)))
    assert (error.what, error.got) == ("IDX files do not hold such elements", "int64")


def test_a_truncated_or_longer_idx_file_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, DIGITS[:-1])
    error = refusal(lambda: data.read_idx(path))
    assert error.what == f"{path} is cut off"
    assert (error.expected, error.got) == ("18 bytes for uint8[2, 3]", "17 bytes")
    error = refusal(lambda: data.read_idx(written(tmp_path, DIGITS + b"x")))
    assert error.what == f"{path} is longer than its sizes say"


def test_an_idx_file_with_half_a_head_is_refused(tmp_path: Path) -> None:
    error = refusal(lambda: data.read_idx(written(tmp_path, DIGITS[:7])))
    assert error.what.endswith("digits is cut off")


@pytest.mark.parametrize("content", [b"", b"PNG of a cat", bytes([0, 0, 7, 1, 0, 0, 0, 0])])
def test_a_file_without_the_marks_of_idx_is_refused(tmp_path: Path, content: bytes) -> None:
    path = written(tmp_path, content)
    error = refusal(lambda: data.read_idx(path))
    assert error.what == f"{path} is no IDX file"
    assert error.got == f"the bytes {content[:4].hex(' ')}"


def test_a_damaged_archive_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    packed = gzip.compress(DIGITS)
    for content in (packed[:-9], packed[:12] + b"\xff\xff" + packed[14:]):
        path = written(tmp_path, content)
        error = refusal(partial(data.read_idx, path))
        assert error.what.endswith("digits cannot be read")
        assert error.way_out == "get the file again"
    error = refusal(lambda: data.read_idx(tmp_path / "nowhere"))
    assert error.way_out == "correct the path"
    assert "No such file" in str(error.got)


def record(*labels: int, seed: int = 0) -> bytes:
    return bytes(labels) + np.random.default_rng(seed).integers(0, 256, 3072, dtype=np.uint8).tobytes()


def test_cifar10_gives_images_with_channels_last(tmp_path: Path) -> None:
    red = bytes([3]) + bytes([200]) * 1024 + bytes(2048)
    images, labels = data.read_cifar10(written(tmp_path, red + record(9)))
    assert images.shape == (2, 32, 32, 3)
    assert images[0, 5, 7].tolist() == [200, 0, 0]
    assert images[1, 1, 2, 0] == record(9)[1 + 34]
    assert labels.tolist() == [3, 9]
    assert [images.dtype.name, labels.dtype.name] == ["uint8", "int64"]
    assert images.flags.c_contiguous


def test_several_files_follow_each_other(tmp_path: Path) -> None:
    paths = [written(tmp_path, record(label, seed=label), f"batch{label}") for label in (1, 2)]
    images, labels = data.read_cifar10(paths)
    assert labels.tolist() == [1, 2]
    assert np.array_equal(images[1], data.read_cifar10(paths[1])[0][0])


def test_cifar100_gives_coarse_and_fine_labels(tmp_path: Path) -> None:
    images, coarse, fine = data.read_cifar100(written(tmp_path, record(19, 99) + record(0, 1)))
    assert images.shape == (2, 32, 32, 3)
    assert (coarse.tolist(), fine.tolist()) == ([19, 0], [99, 1])


def test_damaged_cifar_files_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, record(1)[:-73])
    error = refusal(lambda: data.read_cifar10(path))
    assert error.what == f"{path} is cut off, or no binary file of CIFAR-10"
    assert error.expected == "records of 3073 bytes: 1 of labels, 3072 of pixels"
    assert error.got == "3000 bytes, 0.98 records"
    error = refusal(lambda: data.read_cifar10(written(tmp_path, record(1) + record(10))))
    assert (error.expected, error.got) == ("labels below 10", "label 10 in record 1")
    error = refusal(lambda: data.read_cifar100(written(tmp_path, record(3, 100))))
    assert (error.expected, error.got) == ("labels below 100", "label 100 in record 0")
    assert refusal(lambda: data.read_cifar10(written(tmp_path, b""))).got == "0 bytes, 0.00 records"
    assert refusal(lambda: data.read_cifar10([])).what == "there are no files to read"
