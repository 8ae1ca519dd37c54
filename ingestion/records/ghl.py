"""GoHighLevel's entities, named and typed after its published API (version 2021-07-28)."""

from typing import Annotated, Any, ClassVar, Literal

from ingestion.fields import Column, Flag, Json, Key, Known, Number, Record, Text, Timestamp, Whole

Direction = Annotated[Literal["inbound", "outbound"] | None, Column("text")]


class Contact(Record):
    """A person in the CRM. Date of birth and social security number are never loaded."""

    id: Key
    location_id: Key
    first_name: Text = None
    last_name: Text = None
    email: Text = None
    phone: Text = None
    type: Text = None
    source: Text = None
    date_added: Known
    date_updated: Timestamp = None
    dnd: Flag = None
    dnd_settings: Json = None
    inbound_dnd_settings: Json = None
    tags: Json = None
    custom_fields: Json = None
    assigned_to: Text = None
    address1: Text = None
    city: Text = None
    state: Text = None
    postal_code: Text = None
    country: Text = None
    timezone: Text = None
    additional_emails: Json = None
    additional_phones: Json = None

    known_from: ClassVar = ("date_added", "date_updated")


class ContactTombstone(Record):
    """A contact that the provider no longer has, and the one it was merged into, if any."""

    location_id: Key
    contact_id: Key
    detected_at: Known
    merged_into: Text = None
    evidence: Text = None


class Message(Record):
    """A message, call or activity of a conversation."""

    id: Key
    location_id: Key
    contact_id: Key
    conversation_id: Text = None
    message_type: Key
    direction: Direction = None
    status: Text = None
    body: Text = None
    content_type: Text = None
    date_added: Known
    date_updated: Timestamp = None
    source: Text = None
    user_id: Text = None
    call_duration: Whole = None
    call_status: Text = None
    meta: Json = None

    known_from: ClassVar = ("date_added", "date_updated")

    @classmethod
    def prepare(cls, payload: dict[str, Any]) -> dict[str, Any]:
        """Takes the call's outcome out of ``meta``; live answers nest it under ``call``."""
        meta = payload.get("meta")
        if not isinstance(meta, dict):
            return payload
        call = meta.get("call")
        nested = call if isinstance(call, dict) else {}
        return payload | {
            "callDuration": meta.get("callDuration", nested.get("duration")),
            "callStatus": meta.get("callStatus", nested.get("status")),
        }


class Transcription(Record):
    """What was said in a call; no sentences when the provider has no transcript of it."""

    id: Key
    location_id: Key
    sentences: Json = None
    transcript: Text = None


class Opportunity(Record):
    """A deal in a pipeline."""

    id: Key
    location_id: Key
    contact_id: Key
    name: Text = None
    pipeline_id: Text = None
    pipeline_stage_id: Text = None
    status: Key
    source: Text = None
    monetary_value: Number = None
    assigned_to: Text = None
    created_at: Known
    updated_at: Timestamp = None
    last_status_change_at: Timestamp = None
    last_stage_change_at: Timestamp = None

    known_from: ClassVar = (
        "created_at", "updated_at", "last_status_change_at", "last_stage_change_at",
    )  # fmt: skip


class Pipeline(Record):
    """A sales pipeline with its stages, in order."""

    id: Key
    location_id: Key
    name: Text = None
    stages: Json = None


class User(Record):
    """A person who works for the brokerage."""

    id: Key
    location_id: Key
    name: Text = None
    first_name: Text = None
    last_name: Text = None
    email: Text = None
    phone: Text = None
    role: Text = None
    deleted: Flag = None

    @classmethod
    def prepare(cls, payload: dict[str, Any]) -> dict[str, Any]:
        """Takes the role out of ``roles``."""
        roles = payload.get("roles")
        return payload | {"role": roles.get("role")} if isinstance(roles, dict) else payload


class Location(Record):
    """A sub-account; its time zone is the fallback for its contacts'."""

    id: Key
    location_id: Key
    name: Text = None
    timezone: Text = None
    country: Text = None
    address: Text = None
    city: Text = None
    state: Text = None
    postal_code: Text = None
    email: Text = None
    phone: Text = None
    website: Text = None

    @classmethod
    def prepare(cls, payload: dict[str, Any]) -> dict[str, Any]:
        """A location belongs to itself."""
        return payload | {"locationId": payload.get("id")}


class Calendar(Record):
    """A calendar that appointments are booked in."""

    id: Key
    location_id: Key
    name: Text = None
    description: Text = None
    calendar_type: Text = None
    is_active: Flag = None


class Appointment(Record):
    """A calendar event with a contact."""

    id: Key
    location_id: Key
    calendar_id: Text = None
    contact_id: Key
    assigned_user_id: Text = None
    title: Text = None
    appointment_status: Key
    start_time: Known
    end_time: Timestamp = None
    date_added: Known
    date_updated: Timestamp = None
    notes: Text = None

    known_from: ClassVar = ("date_added", "date_updated")


class Workflow(Record):
    """An automation in the CRM that a contact can be enrolled in."""

    id: Key
    location_id: Key
    name: Text = None
    status: Text = None
    created_at: Timestamp = None
    updated_at: Timestamp = None

    known_from: ClassVar = ("created_at", "updated_at")


class CustomField(Record):
    """What a custom field's id on a contact means."""

    id: Key
    location_id: Key
    name: Text = None
    field_key: Text = None
    data_type: Text = None


class Task(Record):
    """Something an agent has to do about a contact."""

    id: Key
    location_id: Key
    contact_id: Text = None
    title: Text = None
    assigned_to: Text = None
    due_date: Timestamp = None
    completed: Flag = None
    date_added: Timestamp = None

    known_from: ClassVar = ("date_added",)
