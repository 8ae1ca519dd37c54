"""Emails as HTML: MJML files, compiled once, and filled with exactly the words that were approved.

What is stored and approved of an email is its plain text. Its HTML is made when it is sent, and
must not say anything else: so the values are not computed again but found in the approved text,
by matching it with the template of the plain text. Where that fails, as the template has changed
since, the approved text goes out in a plain layout.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any
from xml.parsers import expat

import mrml

_INCLUDE = re.compile(r'^[ \t]*<mj-include path="(_[a-z_.0-9]+)" ?/>[ \t]*$', re.MULTILINE)
_JINJA = re.compile(r"\{[{%#].*?[}%#]\}", re.DOTALL)
_ENTITY = re.compile(r"&[a-zA-Z]+;")
_MARK = re.compile("\x02([a-z_]+)\x03")

# The components of MJML that emails here may use. https://documentation.mjml.io/#components
COMPONENTS = frozenset(
    {
        "mjml", "mj-head", "mj-body", "mj-include", "mj-title", "mj-preview", "mj-attributes",
        "mj-all", "mj-class", "mj-style", "mj-font", "mj-breakpoint", "mj-raw", "mj-wrapper",
        "mj-section", "mj-group", "mj-column", "mj-text", "mj-button", "mj-image", "mj-divider",
        "mj-spacer", "mj-table", "mj-hero", "mj-social", "mj-social-element", "mj-navbar",
        "mj-navbar-link",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MjmlFault:
    """What is wrong with a MJML file, and where (both from 1)."""

    line: int
    column: int
    message: str
    remedy: str


def expand(source: str, read: Callable[[str], str]) -> str:
    """A MJML source with its shared parts put in.

    Args:
        source: with ``<mj-include path="_name" />`` lines.
        read: gives the text of a part.
    """
    return _INCLUDE.sub(lambda match: read(match[1]).rstrip("\n"), source)


def parts_of(source: str) -> list[str]:
    """The shared parts that a MJML source takes in."""
    return _INCLUDE.findall(source)


def to_html(mjml: str) -> str:
    """The HTML of expanded MJML. Jinja expressions in it stay as they are.

    Raises:
        ValueError: it is not MJML.
    """
    try:
        return mrml.to_html(mjml).content
    except OSError as error:
        raise ValueError(str(error)) from error


def faults(source: str) -> Iterable[MjmlFault]:
    """What keeps a file from being sound MJML: the compiler itself passes over unknown tags."""
    alone = {match.start() for match in _INCLUDE.finditer(source)}
    for match in re.finditer(r"^.*<mj-include.*$", source, re.MULTILINE):
        if match.start() not in alone:
            yield MjmlFault(
                source.count("\n", 0, match.start()) + 1,
                1,
                "a shared part must be taken in on a line of its own",
                'Write <mj-include path="_name.mjml.j2" /> alone on its line.',
            )
    plain = _ENTITY.sub(_blank, _JINJA.sub(_blank, source))
    parser = expat.ParserCreate()
    try:
        parser.Parse(plain.encode(), True)
    except expat.ExpatError as error:
        yield MjmlFault(
            error.lineno,
            error.offset + 1,
            f"not well-formed: {expat.ErrorString(error.code)}",
            "Close every tag, in the order in which they were opened, and quote every attribute.",
        )
        return
    tags = _Tags()
    tags.feed(plain)
    yield from tags.faults


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", "x", match.group())


class _Tags(HTMLParser):
    """Looks at tags: known components, and text alternatives for pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[MjmlFault] = []
        self._first = True

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        line, offset = self.getpos()
        given = dict(attrs)
        if self._first and (tag != "mjml" or not given.get("lang")):
            self._add(
                line, offset, "the email does not say its language", 'Begin with <mjml lang="en">.'
            )
        self._first = False
        if tag.startswith("mj") and tag not in COMPONENTS:
            self._add(
                line, offset, f"there is no component <{tag}>",
                f"Use one of: {', '.join(sorted(COMPONENTS))}.",
            )  # fmt: skip
        if tag in {"img", "mj-image"} and not given.get("alt"):
            self._add(
                line, offset, f"<{tag}> has no text for those who do not see it",
                'Add alt="...", saying what the picture shows.',
            )  # fmt: skip

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def _add(self, line: int, offset: int, message: str, remedy: str) -> None:
        self.faults.append(MjmlFault(line, offset + 1, message, remedy))


def marked(names: Iterable[str]) -> dict[str, str]:
    """Values that can be told apart in a rendered text; see :func:`pattern_of`."""
    return {name: f"\x02{name}\x03" for name in names}


def pattern_of(rendered: str) -> re.Pattern[str]:
    """What any text of a template looks like, given one that was rendered with marked values."""
    parts: list[str] = []
    seen: set[str] = set()
    end = 0
    for match in _MARK.finditer(rendered):
        parts.append(re.escape(rendered[end : match.start()]))
        name = match[1]
        parts.append(f"(?P={name})" if name in seen else f"(?P<{name}>[^\n]*?)")
        seen.add(name)
        end = match.end()
    parts.append(re.escape(rendered[end:]))
    return re.compile("".join(parts))


def paragraphs(text: str) -> tuple[list[list[str]], list[str]]:
    """An email's text as paragraphs of lines, and the lines of its footer."""
    content, _, footer = text.rpartition("\n--\n")
    blocks: list[list[str]] = [
        part.strip().splitlines() for part in re.split(r"\n\s*\n", content.strip()) if part.strip()
    ]
    return blocks, footer.strip().splitlines()


class _Words(HTMLParser):
    """The words and links of the part of a MJML file that a reader sees."""

    _SEEN = frozenset({"mj-text", "mj-button", "mj-table"})

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.links: list[tuple[str, int, int]] = []
        self._depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._depth += tag in self._SEEN
        for name, value in attrs:
            if name in {"href", "src"} and value:
                line, offset = self.getpos()
                self.links.append((value, line, offset + 1))
        if tag in {"br", "li", "p", "mj-text", "mj-button"}:
            self.text.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self._depth -= tag in self._SEEN
        self.text.append(" ")

    def handle_data(self, data: str) -> None:
        if self._depth:
            self.text.append(data)


def words_and_links(mjml: str) -> tuple[str, list[tuple[str, int, int]]]:
    """What a reader sees of a MJML file without its shared parts, and each link's place."""
    parser = _Words()
    parser.feed(mjml)
    return "".join(parser.text), parser.links


def link_lines(text: str, linked: Callable[[str], Any]) -> tuple[list[list[Any]], list[Any]]:
    """:func:`paragraphs`, each line made by ``linked``."""
    blocks, footer = paragraphs(text)
    return [[linked(line) for line in lines] for lines in blocks], [linked(line) for line in footer]
