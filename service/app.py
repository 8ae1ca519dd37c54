"""The service: ``uvicorn service.app:create_app --factory``."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from leadengine.errors import LeadEngineError
from leadengine.log import configure_logging
from leadengine.settings import Settings, get_settings
from ml.online import OnlineScorer
from providers.connection import resolve_settings
from service.routes import health, scores, unsubscribe, webhooks
from service.timing import Timing
from warehouse.database import Database, open_database
from warehouse.migrate import upgrade


def create_app(settings: Settings | None = None, database: Database | None = None) -> FastAPI:
    """Builds the application.

    Args:
        settings: default: from the environment.
        database: default: the one that the settings name, migrated when the service starts.
    """
    used = settings or get_settings()
    if settings is None and used.sandbox_url:
        used = resolve_settings(used)  # what the sandbox signs with is for it to tell
    configure_logging(used.log_level, used.log_format)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.settings = used
        app.state.database = database or open_database(used)
        upgrade(app.state.database)
        async with OnlineScorer(app.state.database, used) as app.state.scorer:
            yield
        app.state.database.engine.dispose()

    app = FastAPI(title="Lead engine", version="0.1.0", lifespan=lifespan)
    app.include_router(scores.router)  # first, since routes are tried in this order
    app.include_router(health.router)
    app.include_router(unsubscribe.router)
    app.include_router(webhooks.router)

    @app.exception_handler(LeadEngineError)
    async def tell(_request: Request, error: LeadEngineError) -> JSONResponse:
        return JSONResponse({"error": error.message, "remedy": error.remedy}, status_code=503)

    app.add_middleware(Timing)
    return app
