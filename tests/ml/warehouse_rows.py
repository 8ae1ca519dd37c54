"""A training set and a feature table with the warehouse's columns and a known truth."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg

from warehouse.copy import copy_rows
from warehouse.database import Database

START = datetime(2025, 1, 1, tzinfo=UTC)
FEATURES = {
    "days_since_created": "double precision",
    "days_since_last_inbound": "double precision",
    "days_dormant": "double precision",
    "inbound_count_7d": "integer",
    "inbound_count_30d": "integer",
    "outbound_count_30d": "integer",
    "reply_ratio": "double precision",
    "appointments_pending_count": "integer",
    "email_click_count_90d": "integer",
    "source": "text",
    "lead_intent": "text",
    "timeline": "text",
    "beds": "integer",
    "price_max_cents": "bigint",
}


def features_of(random: np.random.Generator, days: float) -> tuple[list[Any], float]:
    """One row of features and its true probability of the label."""
    replies = int(random.poisson(0.6))
    last = None if random.random() < 0.3 else float(random.uniform(0, max(days, 1)))
    sent = int(random.poisson(3))
    pending = int(random.random() < 0.1)
    clicks = int(random.poisson(0.4))
    source = random.choice(["zillow", "referral", "open house", "facebook", None])
    timeline = random.choice(["0-3 months", "3-6 months", "6-12 months", None])
    log_odds = (
        -3.4
        + 0.7 * replies
        + 1.4 * pending
        + 0.3 * clicks
        + 0.9 * (source == "referral")
        + 0.7 * (timeline == "0-3 months")
        - 0.004 * days
        + (0.5 if last is not None and last < 14 else 0.0)
    )
    row = [
        days, last, last if last is not None else days, min(replies, 2), replies, sent,
        replies / sent if sent else None, pending, clicks,
        None if source is None else str(source), str(random.choice(["buy", "sell", "both"])),
        None if timeline is None else str(timeline), int(random.integers(1, 6)),
        int(random.integers(20, 200)) * 1_000_000,
    ]  # fmt: skip
    return row, float(1 / (1 + np.exp(-log_odds)))


def fill(database: Database, leads: int, points: int = 6, seed: int = 1) -> dict[str, float]:
    """Makes and fills the two tables; returns the true probability per open lead."""
    random = np.random.default_rng(seed)
    columns = ", ".join(f"{name} {kind}" for name, kind in FEATURES.items())
    now = START + timedelta(days=500)
    training, current, truth = [], [], {}
    for i in range(leads):
        lead, location = f"loc{i % 2}:c{i:06d}", f"loc{i % 2}"
        created = START + timedelta(days=float(random.uniform(0, 400)))
        for point in range(points):
            as_of = created + timedelta(days=1 + 30 * point)
            if as_of + timedelta(days=60) > now:
                break
            row, p = features_of(random, 1.0 + 30 * point)
            training.append([lead, location, as_of, lead, int(random.random() < p), *row])
        row, truth[lead] = features_of(random, (now - created).total_seconds() / 86_400)
        current.append([lead, location, now, *row])
    with database.connect() as connection:
        connection.execute("create schema if not exists marts")
        for table, label, rows in (
            ("lead_training_set", "split_group text, label integer, ", training),
            ("lead_features", "", current),
        ):
            connection.execute(f"drop table if exists marts.{table}")
            connection.execute(
                f"create table marts.{table} (lead_id text, location_id text, "
                f"as_of timestamptz, {label}{columns})"
            )
            names = ["lead_id", "location_id", "as_of"]
            names += [*(["split_group", "label"] if label else []), *FEATURES]
            copy_rows(connection, f"marts.{table}", names, rows)
    return truth


def count(connection: psycopg.Connection, table: str) -> int:
    """Rows of a table."""
    row = connection.execute(f"select count(*) from {table}").fetchone()  # type: ignore[arg-type]
    return int(row[0]) if row else 0
