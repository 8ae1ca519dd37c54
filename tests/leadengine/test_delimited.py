"""A file is read strictly: each kind of damage has a message of its own."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadengine.delimited import DelimitedFile, FileFormatError


def rows_of(path: Path) -> list[list[str]]:
    return [row for chunk in DelimitedFile(path).chunks(3) for row in chunk.rows]


def text_file(folder: Path, text: str | bytes) -> Path:
    path = folder / "leads.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\n  \n\n", "is empty"),
        (gzip.compress(b"", mtime=0), "is empty"),
        (b"a,b\n", "no data rows"),
        (b"a,b,a\n1,2,3\n", "names 'a' more than once"),
        (b"id,n,x\nid,n,x\n1,2,3\n", "two header rows"),
        (b"id,n,x\nkey,number,share\n1,2,3.5\n2,3,1.5\n3,4,2.5\n", "two header rows"),
        (b"Lead,Lead,Web\nid,source,visits\n1,x,3\n", "two header rows"),
        ("name,n\nJosé,1\n".encode("latin-1"), "not UTF-8 text (first on line 2)"),
        ("name,n\nJo,1\n".encode("utf-16"), "not UTF-8"),
        (b"PK\x03\x04whatever", "Excel workbook"),
        (gzip.compress(b"a,b\n" + b"1,2\n" * 5000, mtime=0)[:-20], "cannot be read to its end"),
        (b'a,b\n1,2\n3,"four\n5,6\n', "a quote opened in the row that begins on line 3"),
    ],
)
def test_damage_is_named(tmp_path: Path, content: bytes, says: str) -> None:
    path = text_file(tmp_path, content)
    with pytest.raises(FileFormatError) as raised:
        rows_of(path)
    assert says in raised.value.message
    assert str(path) in raised.value.message
    assert raised.value.remedy


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="There is no file"):
        DelimitedFile(tmp_path / "absent.csv")
    with pytest.raises(FileFormatError, match="is a folder"):
        DelimitedFile(tmp_path)


def test_broken_rows_are_rejected_and_the_rest_is_read(tmp_path: Path) -> None:
    path = text_file(tmp_path, 'id,n\n1,2\n3\n4,5,6\n"7"x,8\nid,n\n9,10\n')
    chunks = list(DelimitedFile(path).chunks())
    assert [row for c in chunks for row in c.rows] == [["1", "2"], ["9", "10"]]
    rejected = [(r.line, r.reason) for c in chunks for r in c.rejected]
    assert [line for line, _ in rejected] == [3, 4, 5, 6]
    assert rejected[0][1] == "1 fields where the header has 2"
    assert "stray quote" in rejected[2][1]
    assert rejected[3][1] == "repeats the header row"


def test_quoted_line_breaks_delimiters_and_byte_order_mark(tmp_path: Path) -> None:
    path = text_file(tmp_path, '\ufeffid;note\n1;"two\nlines; one cell"\n2;x\n')
    file = DelimitedFile(path)
    assert file.header == ["id", "note"]
    chunk = next(file.chunks())
    assert chunk.rows == [["1", "two\nlines; one cell"], ["2", "x"]]
    assert chunk.lines == [2, 4]


def test_one_word_column_below_numbers_is_not_taken_for_a_header(tmp_path: Path) -> None:
    path = text_file(tmp_path, "id,n\na,unknown\nb,2\nc,3\nd,4\n")
    assert rows_of(path)[0] == ["a", "unknown"]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8),
                 min_size=2, max_size=2),
        min_size=1, max_size=20,
    )
)  # fmt: skip
def test_what_csv_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    import csv

    path = tmp_path_factory.mktemp("csv") / "x.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["first column", "second column"], *rows])
    wanted = [[cell.strip() for cell in row] for row in rows if any(c.strip() for c in row)]
    if not wanted:
        with pytest.raises(FileFormatError, match="no data rows"):
            rows_of(path)
    else:
        assert rows_of(path) == wanted
