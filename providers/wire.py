"""The transport below the official SDKs of Twilio and SendGrid: urllib3, kept alive and lean.

Messages go out by the thousand, and most of what a message costs us is its HTTP request: urllib3
takes less of Python's one core for one than httpx. What a failure means is decided by the rules of
:mod:`providers.http`, whichever library carried the request.
"""

from __future__ import annotations

import logging
import os
import ssl
import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import certifi
import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    EmptyPoolError,
    HTTPError,
    LocationValueError,
    NewConnectionError,
    ProxyError,
    SSLError,
)
from urllib3.exceptions import (
    TimeoutError as WireTimeoutError,
)

from leadengine.log import get_logger
from providers.core import current_operation
from providers.errors import NotSent, Unknown
from providers.http import Provider, answered, failure, unreachable

log = get_logger("providers.http")

CONNECTIONS = 32
TIMEOUT = urllib3.Timeout(connect=5.0, read=30.0)
# Common servers drop idle connections after 5 s; a request on one that is just being closed gets
# no answer and would count as unknown.
IDLE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class WireAnswer:
    """An answer whose status is 2xx, read in full."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _FreshConnections:
    """Reconnects where a connection has been idle for so long that the server may be closing it."""

    def _get_conn(self, timeout: float | None = None) -> Any:
        connection: Any = super()._get_conn(timeout=timeout)  # type: ignore[misc]
        idle_since: float | None = getattr(connection, "idle_since", None)
        if idle_since is not None and time.monotonic() - idle_since > IDLE_SECONDS:
            connection.close()
        return connection

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.idle_since = time.monotonic()
        super()._put_conn(conn)  # type: ignore[misc]


class _HTTPPool(_FreshConnections, urllib3.HTTPConnectionPool):
    pass


class _HTTPSPool(_FreshConnections, urllib3.HTTPSConnectionPool):
    pass


class Wire:
    """Connections to one provider, shared by threads. No redirect is followed, nothing repeated.

    Args:
        base_url: scheme, host and the part of the path before the API's own.
        provider: how to speak of it in errors.
        auth: user and password for HTTP basic authentication.
    """

    def __init__(
        self, base_url: str, provider: Provider, auth: tuple[str, str] | None = None
    ) -> None:
        parts = urlsplit(base_url)
        self.timeout = TIMEOUT
        self._base_url = base_url
        self._prefix = parts.path.rstrip("/")
        self._provider = provider
        self._manager = _manager(parts.scheme, parts.hostname or "")
        self._pool = self._manager.connection_from_url(base_url)
        self._headers = {"Accept-Encoding": "identity"}
        if auth is not None:
            token = b64encode(":".join(auth).encode()).decode()
            self._headers["Authorization"] = f"Basic {token}"

    def close(self) -> None:
        """Closes the connections."""
        self._manager.clear()

    def send(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> WireAnswer:
        """Sends once and reads the whole answer.

        Args:
            method: upper case.
            path: the API's own, with its query.
            body: as it goes out.
            headers: beside the connection's own.

        Raises:
            NotSent: no connection came about, or HTTP 429.
            Rejected: any other 3xx or 4xx.
            Unknown: the connection broke or timed out after the request may have left, or 5xx.
        """
        started = time.monotonic()
        try:
            response = self._pool.urlopen(
                method,
                self._prefix + path,
                body=body,
                headers={**self._headers, **(headers or {})},
                retries=False,
                redirect=False,
                timeout=self.timeout,
                pool_timeout=5,
            )
        except (NewConnectionError, ConnectTimeoutError, ProxyError) as error:
            raise unreachable(self._provider, self._base_url, error) from None
        except EmptyPoolError as error:
            raise failure(NotSent, self._provider, "pool_timeout", error) from None
        except LocationValueError as error:
            raise failure(NotSent, self._provider, "bad_url", error) from None
        except SSLError as error:
            # A certificate is judged before anything is sent; what breaks later may break after.
            if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in error.args):
                raise unreachable(self._provider, self._base_url, error) from None
            raise failure(Unknown, self._provider, "connection_lost", error) from None
        except WireTimeoutError as error:
            raise failure(Unknown, self._provider, "timeout", error) from None
        except HTTPError as error:
            raise failure(Unknown, self._provider, "connection_lost", error) from None
        if log.isEnabledFor(logging.DEBUG):
            # The path only: queries carry phone numbers and addresses.
            log.debug(
                "%s %s %s %s: %d in %.0f ms",
                self._provider.name,
                current_operation.get(),
                method,
                path.partition("?")[0],
                response.status,
                (time.monotonic() - started) * 1000,
            )
        answered(self._provider, response.status, response.headers, response.data)
        return WireAnswer(response.status, response.headers, response.data)


def _manager(scheme: str, host: str) -> urllib3.PoolManager:
    options: dict[str, Any] = {"maxsize": CONNECTIONS, "block": True}
    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    if scheme == "https":
        options["ca_certs"] = os.environ.get("SSL_CERT_FILE") or certifi.where()
    if proxy and not proxy_bypass(host):
        manager: urllib3.PoolManager = urllib3.ProxyManager(proxy, **options)
    else:
        manager = urllib3.PoolManager(**options)
    manager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
    return manager
