"""Twilio's entities (API 2010-04-01)."""

from typing import ClassVar

from pydantic import Field

from ingestion.fields import Key, Known, Record, Text, Timestamp, Whole


class SmsMessage(Record):
    """A text message sent or received through one of our numbers."""

    sid: Key
    location_id: Text = None
    to_number: Text = Field(default=None, alias="to")
    from_number: Text = Field(default=None, alias="from")
    body: Text = None
    direction: Key
    status: Key
    error_code: Text = Field(default=None, alias="error_code")
    num_segments: Whole = Field(default=None, alias="num_segments")
    date_created: Known = Field(alias="date_created")
    date_sent: Timestamp = Field(default=None, alias="date_sent")
    date_updated: Timestamp = Field(default=None, alias="date_updated")

    known_from: ClassVar = ("date_created", "date_sent", "date_updated")


class Call(Record):
    """A phone call through one of our numbers; its duration is in seconds."""

    sid: Key
    location_id: Text = None
    to_number: Text = Field(default=None, alias="to")
    from_number: Text = Field(default=None, alias="from")
    direction: Text = None
    status: Key
    duration: Whole = None
    start_time: Timestamp = Field(default=None, alias="start_time")
    end_time: Timestamp = Field(default=None, alias="end_time")

    known_from: ClassVar = ("start_time", "end_time")


class Recording(Record):
    """The recording of a call; its duration is in seconds."""

    sid: Key
    location_id: Text = None
    call_sid: Key = Field(alias="call_sid")
    duration: Whole = None
    date_created: Known = Field(alias="date_created")

    known_from: ClassVar = ("date_created",)
