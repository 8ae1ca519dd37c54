"""What Prometheus reads at ``/metrics``."""

from prometheus_client import CollectorRegistry, Gauge, Histogram

from warehouse.database import Database

REGISTRY = CollectorRegistry()
REQUEST_SECONDS = Histogram(
    "leadengine_request_seconds",
    "Seconds taken to answer a request.",
    ["method", "route", "status"],
    registry=REGISTRY,
)
SENDS = Gauge("leadengine_sends", "Messages by status.", ["status"], registry=REGISTRY)
QUARANTINE = Gauge(
    "leadengine_quarantined_records", "Records set aside while loading.", registry=REGISTRY
)
SCORE_AGE = Gauge(
    "leadengine_score_age_seconds", "Age of the newest scores; -1 before any.", registry=REGISTRY
)

_SEND_STATUSES = (
    "intent", "claimed", "sent", "delivered", "failed", "rejected", "unsettled", "cancelled",
)  # fmt: skip


def refresh(database: Database) -> None:
    """Reads the gauges' present values from the database."""
    with database.connect() as connection:
        statuses = dict(
            connection.execute("select status, count(*) from ops.sends group by status").fetchall()
        )
        quarantined = connection.execute("select count(*) from ops.quarantine").fetchone()
        age = connection.execute(
            "select extract(epoch from now() - max(as_of))::float from ml.lead_scores"
        ).fetchone()
    for status in _SEND_STATUSES:
        SENDS.labels(status).set(statuses.get(status, 0))
    QUARANTINE.set(quarantined[0] if quarantined else 0)
    SCORE_AGE.set(age[0] if age and age[0] is not None else -1)
