"""What holds after `leadengine run`, and after a second one."""

import json
from uuid import UUID

import pytest

from tests.end_to_end.conftest import Engine

pytestmark = pytest.mark.timeout(600)


def test_summary_tells_what_a_broker_wants_to_know(engine: Engine) -> None:
    for part in ("Leads", "The ten hottest leads", "Batch", "Written back", "Where to look next"):
        assert part in engine.first_output
    assert "simulated" in engine.first_output


def test_ledger_and_sends_agree_one_to_one(engine: Engine) -> None:
    sent = {
        str(send_id): (channel, address)
        for send_id, channel, address in engine.rows(
            "select send_id, channel, to_address from ops.sends"
            " where status in ('sent', 'delivered', 'failed')"
        )
    }
    accepted = [(str(m["tag"]), (m["channel"], m["to"])) for m in engine.ledger()]
    assert len(accepted) == len(dict(accepted)), "a message was accepted twice"
    assert dict(accepted) == sent
    assert sent, "the run sent nothing at all"


def test_nobody_was_written_to_against_their_will(engine: Engine) -> None:
    contact_of = {
        str(send_id): contact
        for send_id, contact in engine.rows("select send_id, contact_id from ops.sends")
    }
    truth = engine.truth()
    for message in engine.ledger():
        contact = truth[str(contact_of[str(message["tag"])])]
        channel = str(message["channel"])
        assert contact[f"{channel}_consent"] == "yes", contact
        assert not contact["dnd"], contact
        assert {"sms": "SMS", "email": "Email"}[channel] not in str(contact["dnd_channels"])


def test_every_send_carries_its_proof(engine: Engine) -> None:
    (send_id,) = engine.rows("select send_id from ops.sends where status = 'sent' limit 1")[0]
    assert isinstance(send_id, UUID)
    result = engine.command("explain-send", str(send_id))
    assert result.returncode == 0, result.stderr
    proof = json.loads(result.stdout)
    assert {"message", "template", "sequence", "batch", "consent", "rules", "score"} <= proof.keys()
    assert proof["consent"]["row"]["action"] == "granted"
    assert proof["consent"]["hash_matches"]
    assert proof["message"]["body_matches"]
    assert proof["template"]["version_matches"]


def test_every_open_lead_has_a_score_and_reasons(engine: Engine) -> None:
    missing = engine.rows(
        "select leads.lead_id from marts.dim_leads as leads"
        " left join ml.current_lead_scores as scores on leads.lead_id = scores.lead_id"
        " where leads.is_open and scores.lead_id is null"
    )
    assert missing == []
    bad = engine.rows(
        "select lead_id from ml.current_lead_scores where jsonb_array_length(reasons) = 0"
    )
    assert bad == []


def test_batch_has_one_decision_and_reason_per_candidate(engine: Engine) -> None:
    decisions = dict(
        engine.rows("select decision, count(*) from ops.batch_items group by decision")  # type: ignore[arg-type]
    )
    assert {"send", "holdout", "suppress"} <= decisions.keys()
    assert engine.rows("select 1 from ops.batch_items where reason = '' or reason_code = ''") == []


def test_broken_records_are_in_quarantine_with_a_reason(engine: Engine) -> None:
    rows = engine.rows("select entity, reason from ops.quarantine")
    assert rows, "the simulated brokerage holds broken records"
    assert all(reason for _, reason in rows)


def test_score_command_agrees_with_the_batch_scores(engine: Engine) -> None:
    (lead_id, score) = engine.rows(
        "select lead_id, score from ml.current_lead_scores order by rank limit 1"
    )[0]
    result = engine.command("score", "--lead", str(lead_id))
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout)
    assert {"score", "tier", "reasons", "features"} <= answer.keys()
    # Minutes have passed, and what was sent since counts: the same lead, hardly another score.
    assert abs(answer["score"] - float(str(score))) < 0.25


def test_a_batch_lives_on_the_command_line(engine: Engine) -> None:
    planned = engine.command("batch", "plan", "--size", "40", "--json")
    assert planned.returncode == 0, planned.stderr
    batch = json.loads(planned.stdout)
    assert batch["counts"].keys() <= {"send", "holdout", "suppress"}
    shown = engine.command("batch", "show")
    assert batch["batch_id"] in shown.stdout
    assert "planned" in shown.stdout
    assert "Held out on purpose" in shown.stdout
    (lead_id,) = engine.rows(
        f"select lead_id from ops.batch_items where batch_id = '{batch['batch_id']}'"
        " order by rank limit 1"
    )[0]
    assert str(lead_id) not in shown.stdout
    assert str(lead_id) in engine.command("batch", "show", "--ids").stdout
    refused = engine.command("batch", "dispatch", batch["batch_id"])
    assert refused.returncode == 1
    assert "approve" in refused.stderr
    approved = engine.command("batch", "approve", batch["batch_id"], "--by", "Bo Broker")
    assert approved.returncode == 0, approved.stderr
    sent = engine.command("batch", "dispatch", batch["batch_id"])
    assert sent.returncode == 0, sent.stderr
    measured = engine.command("batch", "measure", "--json")
    assert json.loads(measured.stdout)["verdict"]


def test_doctor_finds_nothing_wrong(engine: Engine) -> None:
    result = engine.command("doctor")
    assert result.returncode == 0, result.stdout + result.stderr


def test_second_run_is_incremental_and_sends_nobody_the_same_twice(engine: Engine) -> None:
    before = {str(message["tag"]) for message in engine.ledger()}
    contacts = engine.rows("select count(*) from raw_ghl.contacts")
    second = engine.command("run")
    assert second.returncode == 0, second.stdout + second.stderr
    ledger = engine.ledger()
    tags = [str(message["tag"]) for message in ledger]
    assert len(tags) == len(set(tags))
    assert before <= set(tags)
    pairs = engine.rows(
        "select lead_id, sequence, step, count(*) from ops.sends"
        " group by lead_id, sequence, step having count(*) > 1"
    )
    assert pairs == []
    loads = engine.rows(
        "select full_load from ops.load_runs"
        " where entity in ('contacts', 'messages') order by load_run_id desc limit 1"
    )
    assert loads == [(False,)]
    assert engine.rows("select count(*) from raw_ghl.contacts") == contacts


def test_runs_are_recorded_for_dagster(engine: Engine) -> None:
    runs = engine.rows("select pipeline_name, status from dagster.runs order by id")
    names = [name for name, _ in runs]
    assert names[:3] == ["full_refresh", "nurture_batch", "writeback"]
    assert {status for _, status in runs} == {"SUCCESS"}
