"""The query language of SendGrid's email activity feed."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from providers.sandbox.wire import Json

Test = Callable[[Json], bool]

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<op>!=|>=|<=|=|>|<)"""
    r"""|(?P<mark>[()\[\],])|(?P<word>[A-Za-z0-9_.@+-]+))"""
)
_FIELDS = {
    "msg_id", "from_email", "to_email", "subject", "status", "clicks", "opens",
    "last_event_time",
}  # fmt: skip
_ORDERS: dict[str, Callable[[Any, Any], Any]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}
_NAMES = {"clicks": "clicks_count", "opens": "opens_count"}


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query.

    Attributes:
        test: whether an email matches.
        equals: conditions ``field = value`` that every match fulfils, for the indexes.
    """

    test: Test
    equals: dict[str, str]


def parse(text: str) -> Query:
    """Parses a query.

    Raises:
        ValueError: SendGrid would answer 400; the text is the message.
    """
    parser = _Parser(_tokens(text))
    test, equals = parser.either()
    if parser.peek() is not None:
        raise ValueError(f"invalid syntax: unexpected {parser.peek()!r}")
    return Query(test, equals)


def _tokens(text: str) -> list[str]:
    tokens, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"invalid syntax: unexpected {text[at:].strip()[:1]!r}")
        tokens.append(match.group(0).strip())
        at = match.end()
    return tokens


class _Parser:
    def __init__(self, tokens: list[str]) -> None:
        self._tokens, self._at = tokens, 0

    def peek(self) -> str | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def either(self) -> tuple[Test, dict[str, str]]:
        test, equals = self._both()
        while self._accept("OR"):
            left, (right, _) = test, self._both()
            test, equals = _any(left, right), {}
        return test, equals

    def _both(self) -> tuple[Test, dict[str, str]]:
        test, equals = self._single()
        while self._accept("AND"):
            left, (right, more) = test, self._single()
            test, equals = _all(left, right), {**equals, **more}
        return test, equals

    def _single(self) -> tuple[Test, dict[str, str]]:
        if self._accept("NOT"):
            test, _ = self._single()
            return (lambda email: not test(email)), {}
        if self._accept("("):
            inner = self.either()
            self._expect(")")
            return inner
        return self._condition()

    def _condition(self) -> tuple[Test, dict[str, str]]:
        name = self._next()
        key = ""
        if name in ("unique_args", "custom_args"):
            self._expect("[")
            key = _unquote(self._next())
            self._expect("]")
            field = f"args:{key}"
        elif name in _FIELDS:
            field = _NAMES.get(name, name)
        else:
            raise ValueError(f"invalid syntax: {name!r} is not a known field")

        def value(email: Json) -> str:
            if key:
                return str((email["custom_args"] or {}).get(key, ""))
            return str(email[field])

        op = self._next().upper()
        if op == "BETWEEN":
            low = self._literal()
            self._expect("AND")
            high = self._literal()
            return (lambda email: low <= value(email) <= high), {}
        if op == "IN":
            self._expect("(")
            options = {self._literal()}
            while self._accept(","):
                options.add(self._literal())
            self._expect(")")
            return (lambda email: value(email) in options), {}
        if op == "LIKE":
            pattern = re.escape(self._literal()).replace("%", ".*").replace("_", ".")
            like = re.compile(pattern, re.IGNORECASE | re.DOTALL)
            return (lambda email: like.fullmatch(value(email)) is not None), {}
        wanted = self._literal()
        if op == "=":
            if field in ("to_email", "from_email"):
                wanted = wanted.lower()
            return (lambda email: value(email) == wanted), {field: wanted}
        if op == "!=":
            return (lambda email: value(email) != wanted), {}
        return _compare(op, value, wanted), {}

    def _literal(self) -> str:
        token = self._next()
        if token.upper() in ("TIMESTAMP", "DATE"):
            token = self._next()
        return _unquote(token)

    def _next(self) -> str:
        token = self.peek()
        if token is None:
            raise ValueError("invalid syntax: unexpected end of query")
        self._at += 1
        return token

    def _accept(self, word: str) -> bool:
        token = self.peek()
        if token is not None and token.upper() == word:
            self._at += 1
            return True
        return False

    def _expect(self, word: str) -> None:
        if not self._accept(word):
            raise ValueError(f"invalid syntax: expected {word!r}, got {self.peek()!r}")


def _any(left: Test, right: Test) -> Test:
    return lambda email: left(email) or right(email)


def _all(left: Test, right: Test) -> Test:
    return lambda email: left(email) and right(email)


def _compare(op: str, value: Callable[[Json], str], wanted: str) -> Test:
    compare = _ORDERS.get(op)
    if compare is None:
        raise ValueError(f"invalid syntax: unknown operator {op!r}")

    def test(email: Json) -> bool:
        have = value(email)
        if wanted.isdigit() and have.isdigit():
            return bool(compare(int(have), int(wanted)))
        return bool(compare(have, wanted))

    return test


def _unquote(token: str) -> str:
    return token[1:-1].replace('\\"', '"') if token[:1] in "\"'" else token
