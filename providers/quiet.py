"""Keeps the libraries below our clients from logging what must not be logged.

At DEBUG the SDKs log bodies and headers; httpx logs whole URLs, whose queries carry phone numbers
and addresses. A person who turns DEBUG on must not turn that on. Filters do it, because a level
would be undone by the next logging configuration.
"""

from __future__ import annotations

import logging

_BODIES = (
    "python_http_client.client",
    "anthropic._base_client",
    "twilio.http_client",
    "urllib3.connectionpool",
)
_URLS = ("httpx", "httpx2")


class _Nothing(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING


class _NoQuery(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(_without_query(value) for value in record.args)
        return True


def _without_query(value: object) -> object:
    # httpx's URL class, which is named the same in both of its packages.
    if type(value).__name__ == "URL":
        return str(value).partition("?")[0]
    return value


def silence() -> None:
    """Installs the filters once; further calls change nothing."""
    for names, kind in ((_BODIES, _Nothing), (_URLS, _NoQuery)):
        for name in names:
            logger = logging.getLogger(name)
            if not any(isinstance(existing, kind) for existing in logger.filters):
                logger.addFilter(kind())
