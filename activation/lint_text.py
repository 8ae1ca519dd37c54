"""What must hold of any template's words: fallbacks, links, no hype, nothing unfair."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from jinja2 import Environment, nodes

from activation import fair_housing
from activation.findings import Finding
from activation.templating import OPTIONAL_VARIABLES
from activation.types import Channel

_SPAM_FILE = Path(__file__).with_name("spam_words.yaml")
_URL = re.compile(r"\b(?:[a-z]+:)?//[^\s<>\"']*|\bwww\.[^\s<>\"']+", re.IGNORECASE)
# Carriers filter texts whose links hide where they lead (CTIA, section 5.3.6).
SHORTENERS = frozenset(
    {
        "bit.ly", "tinyurl.com", "goo.gl", "t.co", "ow.ly", "is.gd", "buff.ly", "rebrand.ly",
        "cutt.ly", "shorturl.at", "tiny.cc", "lnkd.in", "rb.gy", "t.ly", "bl.ink",
    }
)  # fmt: skip
_HOST = re.compile(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}", re.IGNORECASE)
_LEFTOVER = re.compile(
    r"lorem ipsum|\bT[O]DO\b|\bF[I]XME\b|\bX{3,}\b|\[[a-z _]+\]|(?<!\{)\{[a-z_ ]+\}(?!\})"
    r"|<(?:name|first name|address|city|price)>",
    re.IGNORECASE,
)
_SHOUTED = re.compile(r"\b[A-Z]{4,}\b")
_MAY_SHOUT = {"STOP", "HELP", "YES", "QUIT", "START", "MLS", "HOA"}
_JINJA = re.compile(r"\{[{%#].*?[}%#]\}", re.DOTALL)
_TAG = re.compile(r"<[^>]*>", re.DOTALL)


def check_text(file: str, source: str, channel: Channel) -> list[Finding]:
    """The findings in one file, whose Jinja is sound.

    Args:
        file: its name.
        source: as written; plain text or MJML.
        channel: sms or email.
    """
    is_mjml = file.endswith(".mjml.j2")
    findings = [*_fallbacks(file, source), *_links(file, source)]
    for number, line in enumerate(_prose(source, is_mjml).splitlines(), start=1):
        findings.extend(_words(file, number, line, channel))
    findings.extend(_unfair(file, source))
    return findings


def _prose(source: str, is_mjml: bool) -> str:
    """The words without code, each on its line still."""
    text = _JINJA.sub(_gap, source)
    return _TAG.sub(_gap, text) if is_mjml else text


def _gap(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match.group())


def _fallbacks(file: str, source: str) -> Iterator[Finding]:
    tree = Environment(autoescape=True).parse(source)
    for name in OPTIONAL_VARIABLES:
        for line in _unguarded(tree, name, guarded=False):
            yield Finding(
                file, line, 1, "missing-fallback",
                f"{name!r} may be empty, and nothing says what stands there then.",
                f"Put the sentence between {{% if {name} %}} and {{% endif %}}.",
            )  # fmt: skip


def _unguarded(node: nodes.Node, name: str, *, guarded: bool) -> Iterator[int]:
    if isinstance(node, nodes.Name) and node.name == name and not guarded:
        yield node.lineno
    if isinstance(node, nodes.Filter) and node.name in {"default", "d"}:
        return
    if isinstance(node, nodes.If):
        asks = any(found.name == name for found in node.test.find_all(nodes.Name)) or (
            isinstance(node.test, nodes.Name) and node.test.name == name
        )
        for child in node.body:
            yield from _unguarded(child, name, guarded=guarded or asks)
        for child in [*node.elif_, *node.else_]:
            yield from _unguarded(child, name, guarded=guarded)
        return
    for child in node.iter_child_nodes():
        yield from _unguarded(child, name, guarded=guarded)


def _links(file: str, source: str) -> Iterator[Finding]:
    text = _JINJA.sub(_gap, source)
    for match in _URL.finditer(text):
        problem = _link_problem(match.group().rstrip(".,;:!?)"))
        if problem is None:
            continue
        line = text.count("\n", 0, match.start()) + 1
        column = match.start() - (text.rfind("\n", 0, match.start()) + 1) + 1
        yield Finding(file, line, column, "link", problem[0], problem[1])


def _link_problem(url: str) -> tuple[str, str] | None:
    whole = "Write the whole address, beginning with https://."
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
    except ValueError:
        return f"{url!r} is not an address.", whole
    if parts.scheme not in {"http", "https"}:
        return f"{url!r} does not begin with http:// or https://.", whole
    if host.removeprefix("www.") in SHORTENERS:
        return (
            f"{url!r} is shortened by {host}, which carriers filter.",
            "Write the address that it leads to.",
        )
    if not _HOST.fullmatch(host):
        return f"{url!r} has no name of a site that can exist.", whole
    return None


def _words(file: str, number: int, line: str, channel: Channel) -> Iterator[Finding]:
    for phrase, (pattern, instead) in _spam().items():
        match = pattern.search(line)
        if match:
            yield Finding(
                file, number, match.start() + 1, "spam-word",
                f"{phrase!r} is counted against a message by filters.", instead,
            )  # fmt: skip
    for match in re.finditer(r"!{2,}|\${2,}|\?{2,}", line):
        yield Finding(
            file, number, match.start() + 1, "spam-word",
            f"{match.group()!r} is counted against a message by filters.", "Use one, or none.",
        )  # fmt: skip
    for match in _SHOUTED.finditer(line):
        if match.group() not in _MAY_SHOUT:
            yield Finding(
                file, number, match.start() + 1, "shouting",
                f"{match.group()!r} is in capitals.", "Write it in small letters.",
            )  # fmt: skip
    for match in _LEFTOVER.finditer(line):
        yield Finding(
            file, number, match.start() + 1, "placeholder",
            f"{match.group()!r} is left over from writing.",
            "Write the words, or use a variable: {{ first_name }}.",
        )  # fmt: skip
    if channel is Channel.EMAIL and re.match(r"\s*Subject: (re|fwd?):", line, re.IGNORECASE):
        yield Finding(
            file, number, 1, "deceptive-subject",
            "the subject claims to answer or forward a message (15 U.S.C. 7704(a)(2)).",
            "Leave out 'Re:' or 'Fwd:'.",
        )  # fmt: skip


def _unfair(file: str, source: str) -> Iterator[Finding]:
    text = _JINJA.sub("x", source)
    if not fair_housing.check(text):
        return
    lines = source.splitlines()
    for finding in fair_housing.check(text):
        number = next(
            (n for n, line in enumerate(lines, 1) if fair_housing.check(_JINJA.sub("x", line))), 1
        )
        yield Finding(
            file, number, 1, "fair-housing",
            f"{finding.phrase!r} is {finding.category} language: {finding.why}",
            "Describe the home, not who should live there.",
        )  # fmt: skip


@lru_cache(maxsize=1)
def _spam() -> dict[str, tuple[re.Pattern[str], str]]:
    phrases: dict[str, str] = yaml.safe_load(_SPAM_FILE.read_text("utf-8"))["phrases"]
    return {
        phrase: (re.compile(rf"(?<!\w){re.escape(phrase)}(?!\w)", re.IGNORECASE), instead)
        for phrase, instead in phrases.items()
    }
