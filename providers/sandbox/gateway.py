"""The HTTP side: reads a request, lets the account answer it, and misbehaves when told to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, MutableMapping
from time import perf_counter
from typing import Any
from urllib.parse import unquote

import orjson

from leadengine.log import get_logger
from providers.sandbox.accounts import Account, make_accounts
from providers.sandbox.chance import iso
from providers.sandbox.control import Control
from providers.sandbox.faults import Fault
from providers.sandbox.state import Sandbox
from providers.sandbox.wire import Refusal, Reply, Request, Router, reply

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_TICK_SECONDS = 0.2
_log = get_logger("sandbox")


class Gateway:
    """The ASGI application.

    Args:
        sandbox: its state, started.
        latency: seconds that every call of a provider takes at least.
    """

    def __init__(self, sandbox: Sandbox, *, latency: float = 0.0) -> None:
        self._sandbox = sandbox
        self._latency = latency
        self._accounts = make_accounts(sandbox)
        self._control = Control(sandbox)
        self._own = Router()
        self._control.routes(self._own)
        self._ticker: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a request, or the server's start and end."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)

    # -- start and end ------------------------------------------------------------------------

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._sandbox.start()
                self._ticker = asyncio.create_task(self._tick())
                await send({"type": "lifespan.startup.complete"})
            else:
                if self._ticker is not None:
                    self._ticker.cancel()
                self._sandbox.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            try:
                self._sandbox.tick()
            except Exception:
                _log.exception("the sandbox's ticker failed; it goes on")

    # -- requests -----------------------------------------------------------------------------

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = perf_counter()
        request, provider = await _read(scope, receive)
        if provider not in self._accounts:
            await _answer(send, self._control_answer(request))
            return
        faults = self._sandbox.faults
        struck = faults.for_request(provider, request.method, request.path) if faults.active else {}
        wait = self._latency
        if "latency" in struck:
            wait += struck["latency"].value / 1000
        if wait:
            await asyncio.sleep(wait)
        answer = self._provider_answer(self._accounts[provider], request, struck.get("status"))
        dropped = "drop_response" in struck
        self._control.record(
            {
                "provider": provider,
                "method": request.method,
                "path": request.path,
                "status": answer.status,
                "time": iso(self._sandbox.now()),
                "milliseconds": round((perf_counter() - began) * 1000, 3),
                "dropped": dropped,
            }
        )
        if dropped:
            await _drop(scope, receive)
        else:
            await _answer(send, answer)

    def _provider_answer(self, account: Account, request: Request, fault: Fault | None) -> Reply:
        if fault is not None and not fault.after_work:
            return _failed(account, int(fault.value), None)
        self._sandbox.advance()
        found = account.router.find(request.method, request.path)
        if isinstance(found, int):
            return account.unknown(request, found)
        route, request.params = found
        headers: list[tuple[str, str]] = []
        try:
            headers = account.admit(request, route, unlimited=self._sandbox.unlimited)
            answer = route.handler(request)
        except Refusal as refusal:
            answer = refusal.answer
        except orjson.JSONDecodeError:
            answer = account.broken(400, None)
        except Exception:
            _log.exception("%s %s failed", request.method, request.path)
            answer = account.broken(500, None)
        if headers:
            answer.headers = [*answer.headers, *headers]
        if fault is not None:
            return _failed(account, int(fault.value), answer)
        return answer

    def _control_answer(self, request: Request) -> Reply:
        found = self._own.find(request.method, request.path)
        if isinstance(found, int):
            return reply({"error": f"{request.path} is not an address of the sandbox"}, found)
        route, request.params = found
        self._sandbox.advance()
        try:
            return route.handler(request)
        except Refusal as refusal:
            return refusal.answer


def _failed(account: Account, status: int, done: Reply | None) -> Reply:
    return account.too_many() if status == 429 else account.broken(status, done)


async def _read(scope: Scope, receive: Receive) -> tuple[Request, str]:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
    raw = scope.get("raw_path") or scope["path"].encode()
    path = raw.decode("latin-1")
    provider, _, rest = path.lstrip("/").partition("/")
    if provider.startswith("_"):
        provider, rest = "", path
    base = f"{scope.get('scheme', 'http')}://{headers.get('host', 'localhost')}/{provider}"
    path = "/" + rest.strip("/")
    request = Request(
        scope["method"],
        path if "%2F" in path.upper() else unquote(path),
        scope["query_string"].decode("latin-1"),
        headers,
        body,
        base,
    )
    return request, provider


async def _answer(send: Send, answer: Reply) -> None:
    headers = [
        (b"content-type", answer.content_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
    ]
    headers += [(k.encode("latin-1"), v.encode("latin-1")) for k, v in answer.headers]
    if answer.status == 204:
        headers = headers[2:]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


async def _drop(scope: Scope, receive: Receive) -> None:
    """Closes the connection without a byte of an answer."""
    abort = scope.get("state", {}).get("abort")
    if abort is None:
        raise ConnectionAbortedError("told to drop this answer")
    abort()
    # The server has noticed once it says so; before, it would try to answer in our stead.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(5):
            while (await receive())["type"] != "http.disconnect":
                pass
