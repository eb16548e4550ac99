"""Tables in CSV files: named columns of numbers, and labels as numbers."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from graphc.errors import DataError, DeclarationError
from graphc.origin import user_location
from graphc.scalar import Array

__all__ = ["Table", "read_csv"]


@dataclass(frozen=True)
class Table:
    """arrays: by input name, as ``fit`` takes them. classes: for each column of words the words that its numbers stand
    for.

    >>> Table({"x": np.zeros((2, 3))}, {}).arrays["x"].shape
    (2, 3)
    """

    arrays: dict[str, Array]
    classes: dict[str, list[str]]


def read_csv(
    path: str | os.PathLike[str],
    columns: Mapping[str, str | Sequence[str]],
    *,
    labels: Sequence[str] = (),
    delimiter: str = ",",
) -> Table:
    """Columns of a CSV file with a line of names, as arrays by input name.

    columns: for each input the name of its column, which gives [rows] of float64, or a list of names, which gives
    [rows, names]. labels: inputs whose cells are words; they become int64 numbers of the sorted words. delimiter: what
    parts the cells. Raises DataError that names the line and the column for a missing column, an empty cell or one that
    is no number, and a line with too few or too many cells; DeclarationError for labels of no single column.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "iris.csv")
    ...     _ = path.write_text("width,height,kind\\n1,2,rose\\n3,4,iris\\n")
    ...     table = read_csv(path, {"x": ["height", "width"], "y": "kind"}, labels=["y"])
    >>> table.arrays["x"].tolist(), table.arrays["y"].tolist(), table.classes["y"]
    ([[2.0, 1.0], [4.0, 3.0]], [1, 0], ['iris', 'rose'])
    """
    _check_labels(columns, labels)
    names, rows, lines = _rows(path, delimiter)
    arrays: dict[str, Array] = {}
    classes: dict[str, list[str]] = {}
    for label, wanted in columns.items():
        places = [_place(path, names, name) for name in ([wanted] if isinstance(wanted, str) else wanted)]
        if label in labels:
            words = [_word(path, row[places[0]], line, names[places[0]]) for row, line in zip(rows, lines, strict=True)]
            classes[label] = sorted(set(words))
            arrays[label] = np.searchsorted(np.asarray(classes[label]), np.asarray(words)).astype(np.int64)
            continue
        numbers = np.asarray(
            [
                [_number(path, row[place], line, names[place]) for place in places]
                for row, line in zip(rows, lines, strict=True)
            ],
            np.float64,
        ).reshape(len(rows), len(places))
        arrays[label] = numbers[:, 0] if isinstance(wanted, str) else numbers
    return Table(arrays, classes)


def _check_labels(columns: Mapping[str, str | Sequence[str]], labels: Sequence[str]) -> None:
    for label in labels:
        if not isinstance(columns.get(label), str):
            raise DeclarationError(
                f"labels names {label!r}, which is no input of one column",
                at=str(user_location()),
                expected=", ".join(repr(name) for name, wanted in columns.items() if isinstance(wanted, str)) or "none",
                got=repr(label),
            )


def _rows(path: str | os.PathLike[str], delimiter: str) -> tuple[list[str], list[list[str]], list[int]]:
    """The names, the cells of each row, and the line on which each row ends."""
    rows, lines = [], []
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            names = [name.strip() for name in next(reader, [])]
            for row in reader:
                if not row:
                    continue
                if len(row) != len(names):
                    raise DataError(
                        f"{path}, line {reader.line_num}: wrong number of cells",
                        at=str(user_location()),
                        expected=f"{len(names)} cells: {', '.join(names)}",
                        got=f"{len(row)} cells",
                    )
                rows.append(row)
                lines.append(reader.line_num)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path} cannot be read", at=str(user_location()), expected="a CSV file in UTF-8", got=str(error)
        ) from None
    if not names:
        raise DataError(f"{path} is empty", at=str(user_location()), expected="a first line with the names of columns")
    return names, rows, lines


def _place(path: str | os.PathLike[str], names: Sequence[str], name: str) -> int:
    if names.count(name) != 1:
        raise DataError(
            f"{path} has {'no' if name not in names else 'more than one'} column {name!r}",
            at=str(user_location()),
            expected="one of the names in the first line",
            got=", ".join(names),
        )
    return names.index(name)


def _word(path: str | os.PathLike[str], cell: str, line: int, name: str) -> str:
    if not cell:
        raise DataError(
            f"{path}, line {line}, column {name!r}: no word", at=str(user_location()), expected="a word", got="''"
        )
    return cell


def _number(path: str | os.PathLike[str], cell: str, line: int, name: str) -> float:
    try:
        return float(cell)
    except ValueError:
        raise DataError(
            f"{path}, line {line}, column {name!r}: no number",
            at=str(user_location()),
            expected="a number",
            got=repr(cell),
            way_out=f"correct the cell, or name the input in labels if {name!r} holds words",
        ) from None
