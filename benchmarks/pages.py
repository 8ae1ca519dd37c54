"""Measured figures in a page of the documentation, between two markers."""

from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"


def write_block(page: Path, name: str, text: str) -> None:
    """Puts ``text`` in the place of what stands between the markers of ``name``.

    Raises:
        SystemExit: the page has no such markers.
    """
    start, end = f"<!-- {name}:start -->", f"<!-- {name}:end -->"
    before, opened, rest = page.read_text("utf-8").partition(start)
    _, closed, after = rest.partition(end)
    if not (opened and closed):
        raise SystemExit(f"{page} has no {start} with its {end}.")
    page.write_text(f"{before}{start}\n{text.strip()}\n{end}{after}", "utf-8")


def table(headings: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown; the first column to the left, the others to the right."""
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
