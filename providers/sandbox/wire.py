"""Requests, answers and routing: the few parts of HTTP that the sandbox needs, kept cheap.

A handler is a plain function of a request. Nothing in it awaits, so requests are served one after
the other and no two changes of the state can interleave.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson

Json = dict[str, Any]


@dataclass(slots=True)
class Request:
    """One HTTP request, read in full.

    Attributes:
        path: decoded, without the provider's prefix, without a trailing slash.
        query: last value of each parameter.
        headers: names in lower case.
        params: what the route's ``{names}`` matched.
        location_id: the GHL location whose token was given; empty elsewhere.
        base_url: scheme, host and prefix as the client wrote them.
    """

    method: str
    path: str
    query_string: str
    headers: dict[str, str]
    body: bytes
    base_url: str
    query: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    location_id: str = ""
    repeated: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in parse_qsl(self.query_string, keep_blank_values=True):
            self.query[name] = value
            self.repeated.setdefault(name, []).append(value)

    def json(self) -> Any:
        """The body as JSON; an empty body is ``{}``.

        Raises:
            orjson.JSONDecodeError: it is not JSON.
        """
        return orjson.loads(self.body) if self.body else {}

    def form(self) -> dict[str, str]:
        """The body as form fields; the last of a repeated field counts."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))


@dataclass(slots=True)
class Reply:
    """One HTTP answer."""

    status: int = 200
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)
    content_type: str = "application/json"


def reply(data: Any, status: int = 200, headers: list[tuple[str, str]] | None = None) -> Reply:
    """``data`` as JSON."""
    return Reply(status, orjson.dumps(data), headers or [])


class Refusal(Exception):  # noqa: N818 - it is an answer, not a failure of ours
    """Stops a handler and answers with ``reply``."""

    def __init__(self, answer: Reply) -> None:
        super().__init__(answer.status)
        self.answer = answer


Handler = Callable[[Request], Reply]


@dataclass(slots=True)
class Route:
    """A handler and what is checked before it runs.

    ``version`` is the value of GHL's ``Version`` header that the operation wants.
    """

    handler: Handler
    version: str = ""
    limit: str = ""


class Router:
    """Finds routes by walking the path's parts; a literal part wins over a ``{name}``."""

    def __init__(self) -> None:
        self._root: dict[str, Any] = {}

    def add(
        self, method: str, pattern: str, handler: Handler, *, version: str = "", limit: str = ""
    ) -> None:
        """Registers ``METHOD /a/{b}/c``."""
        node = self._root
        names = []
        for part in pattern.strip("/").split("/"):
            if part.startswith("{"):
                names.append(part[1:-1])
                node = node.setdefault("{}", {})
            else:
                node = node.setdefault(part, {})
        node.setdefault(" routes", {})[method] = (Route(handler, version, limit), names)

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | int:
        """The route and its parameters, or the status that says why there is none: 404 or 405."""
        parts = path.strip("/").split("/")
        found: list[str] = []
        node = self._walk(self._root, parts, 0, found)
        if node is None:
            return 404
        entry = node[" routes"].get(method)
        if entry is None:
            return 405
        route, names = entry
        return route, {name: unquote(v) for name, v in zip(names, found, strict=True)}

    def _walk(
        self, node: dict[str, Any], parts: list[str], at: int, found: list[str]
    ) -> dict[str, Any] | None:
        if at == len(parts):
            return node if " routes" in node else None
        exact = node.get(parts[at])
        if exact is not None:
            leaf = self._walk(exact, parts, at + 1, found)
            if leaf is not None:
                return leaf
        wild = node.get("{}")
        if wild is not None and parts[at]:
            found.append(parts[at])
            leaf = self._walk(wild, parts, at + 1, found)
            if leaf is not None:
                return leaf
            found.pop()
        return None
