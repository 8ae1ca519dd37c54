"""SendGrid's entities (API v3)."""

from typing import ClassVar

from pydantic import Field

from ingestion.fields import Key, Known, LowerKey, Record, Text, Timestamp, Whole


class Suppression(Record):
    """An address that SendGrid will not deliver to, and why."""

    kind: Key
    email: LowerKey
    location_id: Text = None
    created_at: Known = Field(alias="created")
    reason: Text = None
    status: Text = None

    known_from: ClassVar = ("created_at",)


class EmailActivity(Record):
    """What became of one email."""

    msg_id: Key = Field(alias="msg_id")
    to_email: Text = Field(default=None, alias="to_email")
    from_email: Text = Field(default=None, alias="from_email")
    subject: Text = None
    status: Text = None
    opens_count: Whole = Field(default=None, alias="opens_count")
    clicks_count: Whole = Field(default=None, alias="clicks_count")
    last_event_time: Timestamp = Field(default=None, alias="last_event_time")
    location_id: Text = None
    send_id: Text = Field(default=None, alias="send_id")

    known_from: ClassVar = ("last_event_time",)
