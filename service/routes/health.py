"""Is it alive, is it ready, how does it stand, and its metrics."""

from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from leadengine.errors import LeadEngineError
from service.dependencies import DatabaseDependency
from service.metrics import REGISTRY, refresh
from warehouse.migrate import current, head

router = APIRouter(tags=["health"])


@router.get("/health/live")
def live() -> dict[str, str]:
    """The process runs."""
    return {"status": "live"}


@router.get("/health/ready")
def ready(database: DatabaseDependency, response: Response) -> dict[str, str]:
    """The database answers and is at the code's revision; 503 otherwise."""
    try:
        database.check()
        revision = current(database)
    except LeadEngineError as error:
        response.status_code = 503
        return {"status": "not ready", "reason": error.message}
    if revision != head():
        response.status_code = 503
        return {"status": "not ready", "reason": f"database at revision {revision}, not {head()}"}
    return {"status": "ready"}


@router.get("/health/status")
def status(database: DatabaseDependency) -> dict[str, Any]:
    """Counts that say how the engine stands."""
    query = """
        select
            (select max(finished_at) from ops.load_runs) as last_load,
            (select max(as_of) from ml.lead_scores) as last_scores,
            (select count(*) from ops.sends where status = 'intent') as sends_waiting,
            (select count(*) from ops.sends where status = 'unsettled') as sends_unsettled,
            (select count(*) from ops.quarantine) as quarantined
    """
    with database.connect() as connection:
        cursor = connection.execute(query)
        names = [column.name for column in cursor.description or ()]
        row = cursor.fetchone() or ()
    return dict(zip(names, row, strict=False))


@router.get("/metrics")
def metrics(database: DatabaseDependency) -> Response:
    """Prometheus metrics."""
    refresh(database)
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)
