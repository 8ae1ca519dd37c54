"""Why was this message sent? Everything from the words back to the source."""

import json
from uuid import uuid4

import pytest

from activation.approve import BatchError
from activation.explain import explain_send
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
            " now() - interval '9 days' as known_at",
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
