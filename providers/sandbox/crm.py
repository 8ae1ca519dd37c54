"""Everything else in the sandbox's CRM: messages, conversations, opportunities, appointments."""

from __future__ import annotations

from collections import defaultdict
from itertools import chain

from providers.sandbox.chance import iso, place_in_time
from providers.sandbox.contacts import Contacts
from providers.sandbox.index import Key, KeyIndex
from providers.sandbox.simulation.model import Record
from providers.sandbox.wire import Json

_CALL_TYPES = {"TYPE_CALL", "TYPE_IVR_CALL", "TYPE_CUSTOM_CALL", "TYPE_CAMPAIGN_CALL"}


def channel_of(message: Json) -> str:
    """The export's ``channel`` of a message: SMS, Call, Email, WhatsApp… or Activity."""
    kind = str(message.get("messageType", ""))
    if kind in _CALL_TYPES or "VOICEMAIL" in kind:
        return "Call"
    if "EMAIL" in kind:
        return "Email"
    if "SMS" in kind:
        return "SMS"
    for part, channel in (("WHATSAPP", "WhatsApp"), ("INSTAGRAM", "Instagram")):
        if part in kind:
            return channel
    return "Facebook" if "FACEBOOK" in kind else "Activity"


class Messages:
    """Messages of all channels, in the orders the export and the conversations need."""

    def __init__(self) -> None:
        self.by_id: dict[str, Json] = {}
        # (location, channel) -> keys; the channel "" holds all but email, as the export does.
        self.by_created: defaultdict[tuple[str, str], KeyIndex] = defaultdict(KeyIndex)
        self.by_updated: defaultdict[tuple[str, str], KeyIndex] = defaultdict(KeyIndex)
        self.by_conversation: defaultdict[str, KeyIndex] = defaultdict(KeyIndex)
        self.by_contact: defaultdict[str, KeyIndex] = defaultdict(KeyIndex)
        self.conversations: defaultdict[str, KeyIndex] = defaultdict(KeyIndex)
        self._last: dict[str, int] = {}

    def put(self, message: Json) -> bool:
        """Adds or replaces a message; True if it is new."""
        message_id = message["id"]
        old = self.by_id.get(message_id)
        if old is not None:
            self._index(old, add=False)
        self.by_id[message_id] = message
        self._index(message, add=True)
        return old is None

    def load(self, messages: list[Json]) -> None:
        """Adds many to an empty store: sorts once instead of finding each its place."""
        for message in messages:
            self.by_id[message["id"]] = message
            location, channel = message["locationId"], channel_of(message)
            created = self.key_of(message, updated=False)
            updated = self.key_of(message, updated=True)
            for group in (channel,) if channel == "Email" else (channel, ""):
                self.by_created[location, group].keys.append(created)
                self.by_updated[location, group].keys.append(updated)
            self.by_conversation[message["conversationId"]].keys.append(created)
            self.by_contact[message.get("contactId") or ""].keys.append(created)
        for index in chain(
            self.by_created.values(),
            self.by_updated.values(),
            self.by_conversation.values(),
            self.by_contact.values(),
        ):
            index.keys.sort()
        for conversation in self.by_conversation:
            self._order_conversation(self.last_of(conversation)["locationId"], conversation)

    def delete(self, message_id: str) -> None:
        """Takes a message away."""
        old = self.by_id.pop(message_id, None)
        if old is not None:
            self._index(old, add=False)

    def last_of(self, conversation_id: str) -> Json:
        """The newest message of a conversation that has any."""
        return self.by_id[self.by_conversation[conversation_id].keys[-1][1]]

    def conversation_location(self, conversation_id: str) -> str:
        """The location of a conversation, empty where there is none."""
        index = self.by_conversation.get(conversation_id)
        return str(self.last_of(conversation_id)["locationId"]) if index else ""

    @staticmethod
    def key_of(message: Json, *, updated: bool) -> Key:
        """A message's place in one of the two time orders."""
        names = ("dateUpdated", "dateAdded") if updated else ("dateAdded", "dateUpdated")
        return place_in_time(message, *names), message["id"]

    def _index(self, message: Json, *, add: bool) -> None:
        location, channel = message["locationId"], channel_of(message)
        created = self.key_of(message, updated=False)
        updated = self.key_of(message, updated=True)
        conversation = message["conversationId"]
        groups = (channel,) if channel == "Email" else (channel, "")
        for group in groups:
            for index, key in (
                (self.by_created[location, group], created),
                (self.by_updated[location, group], updated),
            ):
                (index.add if add else index.remove)(key)
        contact = message.get("contactId") or ""
        for index in (self.by_conversation[conversation], self.by_contact[contact]):
            (index.add if add else index.remove)(created)
        self._order_conversation(location, conversation)

    def _order_conversation(self, location: str, conversation: str) -> None:
        keys = self.by_conversation[conversation].keys
        old, new = self._last.get(conversation), keys[-1][0] if keys else None
        if old == new:
            return
        if old is not None:
            self.conversations[location].remove((old, conversation))
        if new is not None:
            self.conversations[location].add((new, conversation))
            self._last[conversation] = new
        else:
            del self._last[conversation]


class Documents:
    """Records of one kind with two time orders per location and a look-up by contact."""

    def __init__(self, added: str, updated: str) -> None:
        self._added, self._updated = added, updated
        self.by_id: dict[str, Json] = {}
        self.by_added: defaultdict[str, KeyIndex] = defaultdict(KeyIndex)
        self.by_updated: defaultdict[str, KeyIndex] = defaultdict(KeyIndex)
        self.by_contact: defaultdict[str, dict[str, None]] = defaultdict(dict)

    def put(self, document: Json) -> bool:
        """Adds or replaces a record; True if it is new."""
        old = self.by_id.get(document["id"])
        if old is not None:
            self._index(old, add=False)
        self.by_id[document["id"]] = document
        self._index(document, add=True)
        return old is None

    def delete(self, document_id: str) -> Json | None:
        """Takes a record away."""
        old = self.by_id.pop(document_id, None)
        if old is not None:
            self._index(old, add=False)
        return old

    def of_contact(self, contact_id: str) -> list[Json]:
        """A contact's records, oldest first as they came in."""
        return [self.by_id[i] for i in self.by_contact.get(contact_id, ())]

    def _index(self, document: Json, *, add: bool) -> None:
        location, name = document["locationId"], document["id"]
        added = place_in_time(document, self._added, self._updated)
        updated = place_in_time(document, self._updated, self._added)
        for index, number in ((self.by_added, added), (self.by_updated, updated)):
            (index[location].add if add else index[location].remove)((number, name))
        contact = document.get("contactId")
        if contact:
            if add:
                self.by_contact[contact][name] = None
            else:
                self.by_contact[contact].pop(name, None)


class Crm:
    """The whole CRM of all locations, as it stands at one moment."""

    def __init__(self) -> None:
        self.contacts = Contacts()
        self.messages = Messages()
        self.opportunities = Documents("createdAt", "updatedAt")
        self.appointments = Documents("startTime", "dateUpdated")
        self.tasks = Documents("dateAdded", "dateUpdated")
        self.notes = Documents("dateAdded", "dateUpdated")
        self._stores: dict[str, Messages | Documents] = {
            "message": self.messages,
            "opportunity": self.opportunities,
            "appointment": self.appointments,
            "task": self.tasks,
            "note": self.notes,
        }
        self.transcriptions: dict[str, Json] = {}
        self.enrolments: dict[tuple[str, str], str] = {}

    def load(self, records: list[Record]) -> None:
        """Takes the records of a long past at once, into an empty CRM: only the last count."""
        messages: dict[str, Json] = {}
        last: dict[tuple[str, str], Record] = {}
        for record in records:
            if record.kind != "message":
                known = last.get((record.kind, record.id))
                if known is None or known.op != "delete":
                    last[record.kind, record.id] = record
                if record.kind in ("task", "note"):
                    # When they were added is told by their first version.
                    self.apply(record)
            elif record.payload is None:
                messages.pop(record.id, None)
            else:
                messages[record.id] = record.payload
        self.messages.load(list(messages.values()))
        for record in last.values():
            if record.kind not in ("task", "note"):
                self.apply(record)

    def apply(self, record: Record) -> str:
        """Takes one record of the simulation.

        Returns:
            What it did: ``created``, ``updated``, ``deleted`` or ``ignored``.
        """
        kind, op, record_id, payload = record.kind, record.op, record.id, record.payload
        if kind == "contact":
            return self._apply_contact(op, record_id, payload)
        if kind == "transcription":
            if payload is None:
                self.transcriptions.pop(record_id, None)
            else:
                self.transcriptions[record_id] = payload
            return "updated"
        if payload is not None and kind in ("task", "note"):
            payload = self._completed(record, payload)
        store = self._stores[kind]
        if payload is None or op == "delete":
            store.delete(record_id)
            return "deleted"
        return "created" if store.put(payload) else "updated"

    def _completed(self, record: Record, payload: Json) -> Json:
        """What the API leaves out of tasks and notes: their location and when they were added."""
        store = self.tasks if record.kind == "task" else self.notes
        stamp = iso(record.known_at)
        added = store.by_id.get(record.id, {}).get("dateAdded", stamp)
        location = {"locationId": record.location_id}
        return {"dateAdded": added, "dateUpdated": stamp, **location, **payload}

    def _apply_contact(self, op: str, record_id: str, payload: Json | None) -> str:
        if payload is None or op == "delete":
            return "ignored" if self.contacts.delete(record_id) is None else "deleted"
        known = record_id in self.contacts.by_id
        if not self.contacts.put(payload):
            return "ignored"
        return "updated" if known else "created"
