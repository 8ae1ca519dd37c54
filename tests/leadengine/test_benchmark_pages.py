"""What benchmarks write into the documentation, and nothing beside it."""

import re
from pathlib import Path

import pytest

from benchmarks.pages import DOCS, table, write_block

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def test_only_what_stands_between_the_markers_changes(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- x:start -->\nold\n<!-- x:end -->\nb\n<!-- y:start --><!-- y:end -->\n")
    write_block(page, "x", table(["what", "ms"], [["one", "2"]]))
    assert page.read_text() == (
        "a\n<!-- x:start -->\n| what | ms |\n| --- | ---: |\n| one | 2 |\n<!-- x:end -->\n"
        "b\n<!-- y:start --><!-- y:end -->\n"
    )


def test_a_page_without_the_markers_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- x:start -->\nno end\n")
    with pytest.raises(SystemExit, match="has no"):
        write_block(page, "x", "new")
    assert page.read_text() == "<!-- x:start -->\nno end\n"


def test_every_block_that_a_benchmark_writes_is_in_its_page() -> None:
    found = []
    for program in BENCHMARKS.glob("*.py"):
        for page, name in re.findall(
            r'write_block\(\s*DOCS / "([\w.-]+)",\s*"([\w-]+)"', program.read_text("utf-8")
        ):
            found.append(name)
            text = (DOCS / page).read_text("utf-8")
            assert f"<!-- {name}:start -->" in text, f"{program.name}: {name}"
            assert f"<!-- {name}:end -->" in text, f"{program.name}: {name}"
    assert {"x-education", "simulation", "uplift", "serving"} <= set(found)
