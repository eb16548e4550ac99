from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphc import data
from graphc.errors import DataError, DeclarationError

TEXT = "width,height,kind\n1,2.5,rose\n\n3,-4e1,iris\n5,6,rose\n"


def written(folder: Path, text: str = TEXT) -> Path:
    path = folder / "flowers.csv"
    path.write_bytes(text.encode())
    return path


def refusal(path: Path, columns: dict[str, Any], **options: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        data.read_csv(path, columns, **options)
    assert __file__ in str(caught.value.at)
    return caught.value


def test_columns_go_to_inputs(tmp_path: Path) -> None:
    table = data.read_csv(written(tmp_path), {"x": ["height", "width"], "y": "width", "kind": "kind"}, labels=["kind"])
    assert table.arrays["x"].tolist() == [[2.5, 1.0], [-40.0, 3.0], [6.0, 5.0]]
    assert table.arrays["y"].tolist() == [1.0, 3.0, 5.0]
    assert table.arrays["kind"].tolist() == [1, 0, 1]
    assert table.classes == {"kind": ["iris", "rose"]}
    assert [array.dtype for array in table.arrays.values()] == [np.float64, np.float64, np.int64]


def test_other_delimiters_quotes_line_ends_and_marks_of_order_are_read(tmp_path: Path) -> None:
    path = written(tmp_path, '\ufeffa;b\r\n"1";"x;\r\ny"\r\n2;z\r\n')
    table = data.read_csv(path, {"a": "a", "b": "b"}, labels=["b"], delimiter=";")
    assert table.arrays["a"].tolist() == [1.0, 2.0]
    assert table.classes["b"] == ["x;\r\ny", "z"]


def test_a_table_without_rows_has_arrays_without_samples(tmp_path: Path) -> None:
    table = data.read_csv(written(tmp_path, "a,b\n"), {"x": ["a", "b"], "y": "b"})
    assert (table.arrays["x"].shape, table.arrays["y"].shape) == ((0, 2), (0,))


@pytest.mark.parametrize("cell", ["rose", ""])
def test_a_cell_that_is_no_number_is_refused_with_its_line_and_column(tmp_path: Path, cell: str) -> None:
    path = written(tmp_path, f"a,b\n1,2\n\n3,{cell}\n")
    error = refusal(path, {"x": ["a", "b"]})
    assert error.what == f"{path}, line 4, column 'b': no number"
    assert (error.expected, error.got) == ("a number", repr(cell))
    assert error.way_out == "correct the cell, or name the input in labels if 'b' holds words"


def test_a_missing_word_is_refused_with_its_line_and_column(tmp_path: Path) -> None:
    path = written(tmp_path, "a,b\n1,x\n2,\n")
    error = refusal(path, {"y": "b"}, labels=["y"])
    assert error.what == f"{path}, line 3, column 'b': no word"


@pytest.mark.parametrize("label", ["z", "x"])
def test_labels_that_are_no_input_of_one_column_are_refused(tmp_path: Path, label: str) -> None:
    with pytest.raises(DeclarationError, match=f"labels names '{label}', which is no input of one column") as caught:
        data.read_csv(written(tmp_path), {"x": ["width", "height"], "y": "kind"}, labels=[label])
    assert caught.value.expected == "'y'"


def test_lines_of_other_lengths_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "a,b\n1,2\n3\n")
    error = refusal(path, {"x": "a"})
    assert error.what == f"{path}, line 3: wrong number of cells"
    assert (error.expected, error.got) == ("2 cells: a, b", "1 cells")


def test_missing_and_repeated_columns_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "a,b,b\n1,2,3\n")
    error = refusal(path, {"x": "c"})
    assert error.what == f"{path} has no column 'c'"
    assert error.got == "a, b, b"
    assert refusal(path, {"x": "b"}).what == f"{path} has more than one column 'b'"


def test_files_that_are_no_tables_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "")
    assert refusal(path, {"x": "a"}).what == f"{path} is empty"
    path.write_bytes(b"a,b\n\xff\xfe,1\n")
    assert refusal(path, {"x": "a"}).what == f"{path} cannot be read"
    assert "No such file" in str(refusal(tmp_path / "nowhere.csv", {"x": "a"}).got)
