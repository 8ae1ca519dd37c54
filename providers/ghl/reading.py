"""What is read from HighLevel. Reads never raise ``Unknown``: nothing could have happened."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from providers.core import Kind
from providers.errors import Rejected
from providers.ghl.transport import (
    CALENDARS_VERSION,
    CONVERSATIONS_VERSION,
    GHL,
    VERSION,
    GhlTransport,
    any_object,
    iso,
    list_in,
    milliseconds,
    number_in,
    object_in,
    segment,
    with_list,
)
from providers.http import JsonObject, bad_answer, must_advance

CONTACT_PAGE = 500
MESSAGE_PAGE = 500
OPPORTUNITY_PAGE = 100
TASK_PAGE = 100
EVENT_WINDOW = timedelta(days=92)


class GhlReader(GhlTransport):
    """The location's data. Iterators yield pages: lists of the provider's own JSON objects.

    Raises:
        NotSent: the provider stayed unreachable, or had no room for the request.
        Rejected: the provider refused.
    """

    def iter_contacts(self, updated_after: datetime | None = None) -> Iterator[list[JsonObject]]:
        """Contacts, oldest change first, those changed at ``updated_after`` or later.

        A contact that changes while the pages are read comes again at the end.
        """
        body: JsonObject = {
            "locationId": self.location_id,
            "pageLimit": CONTACT_PAGE,
            "sort": [{"field": "dateUpdated", "direction": "asc"}],
        }
        if updated_after is not None:
            since = {"gte": iso(updated_after)}
            body["filters"] = [{"field": "dateUpdated", "operator": "range", "value": since}]
        while True:
            contacts = self._call(
                "search_contacts",
                Kind.READ,
                "POST",
                "/contacts/search",
                list_in("contacts"),
                body=body,
            )
            if not contacts:
                return
            yield contacts
            # A short page does not mean the last one: the server may cap the size we ask for.
            last = contacts[-1]
            after = last.get("searchAfter") if isinstance(last, dict) else None
            if not after:
                return
            must_advance(GHL, "search_contacts", body.get("searchAfter"), after)
            body = {**body, "searchAfter": after}

    def count_contacts(self) -> int:
        """How many contacts the location has, those included that cannot be loaded."""
        return self._call(
            "count_contacts",
            Kind.READ,
            "POST",
            "/contacts/search",
            number_in("total"),
            body={"locationId": self.location_id, "pageLimit": 1},
        )

    def iter_opportunities(
        self, updated_after: datetime | None = None
    ) -> Iterator[list[JsonObject]]:
        """Opportunities of all pipelines and states.

        The documented search knows no filter on the last change, so all pages are read, and those
        not changed since ``updated_after`` are left out here.
        """
        params: dict[str, Any] = {
            "location_id": self.location_id,
            "limit": OPPORTUNITY_PAGE,
            "status": "all",
        }
        while True:
            answer = self._call(
                "search_opportunities",
                Kind.READ,
                "GET",
                "/opportunities/search",
                with_list("opportunities"),
                params=params,
            )
            found: list[JsonObject] = answer["opportunities"]
            changed = [item for item in found if _changed_since(item, updated_after)]
            if changed:
                yield changed
            meta = answer.get("meta") or {}
            after = (meta.get("startAfter"), meta.get("startAfterId"))
            if not found or None in after:
                return
            must_advance(
                GHL,
                "search_opportunities",
                (params.get("startAfter"), params.get("startAfterId")),
                after,
            )
            params = {**params, "startAfter": after[0], "startAfterId": after[1]}

    def iter_messages(
        self, since: datetime | None = None, channel: str | None = None
    ) -> Iterator[list[JsonObject]]:
        """Messages and calls of all conversations, oldest change first, from ``since`` on.

        Args:
            since: None exports everything.
            channel: ``Call``, ``SMS``, ``Email``, ...; None gives every type but email, which the
                export gives only when asked for by name.
        """
        params: dict[str, Any] = {
            "locationId": self.location_id,
            "limit": MESSAGE_PAGE,
            "sortBy": "updatedAt",
            "sortOrder": "asc",
        }
        if since is not None:
            params["startDate"] = iso(since)
        if channel is not None:
            params["channel"] = channel
        while True:
            answer = self._call(
                "export_messages",
                Kind.READ,
                "GET",
                "/conversations/messages/export",
                with_list("messages"),
                params=params,
                version=CONVERSATIONS_VERSION,
            )
            if answer["messages"]:
                yield answer["messages"]
            cursor = answer.get("nextCursor")
            if not answer["messages"] or not cursor:
                return
            must_advance(GHL, "export_messages", params.get("cursor"), cursor)
            params = {**params, "cursor": cursor}

    def iter_calendar_events(self, start: datetime, end: datetime) -> Iterator[list[JsonObject]]:
        """Appointments of every calendar from ``start`` to ``end``, each of them once.

        The API takes one calendar at a time and has no paging, so long spans are asked for in
        windows of 92 days.
        """
        for calendar in self.list_calendars():
            seen: set[object] = set()
            opens = start
            while opens < end:
                closes = min(opens + EVENT_WINDOW, end)
                found = self._call(
                    "list_calendar_events",
                    Kind.READ,
                    "GET",
                    "/calendars/events",
                    list_in("events"),
                    params={
                        "locationId": self.location_id,
                        "calendarId": calendar["id"],
                        "startTime": str(milliseconds(opens)),
                        "endTime": str(milliseconds(closes)),
                    },
                    version=CALENDARS_VERSION,
                )
                events = [event for event in found if _id_of(event) not in seen]
                seen.update(_id_of(event) for event in events if _id_of(event) is not None)
                if events:
                    yield events
                opens = closes

    def iter_tasks(self) -> Iterator[list[JsonObject]]:
        """All tasks of the location, done or not."""
        skip, before = 0, None
        while True:
            tasks = self._call(
                "search_tasks",
                Kind.READ,
                "POST",
                f"/locations/{segment(self.location_id)}/tasks/search",
                list_in("tasks"),
                body={"limit": TASK_PAGE, "skip": skip},
            )
            if not tasks:
                return
            must_advance(GHL, "search_tasks", before, tasks)
            yield tasks
            skip, before = skip + len(tasks), tasks

    def list_users(self) -> list[JsonObject]:
        """The location's users."""
        return self._list("list_users", "/users/", "users")

    def list_calendars(self) -> list[JsonObject]:
        """The location's calendars."""
        return self._list("list_calendars", "/calendars/", "calendars", CALENDARS_VERSION)

    def list_pipelines(self) -> list[JsonObject]:
        """The location's pipelines with their stages."""
        return self._list("list_pipelines", "/opportunities/pipelines", "pipelines")

    def list_workflows(self) -> list[JsonObject]:
        """The location's workflows."""
        return self._list("list_workflows", "/workflows/", "workflows")

    def list_custom_fields(self) -> list[JsonObject]:
        """The definitions of the contacts' custom fields."""
        return self._call(
            "list_custom_fields",
            Kind.READ,
            "GET",
            f"/locations/{segment(self.location_id)}/customFields",
            list_in("customFields"),
            params={"model": "contact"},
        )

    def get_location(self) -> JsonObject:
        """The location itself: name, time zone, address."""
        path = f"/locations/{segment(self.location_id)}"
        return self._call("get_location", Kind.READ, "GET", path, object_in("location"))

    def get_contact(self, contact_id: str) -> JsonObject:
        """One contact.

        Raises:
            Rejected: with status 404 (the live API also says 400) when it was deleted or merged.
        """
        path = f"/contacts/{segment(contact_id)}"
        return self._call("get_contact", Kind.READ, "GET", path, object_in("contact"))

    def list_notes(self, contact_id: str) -> list[JsonObject]:
        """All notes of a contact, newest first."""
        path = f"/contacts/{segment(contact_id)}/notes"
        return self._call("list_notes", Kind.READ, "GET", path, list_in("notes"))

    def list_contact_tasks(self, contact_id: str) -> list[JsonObject]:
        """All tasks of a contact."""
        path = f"/contacts/{segment(contact_id)}/tasks"
        return self._call("list_contact_tasks", Kind.READ, "GET", path, list_in("tasks"))

    def get_transcription(self, message_id: str) -> list[JsonObject]:
        """The sentences of a call's transcription, empty if it has none."""
        path = (
            f"/conversations/locations/{segment(self.location_id)}"
            f"/messages/{segment(message_id)}/transcription"
        )
        try:
            return self._call(
                "get_transcription",
                Kind.READ,
                "GET",
                path,
                _sentences,
                version=CONVERSATIONS_VERSION,
            )
        except Rejected as error:
            if error.status == 404:
                return []
            raise

    def _list(
        self, operation: str, path: str, key: str, version: str = VERSION
    ) -> list[JsonObject]:
        return self._call(
            operation,
            Kind.READ,
            "GET",
            path,
            list_in(key),
            params={"locationId": self.location_id},
            version=version,
        )


def _sentences(body: Any) -> list[JsonObject]:
    # The contract describes one sentence; the API answers a list of them.
    if isinstance(body, list) and all(isinstance(item, dict) for item in body):
        return body
    sentence = any_object(body)
    if "transcript" not in sentence:
        raise bad_answer(GHL)
    return [sentence]


def _id_of(item: object) -> object:
    return item.get("id") if isinstance(item, dict) else None


def _changed_since(item: object, since: datetime | None) -> bool:
    """Whether to keep it; what cannot be dated is kept, for the loader to judge."""
    if since is None or not isinstance(item, dict):
        return True
    try:
        changed = datetime.fromisoformat(str(item.get("updatedAt")))
    except ValueError:
        return True
    if changed.tzinfo is None:
        changed = changed.replace(tzinfo=UTC)
    return changed >= since
