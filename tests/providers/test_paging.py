"""Every page is read, in order, and no server can make us read for ever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import chain, pairwise
from typing import Any

import pytest

from providers.errors import NotSent, Rejected
from tests.providers import clients
from tests.providers.server import Answer, Received, Server

SINCE = datetime(2026, 2, 1, 8, 30, tzinfo=UTC)
CONTACTS = [{"id": f"c{n}", "searchAfter": [1000 + n, f"c{n}"]} for n in range(5)]


def pages_of_contacts(request: Received) -> Answer:
    after = request.json.get("searchAfter")
    start = next((n + 1 for n, c in enumerate(CONTACTS) if c["searchAfter"] == after), 0)
    # Two at a time, whatever page size was asked for.
    return Answer(200, {"contacts": CONTACTS[start : start + 2], "total": 5})


def test_contacts_are_read_to_the_end_even_if_the_server_gives_short_pages(server: Server) -> None:
    server.default = pages_of_contacts
    pages = list(clients.ghl(server.url).iter_contacts(SINCE))
    assert [contact["id"] for contact in chain(*pages)] == ["c0", "c1", "c2", "c3", "c4"]
    body = server.received[0].json
    assert body["sort"] == [{"field": "dateUpdated", "direction": "asc"}]
    assert body["filters"] == [
        {
            "field": "dateUpdated",
            "operator": "range",
            "value": {"gte": "2026-02-01T08:30:00.000Z"},
        }
    ]
    assert all(request.json["filters"] == body["filters"] for request in server.received)


def test_a_broken_record_does_not_cost_the_others_of_its_page(server: Server) -> None:
    server.script.append(Answer(200, {"contacts": [None, "?", {"id": "c1"}]}))
    assert list(clients.ghl(server.url).iter_contacts()) == [[None, "?", {"id": "c1"}]]


def test_a_server_that_repeats_a_page_is_left(server: Server) -> None:
    server.default = Answer(200, {"contacts": CONTACTS[:2]})
    pages = clients.ghl(server.url).iter_contacts()
    with pytest.raises(NotSent) as caught:
        list(pages)
    assert caught.value.reason == "paging_stuck"
    assert len(server.received) == 2


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        ({"tasks": [{"id": "t1"}]}, lambda url: clients.ghl(url).iter_tasks()),
        (
            {"messages": [{"id": "m1"}], "nextCursor": "c", "total": 9},
            lambda url: clients.ghl(url).iter_messages(),
        ),
        (
            {"opportunities": [{}], "meta": {"startAfter": 1, "startAfterId": "o1"}},
            lambda url: clients.ghl(url).iter_opportunities(),
        ),
        (
            [{"email": "a@example.com"}],
            lambda url: clients.sendgrid(url).iter_suppressions("blocks"),
        ),
        (
            {
                "calls": [{"sid": "CA1"}],
                "next_page_uri": "/2010-04-01/Accounts/A/Calls.json?Page=1",
            },
            lambda url: clients.twilio(url).iter_calls(),
        ),
    ],
    ids=["tasks", "messages", "opportunities", "suppressions", "calls"],
)
def test_no_server_can_make_us_read_for_ever(server: Server, answer: Any, read: Any) -> None:
    server.default = Answer(200, answer)
    with pytest.raises(NotSent) as caught:
        list(read(server.url))
    assert caught.value.reason == "paging_stuck"
    assert len(server.received) == 2


def test_opportunities_follow_the_cursor_and_leave_out_what_did_not_change(server: Server) -> None:
    old, new = "2026-01-31T00:00:00.000Z", "2026-02-02T00:00:00.000Z"
    server.script.extend(
        [
            Answer(
                200,
                {
                    "opportunities": [
                        {"id": "o1", "updatedAt": new},
                        {"id": "o2", "updatedAt": old},
                    ],
                    "meta": {"startAfter": 17, "startAfterId": "o2"},
                },
            ),
            Answer(
                200,
                {
                    "opportunities": [{"id": "o3", "updatedAt": old}],
                    "meta": {"startAfter": 16, "startAfterId": "o3"},
                },
            ),
            Answer(200, {"opportunities": [{"id": "o4"}], "meta": {"total": 4}}),
        ]
    )
    pages = list(clients.ghl(server.url).iter_opportunities(SINCE))
    # What cannot be dated is for the loader to judge.
    assert [[item["id"] for item in page] for page in pages] == [["o1"], ["o4"]]
    cursors = [dict(request.query).get("startAfterId") for request in server.received]
    assert cursors == [None, "o2", "o3"]


def test_messages_follow_the_cursor_oldest_change_first(server: Server) -> None:
    server.script.extend(
        [
            Answer(200, {"messages": [{"id": "m1"}], "nextCursor": "x=", "total": 2}),
            Answer(200, {"messages": [{"id": "m2"}], "nextCursor": None, "total": 2}),
        ]
    )
    pages = list(clients.ghl(server.url).iter_messages(SINCE, "Email"))
    assert pages == [[{"id": "m1"}], [{"id": "m2"}]]
    first, second = (dict(request.query) for request in server.received)
    assert (first["sortBy"], first["sortOrder"], first["channel"]) == ("updatedAt", "asc", "Email")
    assert first["startDate"] == "2026-02-01T08:30:00.000Z"
    assert second == {**first, "cursor": "x="}


def test_events_are_asked_for_in_windows_and_come_once(server: Server) -> None:
    spanning = {"id": "e1"}

    def answer(request: Received) -> Answer:
        if request.path == "/calendars/":
            return Answer(200, {"calendars": [{"id": "cal1"}, {"id": "cal2"}]})
        query = dict(request.query)
        return Answer(200, {"events": [spanning] if query["calendarId"] == "cal1" else []})

    server.default = answer
    end = SINCE + timedelta(days=200)
    assert list(clients.ghl(server.url).iter_calendar_events(SINCE, end)) == [[spanning]]
    windows = [
        (int(query["startTime"]), int(query["endTime"]))
        for query in (dict(request.query) for request in server.received[1:])
        if query["calendarId"] == "cal1"
    ]
    assert len(windows) == 3
    assert windows[0][0] == int(SINCE.timestamp() * 1000)
    assert windows[-1][1] == int(end.timestamp() * 1000)
    assert all(before[1] == after[0] for before, after in pairwise(windows))


def test_tasks_are_read_to_the_end(server: Server) -> None:
    tasks = [{"id": f"t{n}"} for n in range(5)]
    server.default = lambda request: Answer(
        200, {"tasks": tasks[request.json["skip"] : request.json["skip"] + 2]}
    )
    assert list(chain(*clients.ghl(server.url).iter_tasks())) == tasks


def test_a_call_without_a_transcription_has_no_sentences(server: Server) -> None:
    server.script.extend(
        [
            Answer(404, {"message": "none"}),
            Answer(200, [{"transcript": "a"}, {"transcript": "b"}]),
            Answer(200, {"transcript": "a"}),
            Answer(400, {"message": "?"}),
        ]
    )
    client = clients.ghl(server.url)
    assert client.get_transcription("m1") == []
    assert len(client.get_transcription("m1")) == 2
    assert client.get_transcription("m1") == [{"transcript": "a"}]
    with pytest.raises(Rejected):
        client.get_transcription("m1")


def test_ids_cannot_leave_their_place_in_the_path(server: Server) -> None:
    server.default = Answer(200, {"contact": {"id": "x"}})
    clients.ghl(server.url).get_contact("../locations?x=1")
    assert server.received[0].path == "/contacts/..%2Flocations%3Fx%3D1"


def test_tags_go_out_a_hundred_contacts_at_a_time(server: Server) -> None:
    server.default = Answer(201, {"succeded": True, "errorCount": 1, "responses": []})
    ids = [f"c{n}" for n in range(250)]
    assert clients.ghl(server.url).bulk_tags("add", ids, ["hot"]) == 3
    assert [len(request.json["contacts"]) for request in server.received] == [100, 100, 50]


def test_twilio_pages_follow_the_providers_links(server: Server) -> None:
    root = f"/2010-04-01/Accounts/{clients.ACCOUNT}/Messages.json"
    server.script.extend(
        [
            Answer(
                200, {"messages": [{"sid": "SM1"}], "next_page_uri": f"{root}?Page=1&PageToken=t"}
            ),
            Answer(200, {"messages": [{"sid": "SM2"}], "next_page_uri": None}),
        ]
    )
    pages = list(clients.twilio(f"{server.url}/twilio").iter_messages(sent_after=SINCE))
    assert pages == [[{"sid": "SM1"}], [{"sid": "SM2"}]]
    assert [request.path for request in server.received] == [f"/twilio{root}"] * 2
    assert dict(server.received[0].query)["DateSent>"] == "2026-02-01T08:30:00Z"
    assert dict(server.received[1].query) == {"Page": "1", "PageToken": "t"}


def test_twilio_times_are_utc_whatever_zone_they_come_in(server: Server) -> None:
    from zoneinfo import ZoneInfo

    server.default = Answer(200, {"calls": [], "next_page_uri": None})
    client = clients.twilio(server.url)
    list(client.iter_calls(SINCE.astimezone(ZoneInfo("America/New_York"))))
    assert dict(server.received[0].query)["StartTime>"] == "2026-02-01T08:30:00Z"
    with pytest.raises(ValueError, match="time zone"):
        client.iter_calls(SINCE.replace(tzinfo=None))


def test_suppressions_are_read_to_the_end(server: Server) -> None:
    entries = [{"email": f"{n}@example.com", "created": n} for n in range(5)]

    def answer(request: Received) -> Answer:
        offset = int(dict(request.query)["offset"])
        return Answer(200, entries[offset : offset + 2])

    server.default = answer
    pages = list(clients.sendgrid(server.url).iter_suppressions("bounces", SINCE))
    assert list(chain(*pages)) == entries
    assert dict(server.received[0].query)["start_time"] == str(int(SINCE.timestamp()))


def test_people_are_matched_ten_at_a_time_and_keep_their_order(server: Server) -> None:
    def answer(request: Received) -> Answer:
        people = request.json["details"]
        found: list[Any] = [
            None if person["email"].startswith("1") else {"email": person["email"]}
            for person in people
        ]
        return Answer(200, {"matches": found})

    server.default = answer
    asked = [{"email": f"{n}@example.com"} for n in range(12)]
    found = clients.apollo(server.url).bulk_match(asked)
    assert [match is None for match in found] == [n in (1, 10, 11) for n in range(12)]
    assert [len(request.json["details"]) for request in server.received] == [10, 2]
    assert all(request.headers["x-api-key"] == clients.SECRET for request in server.received)


def test_a_person_nobody_knows_is_none(server: Server) -> None:
    server.script.extend([Answer(200, {"person": None}), Answer(200, {"person": {"id": "p1"}})])
    client = clients.apollo(server.url)
    assert client.match_person(email=clients.EMAIL_ADDRESS) is None
    assert client.match_person(email=clients.EMAIL_ADDRESS) == {"id": "p1"}


def test_an_answer_for_the_wrong_number_of_people_is_not_used(server: Server) -> None:
    server.default = Answer(200, {"matches": []})
    with pytest.raises(NotSent) as caught:
        clients.apollo(server.url).bulk_match([{"email": clients.EMAIL_ADDRESS}])
    assert caught.value.reason == "bad_answer"


def test_claude_answers_in_text_and_tokens(server: Server) -> None:
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-4-5",
        "content": [{"type": "text", "text": "Hello "}, {"type": "text", "text": "Ada"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 12, "output_tokens": 3},
    }
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
    server.script.extend([Answer(529, overloaded), Answer(200, message)])
    reply = clients.claude(server.url).create_message(
        [{"role": "user", "content": "Greet"}], system="Be brief"
    )
    assert (reply.text, reply.stop_reason, reply.output_tokens) == ("Hello Ada", "end_turn", 3)
    request = server.received[-1]
    assert request.path == "/v1/messages"
    assert request.headers["authorization"] == f"Bearer {clients.SECRET}"
    assert request.json["system"] == "Be brief"
    assert len(server.received) == 2
