"""Whole loads from a CRM that does what the test says."""

from datetime import timedelta

import pytest

from ingestion.changes import has_new_data
from ingestion.load import LoadIncompleteError, load_source
from leadengine.errors import LeadEngineError
from tests.ingestion.conftest import START, Crm, contact, message, stamp


def seed(crm: Crm) -> None:
    """Two locations with a few of everything."""
    for place in ("L1", "L2"):
        crm.ghl.put(
            place, "contacts", *(contact(f"C{n}", firstName=f"{place}-{n}") for n in range(1, 8))
        )
        crm.ghl.put(place, "messages", *(message(f"M{n}") for n in range(1, 8)))
        crm.ghl.put(place, "messages", message("E1", messageType="TYPE_EMAIL"))
        crm.ghl.put(
            place,
            "opportunities",
            {"id": "O1", "contactId": "C1", "status": "open", "createdAt": stamp(-50),
             "updatedAt": stamp(-40), "monetaryValue": 1234.5},
        )  # fmt: skip
        crm.ghl.put(place, "pipelines", {"id": "P1", "name": "Buyers", "stages": [{"id": "S"}]})
        crm.ghl.put(place, "users", {"id": "U1", "name": "Ann", "roles": {"role": "admin"}})
        crm.ghl.put(place, "calendars", {"id": "K1", "name": "Viewings", "locationId": place})
        crm.ghl.put(place, "workflows", {"id": "W1", "name": "Drip", "status": "published"})
        crm.ghl.put(place, "custom_fields", {"id": "F1", "name": "Beds", "fieldKey": "contact.b"})
        crm.ghl.put(
            place,
            "appointments",
            {"id": "A1", "calendarId": "K1", "contactId": "C1", "appointmentStatus": "confirmed",
             "startTime": stamp(-10), "endTime": stamp(-9.9), "dateAdded": stamp(-20)},
        )  # fmt: skip
        crm.ghl.put(place, "tasks", *({"id": f"T{n}", "title": "Call"} for n in range(1, 6)))


def test_a_full_load_brings_every_entity_of_every_location(crm: Crm) -> None:
    seed(crm)
    results = crm.load()
    counts = {
        "contacts": 7, "messages": 8, "opportunities": 1, "pipelines": 1, "users": 1,
        "locations": 1, "calendars": 1, "appointments": 1, "workflows": 1, "custom_fields": 1,
        "tasks": 5, "transcriptions": 0, "contact_tombstones": 0,
    }  # fmt: skip
    for place in ("L1", "L2"):
        for table, count in counts.items():
            assert results[table, place].rows_loaded == count, table
            found = crm.query(
                f"select count(*), bool_and(_backfill) from raw_ghl.{table} "
                f"where location_id = '{place}'"
            )
            assert found == [(count, True if count else None)]
    assert results["contacts", "L1"].cursor == (START - timedelta(days=60)).isoformat()
    assert results["contacts", "L1"].full_load
    names = crm.query("select location_id, first_name from raw_ghl.contacts where id = 'C3'")
    assert sorted(names) == [("L1", "L1-3"), ("L2", "L2-3")]
    assert crm.column("select role from raw_ghl.users") == ["admin", "admin"]
    assert crm.column("select _known_at from raw_ghl.tasks limit 1") == [START]


def test_every_load_is_written_down(crm: Crm) -> None:
    seed(crm)
    crm.load()
    rows = crm.query(
        "select source, rows_loaded, rows_quarantined, cursor::timestamptz, full_load "
        "from ops.load_runs where entity = 'messages' and location_id = 'L1'"
    )
    assert rows == [("ghl", 8, 0, START - timedelta(days=30), True)]


def test_a_second_load_writes_nothing_and_asks_for_little(crm: Crm) -> None:
    seed(crm)
    crm.load()
    before = crm.query("select id, location_id, _loaded_at, _dlt_id from raw_ghl.contacts")
    crm.clock.advance(timedelta(hours=1))
    results = crm.load()
    assert {result.rows_loaded for result in results.values()} == {0}
    assert crm.query("select id, location_id, _loaded_at, _dlt_id from raw_ghl.contacts") == before
    assert not results["messages", "L1"].full_load
    assert crm.ghl.count("messages") == 2 * (3 + 1)  # texts and emails: all in the window


def test_an_hourly_load_reads_only_what_is_newer_than_the_overlap(crm: Crm) -> None:
    seed(crm)
    for place in ("L1", "L2"):
        crm.ghl.put(place, "messages", message("new", added=-0.1))
    crm.load()
    crm.load("messages")
    assert crm.ghl.count("messages") == 2 * 2  # one page a list: only the newest is in the window


def test_changed_late_and_corrected_rows_are_picked_up_and_only_these(crm: Crm) -> None:
    seed(crm)
    crm.ghl.put("L1", "messages", message("newest", added=-0.5))
    crm.load()
    crm.clock.advance(timedelta(days=1))
    now = crm.clock.now()
    crm.ghl.put("L1", "messages", message("M2", updated=0.9, status="read"))
    crm.ghl.put("L1", "messages", message("late", added=-2.0))  # behind the cursor, in the window
    crm.ghl.put("L1", "contacts", contact("C2", updated=0.8, firstName="Corrected"))
    crm.ghl.put("L1", "opportunities", {
        "id": "O2", "contactId": "C1", "status": "won", "createdAt": stamp(-80),
        "updatedAt": stamp(-70),  # far behind the cursor
    })  # fmt: skip
    results = crm.load()
    loaded = {key: result.rows_loaded for key, result in results.items() if result.rows_loaded}
    assert loaded == {("messages", "L1"): 2, ("contacts", "L1"): 1, ("opportunities", "L1"): 1}
    changed = crm.query("select id, _known_at, _backfill from raw_ghl.messages where not _backfill")
    assert sorted(changed) == [("M2", now, False), ("late", now, False)]
    assert crm.column("select _known_at from raw_ghl.opportunities where id = 'O2'") == [now]
    assert crm.column("select count(*) from raw_ghl.messages where _known_at > _loaded_at") == [0]


def test_a_contact_that_comes_later_than_the_window_is_found_by_the_count(crm: Crm) -> None:
    seed(crm)
    crm.ghl.put("L1", "contacts", contact("C8", updated=-0.1))
    crm.load()
    crm.clock.advance(timedelta(hours=1))
    crm.ghl.put("L1", "contacts", contact("very-late", added=-300, updated=-300))
    assert crm.load()["contacts", "L1"].rows_loaded == 1


def test_messages_repointed_to_the_survivor_of_a_merge_follow(crm: Crm) -> None:
    seed(crm)
    crm.load()
    crm.clock.advance(timedelta(days=1))
    crm.ghl.put("L1", "messages", message("M3", "C2", updated=0.5))
    crm.load()
    assert crm.column(
        "select contact_id from raw_ghl.messages where id = 'M3' and location_id = 'L1'"
    ) == ["C2"]


def test_deleted_and_merged_contacts_get_tombstones_once(crm: Crm) -> None:
    seed(crm)
    crm.ghl.put("L1", "contacts", contact("loser", email="Sam@Example.com", phone="(212) 555-0100"))
    crm.ghl.put("L1", "contacts", contact("other", phone="+1 212 555 0199"))
    crm.load()
    assert crm.query("select * from raw_ghl.contact_tombstones") == []
    crm.clock.advance(timedelta(hours=1))
    crm.ghl.remove("L1", "contacts", "loser", "C4", "other")
    crm.ghl.put(
        "L1", "contacts",
        contact("C2", updated=0, additionalEmails=[{"email": "sam@example.com"}]),
        contact("C3", updated=0, additionalPhones=["+12125550199"], additionalEmails=["x@y.org"]),
    )  # fmt: skip
    crm.ghl.put("L2", "contacts", contact("C5", updated=0, additionalEmails=["sam@example.com"]))
    results = crm.load()
    assert results["contact_tombstones", "L1"].rows_loaded == 3
    assert results["contact_tombstones", "L2"].rows_loaded == 0
    found = crm.query(
        "select contact_id, merged_into, detected_at, evidence, _known_at, _backfill "
        "from raw_ghl.contact_tombstones order by contact_id"
    )
    now = crm.clock.now()
    assert [row[:3] for row in found] == [
        ("C4", None, now), ("loser", "C2", now), ("other", "C3", now),
    ]  # fmt: skip
    assert "lists its email" in found[1][3]
    assert "lists its phone" in found[2][3]
    assert "sam" not in str(found).lower()
    assert {row[4:] for row in found} == {(now, False)}
    # The contacts themselves stay, for the history that hangs on them.
    assert crm.column("select count(*) from raw_ghl.contacts where id = 'loser'") == [1]
    crm.clock.advance(timedelta(hours=1))
    assert crm.load()["contact_tombstones", "L1"].rows_loaded == 0
    assert crm.ghl.count("contact") == 0


def test_a_contact_that_comes_back_loses_its_tombstone(crm: Crm) -> None:
    seed(crm)
    crm.load()
    crm.ghl.remove("L1", "contacts", "C4")
    crm.load()
    assert crm.column("select contact_id from raw_ghl.contact_tombstones") == ["C4"]
    crm.clock.advance(timedelta(hours=1))
    crm.ghl.put("L1", "contacts", contact("C4", firstName="L1-4"))
    crm.load()
    assert crm.column("select contact_id from raw_ghl.contact_tombstones") == []


def test_a_contact_that_a_list_merely_left_out_is_not_buried(crm: Crm) -> None:
    seed(crm)
    crm.load()
    crm.ghl.hidden.add("C4")
    crm.load("contact_tombstones")
    assert crm.column("select contact_id from raw_ghl.contact_tombstones") == []
    assert crm.ghl.count("contact") == 2  # asked for by id in each location


def test_broken_records_are_set_aside_and_the_load_goes_on(crm: Crm) -> None:
    seed(crm)
    crm.ghl.put("L1", "contacts", contact("broken", dateAdded="once upon a time"))
    crm.ghl.put("L1", "messages", message("odd", direction="sideways"))
    results = crm.load()
    assert results["contacts", "L1"].rows_quarantined == 1
    assert results["contacts", "L1"].rows_loaded == 7
    assert results["messages", "L1"].rows_quarantined == 1
    found = crm.query(
        "select entity, location_id, row_key, reason, payload ->> 'id' from ops.quarantine "
        "order by entity"
    )
    assert [row[:3] for row in found] == [
        ("contacts", "L1", "broken"),
        ("messages", "L1", "odd"),
    ]
    assert "dateAdded" in found[0][3]
    assert "direction" in found[1][3]
    again = crm.load()
    assert sum(result.rows_quarantined for result in again.values()) == 0
    assert crm.column("select count(*) from ops.quarantine") == [2]
    # It is not mistaken for a deletion, nor does it make every load read all ids.
    assert crm.column("select count(*) from raw_ghl.contact_tombstones") == [0]
    crm.ghl.put("L1", "contacts", contact("broken", updated=0.0, firstName="mended"))
    assert crm.load()["contacts", "L1"].rows_loaded == 1


def test_a_location_that_fails_does_not_stop_the_other(crm: Crm) -> None:
    seed(crm)
    crm.ghl.failing.add("L2")
    with pytest.raises(LoadIncompleteError, match="location L2") as raised:
        crm.load()
    loaded = {(one.table, one.location_id): one.rows_loaded for one in raised.value.results}
    assert loaded["contacts", "L1"] == 7
    assert loaded["contacts", "L2"] == 0
    assert crm.column(
        "select distinct location_id from ops.load_runs where cursor is not null"
    ) == ["L1"]
    crm.ghl.failing.clear()
    assert crm.load()["contacts", "L2"].rows_loaded == 7
    assert crm.column("select bool_and(_backfill) from raw_ghl.contacts") == [True]


def call(name: str, *, added: float, **more: object) -> dict[str, object]:
    """A completed call."""
    meta = {"callDuration": 60, "callStatus": "completed"}
    return message(name, added=added, messageType="TYPE_CALL", meta=meta, **more)


def test_transcripts_are_fetched_newest_first_within_the_budget(crm: Crm) -> None:
    crm.settings = crm.settings.model_copy(update={"transcription_budget": 2})
    for number in range(1, 6):
        crm.ghl.put("L1", "messages", call(f"call{number}", added=-number))
        crm.ghl.transcripts[f"call{number}"] = [
            {"sentenceIndex": 1, "transcript": "Bye."},
            {"sentenceIndex": 0, "transcript": f"Hello {number}."},
        ]
    missed = {"callDuration": 0, "callStatus": "no-answer"}
    crm.ghl.put(
        "L1", "messages", message("missed", added=-0.5, messageType="TYPE_CALL", meta=missed)
    )
    crm.load()
    ids = "select id from raw_ghl.transcriptions order by id"
    assert crm.column(ids) == ["call1", "call2"]
    crm.load()
    assert crm.column(ids) == ["call1", "call2", "call3", "call4"]
    crm.load()
    crm.load()
    assert crm.column(ids) == [f"call{number}" for number in range(1, 6)]
    assert crm.ghl.count("transcription") == 0
    row = crm.query("select transcript, jsonb_array_length(sentences), _known_at, _backfill "
                    "from raw_ghl.transcriptions where id = 'call5'")  # fmt: skip
    # It belongs to the backfill like its call, whichever load brought it.
    assert row == [("Hello 5. Bye.", 2, START - timedelta(days=5), True)]


def test_a_call_without_a_transcript_is_asked_for_again_only_while_it_is_young(crm: Crm) -> None:
    crm.ghl.put("L1", "messages", call("young", added=-0.5), call("old", added=-30))
    crm.load()
    assert crm.ghl.count("transcription") == 2
    assert crm.column("select transcript from raw_ghl.transcriptions") == [None, None]
    crm.load()
    assert crm.ghl.count("transcription") == 0
    crm.clock.advance(timedelta(hours=2))
    crm.ghl.transcripts["young"] = [{"sentenceIndex": 0, "transcript": "Hi."}]
    crm.load()
    assert crm.ghl.count("transcription") == 1
    assert crm.column("select transcript from raw_ghl.transcriptions order by id") == [None, "Hi."]
    crm.clock.advance(timedelta(days=5))
    crm.load()
    assert crm.ghl.count("transcription") == 0


def test_news_are_noticed_by_three_requests_a_location_at_most(crm: Crm) -> None:
    seed(crm)
    assert has_new_data(crm.clients, crm.database) == ["L1", "L2"]
    crm.load()
    crm.ghl.requests.clear()
    assert has_new_data(crm.clients, crm.database) == []
    assert len(crm.ghl.requests) <= 2 * 3
    crm.ghl.put("L2", "contacts", contact("C2", updated=0.1))
    assert has_new_data(crm.clients, crm.database) == ["L2"]
    crm.ghl.put("L1", "messages", message("M9", added=0.1))
    assert has_new_data(crm.clients, crm.database) == ["L1", "L2"]
    crm.clock.advance(timedelta(days=1))
    crm.load()
    assert has_new_data(crm.clients, crm.database) == []


def test_only_the_tables_asked_for_are_read(crm: Crm) -> None:
    seed(crm)
    results = crm.load("users")
    assert set(results) == {("users", "L1"), ("users", "L2")}
    assert {operation for _, operation in crm.ghl.requests} == {"users"}
    assert crm.column("select count(*) from raw_ghl.contacts") == [0]


def test_a_full_load_on_demand_reads_all_and_writes_nothing_new(crm: Crm) -> None:
    seed(crm)
    crm.load()
    results = crm.load(full=True)
    assert results["messages", "L1"].full_load
    assert {result.rows_loaded for result in results.values()} == {0}


def test_unknown_sources_and_tables_are_named(crm: Crm) -> None:
    with pytest.raises(LeadEngineError, match="'hubspot'"):
        load_source(crm.database, crm.clients, crm.settings, "hubspot")
    with pytest.raises(LeadEngineError, match="'notes'"):
        crm.load("notes")


def test_accounts_that_are_not_set_up_get_empty_tables(crm: Crm) -> None:
    bare = crm.settings.model_copy(
        update={"twilio_account_sid": None, "sendgrid_api_key": None, "apollo_api_key": None}
    )
    for source, table in (
        ("twilio", "messages"), ("sendgrid", "email_activity"), ("apollo", "people"),
    ):  # fmt: skip
        results = load_source(crm.database, crm.clients, bare, source)
        assert {result.rows_loaded for result in results} == {0}
        assert crm.column(f"select count(*) from raw_{source}.{table}") == [0]
