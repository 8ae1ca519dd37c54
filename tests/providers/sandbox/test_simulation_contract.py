"""The simulated records against HighLevel's own schemas; only the broken ones may fail."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from providers.sandbox.simulation import Brokerage, generate
from tests.providers.sandbox.simulation_views import ANCHOR
from tests.shared_folder import shared

SCHEMAS = {
    "contact": [("contacts", "GetContectByIdSchema"), ("contacts", "ContactsSearchSchema")],
    "message": [("conversations", "GetMessageResponseDto")],
    "opportunity": [("opportunities", "SearchOpportunitiesResponseSchema")],
    "appointment": [("calendars", "CalendarEventDTO")],
    "task": [("contacts", "TaskSchema")],
    "note": [("contacts", "GetNoteSchema")],
}


@pytest.fixture(scope="module")
def brokerage() -> Brokerage:
    return generate(11, 600, ANCHOR)


def _mended(node: Any) -> Any:
    """The calendars app calls instants objects and shows strings; its example is believed."""
    if isinstance(node, dict):
        if node.get("type") == "object" and isinstance(node.get("example"), str):
            return {**node, "type": "string"}
        return {key: _mended(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_mended(value) for value in node]
    return node


@cache
def judge(app: str, schema: str) -> Draft202012Validator:
    document = _mended(json.loads(shared(f"contracts/ghl/apps/{app}.json").read_text("utf-8")))
    document["components"]["schemas"][schema]["minProperties"] = 1
    registry: Registry[Any] = Registry().with_resource(
        "urn:contract", DRAFT202012.create_resource(document)
    )
    return Draft202012Validator(
        {"$ref": f"urn:contract#/components/schemas/{schema}"}, registry=registry
    )


def faults(app: str, schema: str, payload: object) -> list[str]:
    return [
        f"{schema} {'/'.join(map(str, error.path))}: {error.message}"
        for error in judge(app, schema).iter_errors(payload)
    ]


def test_every_record_is_of_the_contract(brokerage: Brokerage) -> None:
    found: Counter[str] = Counter()
    judged: Counter[str] = Counter()
    for record in brokerage.records:
        if record.payload is None or (record.kind, record.id) in brokerage.broken:
            continue
        if record.kind == "transcription":
            assert record.payload["messageId"] == record.id
            for sentence in record.payload["sentences"]:
                found.update(
                    faults("conversations", "GetMessageTranscriptionResponseDto", sentence)
                )
        else:
            assert record.payload["id"] == record.id
            for app, schema in SCHEMAS[record.kind]:
                found.update(faults(app, schema, record.payload))
        judged[record.kind] += 1
    assert not found, found.most_common(5)
    assert set(judged) == {*SCHEMAS, "transcription"}


def test_fields_of_records_are_known_to_the_contract(brokerage: Brokerage) -> None:
    """What we add beyond a schema is listed here, each with what else documents it."""
    beyond = {
        "contact": {"additionalEmails", "additionalPhones", "followers", "inboundDndSettings"},
        "message": {"dateUpdated"},  # what the export's sortBy=updatedAt sorts by
        "task": {"dateAdded", "dateUpdated"},  # webhook TaskCreate has dateAdded
    }
    for kind, schemas in SCHEMAS.items():
        known: set[str] = set()
        for app, schema in schemas:
            document = json.loads(shared(f"contracts/ghl/apps/{app}.json").read_text("utf-8"))
            known |= set(document["components"]["schemas"][schema]["properties"])
        used = {
            key
            for record in brokerage.records
            if record.kind == kind and record.payload is not None
            for key in record.payload
        }
        assert used - known <= beyond.get(kind, set()), kind


def test_broken_records_break_the_contract_or_common_sense(brokerage: Brokerage) -> None:
    against_schema = 0
    for record in brokerage.records:
        if (record.kind, record.id) in brokerage.broken:
            assert record.payload is not None
            against_schema += any(
                faults(app, schema, record.payload) for app, schema in SCHEMAS[record.kind]
            )
    # An impossible date and a negative value are strings and numbers nevertheless.
    assert against_schema >= len(brokerage.broken) // 2


@pytest.mark.parametrize(
    ("part", "app", "schema"),
    [
        ("locations", "locations", "GetLocationByIdSchema"),
        ("users", "users", "UserSchema"),
        ("pipelines", "opportunities", "PipelinesResponseSchema"),
        ("calendars", "calendars", "CalendarDTO"),
        ("workflows", "workflows", "WorkflowSchema"),
        ("custom_fields", "locations", "CustomFieldSchema"),
    ],
)
def test_slow_moving_parts_are_of_the_contract(
    brokerage: Brokerage, part: str, app: str, schema: str
) -> None:
    entries = getattr(brokerage, part)
    assert entries
    for entry in entries:
        # A pipeline's stages are objects in the API's answers; its schema calls them arrays.
        judged = {key: value for key, value in entry.items() if key != "stages"}
        assert not faults(app, schema, judged)


def test_the_judge_objects(brokerage: Brokerage) -> None:
    message = next(
        record.payload
        for record in brokerage.records
        if record.kind == "message" and record.payload is not None
    )
    assert faults("conversations", "GetMessageResponseDto", {**message, "direction": "up"})
    assert faults("conversations", "GetMessageResponseDto", {**message, "id": 7})
