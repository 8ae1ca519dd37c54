"""The sandbox's contacts: what the simulation says, and what was written through the API since."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from providers.sandbox.chance import iso, place_in_time
from providers.sandbox.index import Key, KeyIndex
from providers.sandbox.wire import Json

_NOT_DIGITS = re.compile(r"\D")
DND_CHANNELS = ("Call", "Email", "SMS", "WhatsApp", "GMB", "FB")


@dataclass(slots=True)
class Contact:
    """A contact and its changes through the API.

    The simulation sends whole versions of ``base``. What the API wrote is kept apart, and laid
    over each new version except where the new version itself changed the same field: the last
    writer of a field wins, as in a CRM.
    """

    base: Json
    doc: Json
    fields: Json = field(default_factory=dict)
    custom: dict[str, Any] = field(default_factory=dict)
    tags_added: dict[str, None] = field(default_factory=dict)
    tags_removed: dict[str, None] = field(default_factory=dict)

    def new_base(self, base: Json) -> None:
        """Takes a new version from the simulation."""
        for name in [n for n in self.fields if base.get(n) != self.base.get(n)]:
            if name != "dateUpdated":
                del self.fields[name]
        was, now = _custom(self.base), _custom(base)
        for name in [n for n in self.custom if now.get(n) != was.get(n)]:
            del self.custom[name]
        self.base = base
        ours = self.fields.get("dateUpdated")
        if ours is not None and str(base.get("dateUpdated", "")) >= ours:
            del self.fields["dateUpdated"]
        self.merge()

    def merge(self) -> None:
        """Lays the API's changes over the base."""
        if not (self.fields or self.custom or self.tags_added or self.tags_removed):
            self.doc = self.base
            return
        doc = {**self.base, **self.fields}
        if self.custom:
            values = {**_custom(self.base), **self.custom}
            doc["customFields"] = [
                {"id": k, "value": v} for k, v in values.items() if v not in (None, "")
            ]
        if self.tags_added or self.tags_removed:
            tags = dict.fromkeys([*_tags(self.base), *self.tags_added])
            doc["tags"] = [tag for tag in tags if tag not in self.tags_removed]
        self.doc = doc


def _custom(doc: Json) -> dict[str, Any]:
    entries = doc.get("customFields")
    return {e["id"]: e.get("value") for e in entries} if isinstance(entries, list) else {}


def _tags(doc: Json) -> list[str]:
    tags = doc.get("tags")
    return tags if isinstance(tags, list) else []


def phone_key(text: str) -> str:
    """The digits of a number, with the country's 1 where ten digits lack it."""
    digits = _NOT_DIGITS.sub("", text)
    return f"1{digits}" if len(digits) == 10 else digits


class Contacts:
    """All contacts, with the orders and look-ups the API needs."""

    def __init__(self) -> None:
        self.by_id: dict[str, Contact] = {}
        self.deleted: set[str] = set()
        self.by_updated: defaultdict[str, KeyIndex] = defaultdict(KeyIndex)
        self.by_added: defaultdict[str, KeyIndex] = defaultdict(KeyIndex)
        self._by_phone: defaultdict[tuple[str, str], dict[str, None]] = defaultdict(dict)
        self._by_email: defaultdict[tuple[str, str], dict[str, None]] = defaultdict(dict)
        self._phones: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self._emails: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self._keys: dict[str, tuple[str, Key, Key, str, str]] = {}

    def get(self, contact_id: str) -> Json | None:
        """The contact as it stands, None where there is none."""
        contact = self.by_id.get(contact_id)
        return None if contact is None else contact.doc

    def put(self, payload: Json) -> bool:
        """A whole version from the simulation or a new contact; False if it was deleted before."""
        contact_id = payload["id"]
        if contact_id in self.deleted:
            return False
        contact = self.by_id.get(contact_id)
        if contact is None:
            self.by_id[contact_id] = Contact(payload, payload)
        else:
            contact.new_base(payload)
        self._reindex(contact_id)
        return True

    def patch(self, contact_id: str, at: datetime, change: Json) -> Json:
        """Applies what the API wrote.

        Args:
            contact_id: an existing contact.
            at: when; becomes ``dateUpdated``.
            change: ``fields``, ``custom`` (value by field id), ``tags_added``, ``tags_removed``,
                ``tags`` (all of them); each may be absent.
        """
        contact = self.by_id[contact_id]
        contact.fields.update(change.get("fields") or {})
        contact.custom.update(change.get("custom") or {})
        if "tags" in change:
            wanted = change["tags"]
            contact.tags_added = dict.fromkeys(wanted)
            contact.tags_removed = {tag: None for tag in _tags(contact.base) if tag not in wanted}
        for tag in change.get("tags_added") or ():
            contact.tags_removed.pop(tag, None)
            contact.tags_added[tag] = None
        for tag in change.get("tags_removed") or ():
            contact.tags_added.pop(tag, None)
            contact.tags_removed[tag] = None
        contact.fields["dateUpdated"] = iso(at)
        contact.merge()
        self._reindex(contact_id)
        return contact.doc

    def delete(self, contact_id: str) -> Json | None:
        """Takes a contact away for good."""
        contact = self.by_id.pop(contact_id, None)
        self.deleted.add(contact_id)
        if contact is None:
            return None
        self._unindex(contact_id)
        return contact.doc

    def find(self, location_id: str, *, phone: str = "", email: str = "") -> Json | None:
        """The oldest contact of a location with this email, else with this phone."""
        for ids in (
            self._by_email.get((location_id, email.lower())) if email else None,
            self._by_phone.get((location_id, phone)) if phone else None,
        ):
            if ids:
                return self.by_id[next(iter(ids))].doc
        return None

    def with_phone(self, phone: str) -> list[Json]:
        """Every contact of any location with this number, however it is written."""
        return [self.by_id[i].doc for i in self._phones.get(phone_key(phone), ())]

    def with_email(self, email: str) -> list[Json]:
        """Every contact of any location with this address."""
        return [self.by_id[i].doc for i in self._emails.get(email.lower(), ())]

    def _reindex(self, contact_id: str) -> None:
        doc = self.by_id[contact_id].doc
        location = doc["locationId"]
        added = place_in_time(doc, "dateAdded", "dateUpdated")
        updated = place_in_time(doc, "dateUpdated", "dateAdded")
        phone, email = str(doc.get("phone") or ""), str(doc.get("email") or "").lower()
        new = (location, (updated, contact_id), (added, contact_id), phone, email)
        old = self._keys.get(contact_id)
        if old == new:
            return
        if old is not None:
            self._unindex(contact_id)
        self._keys[contact_id] = new
        self.by_updated[location].add(new[1])
        self.by_added[location].add(new[2])
        if phone:
            self._by_phone[location, phone][contact_id] = None
            self._phones[phone_key(phone)][contact_id] = None
        if email:
            self._by_email[location, email][contact_id] = None
            self._emails[email][contact_id] = None

    def _unindex(self, contact_id: str) -> None:
        location, updated, added, phone, email = self._keys.pop(contact_id)
        self.by_updated[location].remove(updated)
        self.by_added[location].remove(added)
        if phone:
            del self._by_phone[location, phone][contact_id]
            del self._phones[phone_key(phone)][contact_id]
        if email:
            del self._by_email[location, email][contact_id]
            del self._emails[email][contact_id]
