"""Contacts: search, read, write."""

from __future__ import annotations

import re
from typing import Any

from providers.sandbox.chance import iso, uuid_id
from providers.sandbox.contacts import DND_CHANNELS
from providers.sandbox.ghl.common import (
    CONTACTS_VERSION,
    GhlArea,
    body_of,
    check_body,
    is_time,
    number_of,
    refuse,
    unprocessable,
)
from providers.sandbox.ghl.search import make_filter, page_by_field, page_by_time, sort_of
from providers.sandbox.ghl.tags import lower_tags
from providers.sandbox.wire import Json, Reply, Request, Router, reply

_SORTS = {
    "dateAdded": "dateAdded",
    "dateUpdated": "dateUpdated",
    "date_added": "dateAdded",
    "date_updated": "dateUpdated",
    "firstNameLowerCase": "firstNameLowerCase",
    "lastNameLowerCase": "lastNameLowerCase",
    "email": "email",
    "state": "state",
    "city": "city",
    "source": "source",
}
_SEARCH = {
    "locationId": "string*",
    "page": "number",
    "pageLimit": "number*",
    "searchAfter": "array",
    "filters": "array",
    "sort": "array",
    "query": "string",
}
_WRITE = {
    "firstName": "string?", "lastName": "string?", "name": "string?", "email": "string?",
    "phone": "string?", "address1": "string?", "city": "string?", "state": "string?",
    "postalCode": "string", "website": "string?", "timezone": "string?", "dnd": "boolean",
    "dndSettings": "object", "inboundDndSettings": "object", "tags": "strings",
    "customFields": "array", "source": "string", "dateOfBirth": "any", "country": "string",
    "assignedTo": "string?", "companyName": "string?", "gender": "string",
    "createNewIfDuplicateAllowed": "boolean",
}  # fmt: skip
_CREATE = {**_WRITE, "locationId": "string*"}
_PUNCTUATION = re.compile(r"[\s().-]")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def full_view(doc: Json) -> Json:
    """A contact as ``GET /contacts/{id}`` gives it."""
    first, last = str(doc.get("firstName") or ""), str(doc.get("lastName") or "")
    name = f"{first} {last}".strip()
    view = {k: v for k, v in doc.items() if v is not None}
    view |= {
        "name": name,
        "firstNameLowerCase": first.lower(),
        "lastNameLowerCase": last.lower(),
        "fullNameLowerCase": name.lower(),
    }
    if view.get("email"):
        view["emailLowerCase"] = view["email"].lower()
    return view


class ContactsArea(GhlArea):
    """The ``contacts`` app, without notes and tasks."""

    def routes(self, router: Router) -> None:
        """Registers the handlers."""
        for method, pattern, handler in (
            ("POST", "/contacts/search", self.search),
            ("GET", "/contacts/search/duplicate", self.duplicate),
            ("POST", "/contacts/upsert", self.upsert),
            ("POST", "/contacts", self.create),
            ("GET", "/contacts", self.list_contacts),
            ("GET", "/contacts/{contactId}", self.get),
            ("PUT", "/contacts/{contactId}", self.update),
            ("DELETE", "/contacts/{contactId}", self.delete),
        ):
            router.add(method, pattern, handler, version=CONTACTS_VERSION)
        self.sandbox.on("ghl.contact.create", self._apply_create)
        self.sandbox.on("ghl.contact.patch", self._apply_patch)
        self.sandbox.on("ghl.contact.delete", self._apply_delete)

    # -- reading ------------------------------------------------------------------------------

    def search(self, request: Request) -> Reply:
        """``search-contacts-advanced``."""
        body = body_of(request)
        check_body(body, _SEARCH)
        location = self.check_location(request, body["locationId"])
        limit = int(body["pageLimit"])
        if not 1 <= limit <= 500:
            raise unprocessable(["pageLimit must be between 1 and 500"])
        field, descending = sort_of(body, _SORTS)
        test = make_filter(body["filters"]) if body.get("filters") else None
        contacts = self.crm.contacts
        if text := str(body.get("query") or "").lower():
            inner = test
            test = lambda d: (inner is None or inner(d)) and _mentions(d, text)  # noqa: E731

        def document(name: str) -> Json:
            return contacts.by_id[name].doc

        if field in ("dateAdded", "dateUpdated"):
            orders = contacts.by_added if field == "dateAdded" else contacts.by_updated
            rows, total = page_by_time(
                orders[location], document, body, field,
                descending=descending, limit=limit, test=test,
            )  # fmt: skip
        else:
            everyone = (document(name) for name in contacts.by_added[location].walk())
            matching = [d for d in everyone if test is None or test(d)]
            rows, total = page_by_field(matching, body, field, descending=descending, limit=limit)
        return reply(
            {
                "contacts": [{**doc, "searchAfter": after} for after, doc in rows],
                "total": total,
                "traceId": uuid_id("search", location, request.body),
            }
        )

    def list_contacts(self, request: Request) -> Reply:
        """``get-contacts`` (deprecated): newest first by ``dateAdded``."""
        location = self.check_location(request, request.query.get("locationId"))
        limit = number_of(request, "limit", 20, 1, 100)
        contacts = self.crm.contacts
        after = None
        if "startAfter" in request.query:
            number = number_of(request, "startAfter", 0, 0, 2**53)
            after = (number, request.query.get("startAfterId", ""))
        index = contacts.by_added[location]
        text = request.query.get("query", "").lower()
        found = []
        for name in index.walk(descending=True, after=after):
            doc = contacts.by_id[name].doc
            if not text or _mentions(doc, text):
                found.append(doc)
                if len(found) == limit:
                    break
        return reply({"contacts": found, "count": len(index)})

    def duplicate(self, request: Request) -> Reply:
        """``get-duplicate-contact``: by email, else by phone."""
        location = self.check_location(request, request.query.get("locationId"))
        phone, email = request.query.get("number", ""), request.query.get("email", "")
        found = self.crm.contacts.find(location, phone=phone, email=email)
        return reply({"contact": full_view(found) if found else None})

    def get(self, request: Request) -> Reply:
        """``get-contact``."""
        return reply({"contact": full_view(self.contact(request))})

    # -- writing ------------------------------------------------------------------------------

    def create(self, request: Request) -> Reply:
        """``create-contact``: refused where the location has the email or phone already."""
        body = body_of(request)
        check_body(body, _CREATE)
        location = self.check_location(request, body["locationId"])
        known = self._known(location, body)
        if known is not None and not self._duplicates_allowed(location):
            raise refuse(400, "This location does not allow duplicated contacts.")
        return reply({"contact": full_view(self._create(location, body))}, 201)

    def upsert(self, request: Request) -> Reply:
        """``upsert-contact``: by email, else by phone; 201 would be a lie, it is 200 for both."""
        body = body_of(request)
        check_body(body, _CREATE)
        location = self.check_location(request, body["locationId"])
        if not body.get("email") and not body.get("phone"):
            raise unprocessable(["email or phone should not be empty"])
        known = None
        if not (body.get("createNewIfDuplicateAllowed") and self._duplicates_allowed(location)):
            known = self._known(location, body)
        if known is None:
            doc, new = self._create(location, body), True
        else:
            change = self._change(location, body)
            doc, new = self._patch(known["id"], change), False
        trace = uuid_id("upsert", doc["id"], self.sandbox.journal.seq)
        return reply({"new": new, "contact": full_view(doc), "traceId": trace})

    def update(self, request: Request) -> Reply:
        """``update-contact``: only the fields given; custom fields one by one; tags as a whole."""
        doc = self.contact(request)
        body = body_of(request)
        check_body(body, _WRITE)
        change = self._change(doc["locationId"], body)
        doc = self._patch(doc["id"], change)
        return reply({"succeded": True, "contact": full_view(doc)})

    def delete(self, request: Request) -> Reply:
        """``delete-contact``."""
        doc = self.contact(request)
        self.sandbox.commit("ghl.contact.delete", {"id": doc["id"]})
        return reply({"succeded": True})

    # -- helpers ------------------------------------------------------------------------------

    def _known(self, location: str, body: Json) -> Json | None:
        return self.crm.contacts.find(
            location, phone=body.get("phone") or "", email=body.get("email") or ""
        )

    def _duplicates_allowed(self, location: str) -> bool:
        for entry in self.sandbox.brokerage.locations:
            if entry["id"] == location:
                return bool((entry.get("settings") or {}).get("allowDuplicateContact"))
        return False

    def _change(self, location: str, body: Json) -> Json:
        """What a body changes, checked."""
        faults = []
        email = body.get("email")
        if email and not _EMAIL.fullmatch(email):
            faults.append("email must be an email")
        born = body.get("dateOfBirth")
        if born is not None and not is_time(born):
            faults.append("dateOfBirth must be a valid ISO 8601 date string")
        for channel, setting in (body.get("dndSettings") or {}).items():
            status = setting.get("status") if isinstance(setting, dict) else None
            if channel not in DND_CHANNELS:
                faults.append(f"dndSettings.property {channel} should not exist")
            elif status not in ("active", "inactive", "permanent"):
                faults.append(
                    f"dndSettings.{channel}.status must be one of the following values: "
                    "active, inactive, permanent"
                )
        if faults:
            raise unprocessable(faults)
        fields = {
            k: v
            for k, v in body.items()
            if k in _WRITE and k not in ("tags", "customFields", "name")
        }
        fields.pop("createNewIfDuplicateAllowed", None)
        if body.get("name") and "firstName" not in body:
            first, _, last = body["name"].partition(" ")
            fields |= {"firstName": first, "lastName": last}
        if fields.get("phone"):
            fields["phone"] = _PUNCTUATION.sub("", fields["phone"])
        change: Json = {"fields": fields}
        if "tags" in body:
            change["tags"] = lower_tags(body["tags"])
        if "customFields" in body:
            change["custom"] = self._custom(location, body["customFields"])
        return change

    def _custom(self, location: str, entries: Any) -> Json:
        fields = [f for f in self.sandbox.custom_fields if f["locationId"] == location]
        by_id = {f["id"]: f["id"] for f in fields}
        by_key = {f["fieldKey"].removeprefix("contact."): f["id"] for f in fields}
        out: Json = {}
        for number, entry in enumerate(entries):
            if not isinstance(entry, dict):
                raise unprocessable([f"customFields.{number} must be an object"])
            field = by_id.get(entry.get("id", "")) or by_key.get(entry.get("key", ""))
            if field is None:
                # HighLevel takes the rest and says nothing of a field it does not know.
                continue
            out[field] = _as_text(entry.get("field_value", entry.get("value")))
        return out

    def _create(self, location: str, body: Json) -> Json:
        change = self._change(location, body)
        doc = self.sandbox.commit(
            "ghl.contact.create",
            {"id": self.new_id("contact"), "locationId": location, **change},
        )
        return dict(doc)

    def _patch(self, contact_id: str, change: Json) -> Json:
        return dict(self.sandbox.commit("ghl.contact.patch", {"id": contact_id, **change}))

    def _apply_create(self, at: Any, _number: int, data: Json) -> Json:
        stamp = iso(at)
        doc: Json = {
            "id": data["id"],
            "locationId": data["locationId"],
            "type": "lead",
            "dnd": False,
            "tags": data.get("tags") or [],
            "customFields": [{"id": k, "value": v} for k, v in (data.get("custom") or {}).items()],
            "country": "US",
            "dateAdded": stamp,
            "dateUpdated": stamp,
            "additionalEmails": [],
            "additionalPhones": [],
            "followers": [],
            **{k: v for k, v in data["fields"].items() if v is not None},
        }
        self.crm.contacts.put(doc)
        self.sandbox.ghl_event("contact", "created", doc, at)
        return doc

    def _apply_patch(self, at: Any, _number: int, data: Json) -> Json:
        before = self.crm.contacts.by_id[data["id"]].doc
        doc = self.crm.contacts.patch(data["id"], at, data)
        done = "updated"
        if "dnd" in (data.get("fields") or {}) or "dndSettings" in (data.get("fields") or {}):
            done = "dnd" if before.get("dndSettings") != doc.get("dndSettings") else done
        self.sandbox.ghl_event("contact", done, doc, at)
        return doc

    def _apply_delete(self, at: Any, _number: int, data: Json) -> None:
        doc = self.crm.contacts.delete(data["id"])
        if doc is not None:
            self.sandbox.ghl_event("contact", "deleted", doc, at)


def _as_text(value: Any) -> Any:
    """The contract gives every single value of a custom field as text."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def _mentions(doc: Json, text: str) -> bool:
    names = ("firstName", "lastName", "email", "phone")
    return text in " ".join(str(doc.get(name) or "") for name in names).lower()
