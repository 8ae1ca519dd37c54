"""A small HTTP/1.1 client for webhooks: keeps connections, knows POST, and costs little.

A busy sandbox posts more webhooks than it serves requests, on the same core, so a general client
would be what bounds it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import defaultdict
from urllib.parse import urlsplit

_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Poster:
    """Posts bodies and returns the status, or 0 when no answer came."""

    def __init__(self, timeout: float = 15.0) -> None:
        self._timeout = timeout
        self._idle: defaultdict[tuple[str, str, int], list[_Connection]] = defaultdict(list)

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> int:
        """One POST; a connection that was kept and turns out closed is replaced once."""
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        where = (parts.scheme, parts.hostname or "", port)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [f"POST {target} HTTP/1.1", f"Host: {parts.netloc}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [f"Content-Length: {len(body)}", "", ""]
        message = "\r\n".join(lines).encode("latin-1") + body
        try:
            async with asyncio.timeout(self._timeout):
                while self._idle[where]:
                    status = await self._exchange(where, self._idle[where].pop(), message)
                    if status:
                        return status
                return await self._exchange(where, await self._open(where), message)
        except (OSError, TimeoutError, ValueError):
            return 0

    def close(self) -> None:
        """Closes what is idle."""
        for connections in self._idle.values():
            for _, writer in connections:
                writer.close()
        self._idle.clear()

    async def _open(self, where: tuple[str, str, int]) -> _Connection:
        scheme, host, port = where
        context = ssl.create_default_context() if scheme == "https" else None
        return await asyncio.open_connection(host, port, ssl=context)

    async def _exchange(
        self, where: tuple[str, str, int], connection: _Connection, message: bytes
    ) -> int:
        reader, writer = connection
        keep = False
        try:
            writer.write(message)
            await writer.drain()
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            status = int(head[0].split(" ")[1])
            headers = {
                name.strip().lower(): value.strip()
                for name, _, value in (line.partition(":") for line in head[1:])
            }
            if "content-length" in headers:
                await reader.readexactly(int(headers["content-length"]))
                keep = headers.get("connection", "").lower() != "close"
            elif status == 204:
                keep = headers.get("connection", "").lower() != "close"
        except (asyncio.IncompleteReadError, ConnectionError):
            return 0
        else:
            return status
        finally:
            if keep:
                self._idle[where].append(connection)
            else:
                with contextlib.suppress(OSError):
                    writer.close()
