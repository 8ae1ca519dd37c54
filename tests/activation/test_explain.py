"""Why was this message sent? Everything from the words back to the source."""

import json
import math
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from psycopg.types.json import Jsonb

from activation.approve import BatchError
from activation.explain import explain_send
from activation.queries import load_sql
from ml.schema import FIRST_LEVEL
from ml.vectors import pack
from tests.activation.batches import approved, dispatch
from tests.activation.conftest import World
from tests.activation.marts import Lead, add_leads, phone, rows


def test_the_proof_is_complete(world: World) -> None:
    loc = world.locations[0]
    add_leads(world.database, [Lead("a", loc, phone=phone(1)), Lead("m", loc, score=0.5)])
    batch = approved(world)
    dispatch(world, batch)
    for (send_id,) in rows(world.database, "select send_id from ops.sends"):
        proof = explain_send(world.database, send_id)
        json.dumps(proof, default=str)
        message = proof["message"]
        [line] = [entry for entry in world.ledger() if entry["tag"] == str(send_id)]
        assert message["body"] == line["body"]
        assert message["body_matches"] is True
        assert message["provider_message_id"] == line["id"]
        assert proof["template"]["version_matches"] is True
        assert proof["sequence"]["id"] == "hot_follow_up"
        assert proof["sequence"]["step"] == 1
        assert proof["batch"]["batch_id"] == str(batch)
        assert proof["batch"]["approved_by"] == "Bo Broker"
        assert proof["batch"]["decision"]["reason_code"] == "send_now"
        assert proof["consent"]["row"]["action"] == "granted"
        assert proof["consent"]["row"]["consent_text"] == "I agree"
        assert proof["consent"]["hash_matches"] is True
        assert proof["rules"]["version_matches"] is True
        assert proof["rules"]["in_force"]
        assert proof["score"]["model_version"] == "7"
        assert proof["score"]["features"] == {"touches_30d": 3}
        assert proof["score"]["reasons"][0]["sentence"] == "Asked twice"
        [lead] = proof["source_rows"]["marts.dim_leads"]
        assert lead["lead_id"] == message["lead_id"]
        actions = {entry["action"] for entry in proof["audit_trail"]}
        assert {"batch_planned", "batch_approved", "batch_queued", "batch_dispatched"} <= actions


def test_a_consent_row_that_was_tampered_with_shows(world: World) -> None:
    add_leads(world.database, [Lead("a", world.locations[0])])
    dispatch(world, approved(world))
    with world.database.connect() as connection:
        connection.execute("update ops.consent_logs set consent_text = 'something else'")
        connection.execute("update ops.sends set body = body || '!'")
        [(send_id,)] = connection.execute("select send_id from ops.sends").fetchall()
    proof = explain_send(world.database, send_id)
    assert proof["consent"]["hash_matches"] is False
    assert proof["message"]["body_matches"] is False


def test_source_rows_of_the_crm_and_the_timeline_are_shown(world: World) -> None:
    add_leads(world.database, [Lead("a", world.locations[0])])
    with world.database.connect() as connection:
        connection.execute(
            "create table raw_ghl.contacts as select 'a' as id, %s::text as location_id,"
            " 'website' as source",
            (world.locations[0],),
        )
        connection.execute(
            "create table intermediate.int_lead_timeline as select 'e1' as event_id,"
            " %s::text as lead_id, now() - interval '9 days' as occurred_at,"
            " now() - interval '9 days' as known_at, 'ghl' as source_system, 'r1' as source_row_id",
            (f"{world.locations[0]}:a",),
        )
    dispatch(world, approved(world))
    [(send_id,)] = rows(world.database, "select send_id from ops.sends")
    sources = explain_send(world.database, send_id)["source_rows"]
    assert sources["raw_ghl.contacts"][0]["source"] == "website"
    assert [event["event_id"] for event in sources["intermediate.int_lead_timeline"]] == ["e1"]


def test_an_unknown_message(world: World) -> None:
    with pytest.raises(BatchError, match="no message"):
        explain_send(world.database, uuid4())


def test_the_vector_is_told_by_name_and_the_raw_rows_by_id(world: World) -> None:
    loc = world.locations[0]
    add_leads(world.database, [Lead("a", loc)])
    columns = [
        {"name": "touches_30d", "kind": "numeric", "levels": []},
        {"name": "source", "kind": "categorical", "levels": ["website", "zillow"]},
        {"name": "price", "kind": "numeric", "levels": []},
    ]
    vectors = np.array([[1.0, FIRST_LEVEL, 2.0], [7.0, FIRST_LEVEL + 1, math.nan]])
    with world.database.connect() as connection:
        [(block_id,)] = connection.execute(
            "insert into ml.feature_blocks (location_id, as_of, model_name, model_version,"
            " row_count, vectors, stored_at, feature_columns)"
            " values (%s, now(), 'm', '7', 2, %s, now(), %s) returning block_id",
            (loc, pack(vectors), Jsonb(columns)),
        ).fetchall()
        connection.execute(
            "update ml.lead_scores set features = null, block_id = %s, block_row = 1", (block_id,)
        )
        connection.execute(
            "create table intermediate.int_lead_timeline as select * from (values"
            " ('e1', %(lead)s, now() - interval '9 days', now() - interval '9 days', 'ghl', 'm1'),"
            " ('e2', %(lead)s, now() - interval '8 days', now() - interval '8 days', 'twilio',"
            " 'SM2'), ('e3', %(lead)s, now() - interval '7 days', now() + interval '9 days', 'ghl',"
            " 'late')) as events (event_id, lead_id, occurred_at, known_at, source_system,"
            " source_row_id)",
            {"lead": f"{loc}:a"},
        )
    dispatch(world, approved(world))
    [(send_id,)] = rows(world.database, "select send_id from ops.sends")
    proof = explain_send(world.database, send_id)
    assert proof["score"]["features"] == {"touches_30d": 7.0, "source": "zillow", "price": None}
    assert proof["source_ids"] == {"ghl": ["m1"], "twilio": ["SM2"]}


def test_no_table_is_read_through(world: World) -> None:
    """With scans forbidden, a table without a fitting index would still show one."""
    add_leads(world.database, [Lead("a", world.locations[0])])
    dispatch(world, approved(world))
    [(send_id,)] = rows(world.database, "select send_id from ops.sends")
    with world.database.connect() as connection:
        connection.execute("set enable_seqscan = off")
        [(plan,)] = connection.execute(
            f"explain (format json) {load_sql('explain_send')}".encode(), {"send_id": send_id}
        ).fetchall()
    nodes = list(walk(plan[0]["Plan"]))
    assert "sends" in {node.get("Relation Name") for node in nodes}
    assert [node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"] == []


def walk(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from walk(child)
