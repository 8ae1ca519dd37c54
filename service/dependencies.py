"""What routes are given.

All of it is at hand, hence ``async``: FastAPI hands what is not to a thread, at each request anew.
"""

import secrets
from typing import Annotated

from fastapi import Depends, HTTPException, Request

from leadengine.settings import Settings
from warehouse.database import Database

_LOOPBACK = {"127.0.0.1", "::1", "testclient"}


async def _settings(request: Request) -> Settings:
    return request.app.state.settings  # type: ignore[no-any-return]


async def _database(request: Request) -> Database:
    return request.app.state.database  # type: ignore[no-any-return]


def authorise(request: Request) -> None:
    """Lets in who bears the API token; without one configured, only callers on this machine."""
    token = request.app.state.settings.api_token
    if token is None:
        if request.client is not None and request.client.host in _LOOPBACK:
            return
        raise HTTPException(403, "LEADENGINE_API_TOKEN is not set; only local callers are served")
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    right = secrets.compare_digest(given.encode(), token.get_secret_value().encode())
    if scheme.lower() != "bearer" or not right:
        raise HTTPException(401, "a valid bearer token is needed", {"WWW-Authenticate": "Bearer"})


SettingsDependency = Annotated[Settings, Depends(_settings)]
DatabaseDependency = Annotated[Database, Depends(_database)]
