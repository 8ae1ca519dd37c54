"""Calendars, their events, appointments."""

from __future__ import annotations

from datetime import datetime, timedelta

from providers.sandbox.chance import iso, parse_time
from providers.sandbox.ghl.common import (
    CONTACTS_VERSION,
    CONVERSATIONS_VERSION,
    GhlArea,
    body_of,
    check_body,
    is_time,
    moment_of,
    refuse,
    unprocessable,
)
from providers.sandbox.wire import Json, Reply, Request, Router, reply

_STATUSES = ("new", "confirmed", "cancelled", "showed", "noshow", "invalid")
_CHANGE = {
    "title": "string", "meetingLocationType": "string", "meetingLocationId": "string",
    "overrideLocationConfig": "boolean", "appointmentStatus": "string", "assignedUserId": "string",
    "description": "string", "address": "string", "ignoreDateRange": "boolean",
    "toNotify": "boolean", "ignoreFreeSlotValidation": "boolean", "rrule": "string",
    "calendarId": "string", "startTime": "time", "endTime": "time",
}  # fmt: skip
_CREATE = {
    **_CHANGE, "calendarId": "string*", "locationId": "string*", "contactId": "string*",
    "startTime": "time*",
}  # fmt: skip
_DETAILS = ("title", "appointmentStatus", "assignedUserId", "address", "description")


def event_view(event: Json) -> Json:
    """An appointment with every field the contract requires of an event."""
    user = event.get("assignedUserId") or ""
    view = {k: v for k, v in event.items() if v is not None}
    view.setdefault("groupId", "")
    view.setdefault("title", "")
    view["assignedUserId"] = user
    view.setdefault("users", [user] if user else [])
    view.setdefault("dateUpdated", view.get("dateAdded", ""))
    return view


class CalendarsArea(GhlArea):
    """The ``calendars`` app."""

    def routes(self, router: Router) -> None:
        """Registers the handlers."""
        root = "/calendars"
        for method, pattern, handler in (
            ("GET", root, self.calendars),
            ("GET", f"{root}/events", self.events),
            ("POST", f"{root}/events/appointments", self.create),
            ("GET", f"{root}/events/appointments/{{eventId}}", self.get),
            ("PUT", f"{root}/events/appointments/{{eventId}}", self.update),
            ("DELETE", f"{root}/events/{{eventId}}", self.delete),
            ("GET", f"{root}/{{calendarId}}", self.calendar),
        ):
            router.add(method, pattern, handler, version=CONVERSATIONS_VERSION)
        path = "/contacts/{contactId}/appointments"
        router.add("GET", path, self.of_contact, version=CONTACTS_VERSION)
        self.sandbox.on("ghl.appointment", self._apply)

    def calendars(self, request: Request) -> Reply:
        """``get-calendars``."""
        location = self.check_location(request, request.query.get("locationId"))
        group = request.query.get("groupId")
        found = [
            c
            for c in self.sandbox.brokerage.calendars
            if c["locationId"] == location and group in (None, c.get("groupId"))
        ]
        return reply({"calendars": found})

    def calendar(self, request: Request) -> Reply:
        """``get-calendar``."""
        return reply({"calendar": self._calendar(request, request.params["calendarId"])})

    def events(self, request: Request) -> Reply:
        """``get-calendar-events``: those that start within the two times (milliseconds)."""
        query = request.query
        location = self.check_location(request, query.get("locationId"))
        if not any(query.get(name) for name in ("userId", "calendarId", "groupId")):
            raise refuse(400, "Either of userId, calendarId or groupId is required")
        low, high = moment_of(request, "startTime"), moment_of(request, "endTime")
        if low is None or high is None:
            raise unprocessable(["startTime and endTime should not be empty"])
        store = self.crm.appointments
        found = []
        for name in store.by_added[location].walk(low=low, high=high):
            event = store.by_id[name]
            if (
                query.get("userId", event.get("assignedUserId")) == event.get("assignedUserId")
                and query.get("calendarId", event["calendarId"]) == event["calendarId"]
                and query.get("groupId", event.get("groupId")) == event.get("groupId")
            ):
                found.append(event_view(event))
        return reply({"events": found})

    def of_contact(self, request: Request) -> Reply:
        """``get-appointments-for-contact``."""
        contact = self.contact(request)
        found = []
        for event in self.crm.appointments.of_contact(contact["id"]):
            view = event_view(event)
            view["status"] = view.get("appointmentStatus", "")
            for name in ("startTime", "endTime"):
                if is_time(event.get(name)):
                    view[name] = parse_time(event[name]).strftime("%Y-%m-%d %H:%M:%S")
            found.append(view)
        return reply({"events": found})

    def get(self, request: Request) -> Reply:
        """``get-appointment``."""
        return reply({"event": event_view(self._event(request))})

    def create(self, request: Request) -> Reply:
        """``create-appointment``: one at a time per agent unless validation is waived."""
        body = body_of(request)
        check_body(body, _CREATE)
        location = self.check_location(request, body["locationId"])
        calendar = self._calendar(request, body["calendarId"])
        contact = self.contact(request, body["contactId"])
        self._check_status(body)
        start = parse_time(body["startTime"])
        length = timedelta(minutes=float(calendar.get("slotDuration") or 60))
        end = parse_time(body["endTime"]) if body.get("endTime") else start + length
        if end <= start:
            raise refuse(400, "The end time must be after the start time")
        user = body.get("assignedUserId") or contact.get("assignedTo") or ""
        if not body.get("ignoreFreeSlotValidation") and self._busy(location, user, start, end):
            raise refuse(400, "The slot you have selected is no longer available.")
        data = {
            "id": self.new_id("appointment"),
            "change": {
                "locationId": location,
                "calendarId": calendar["id"],
                "groupId": calendar.get("groupId") or "",
                "contactId": contact["id"],
                "title": body.get("title") or calendar["name"],
                "appointmentStatus": body.get("appointmentStatus") or "confirmed",
                "assignedUserId": user,
                "users": [user] if user else [],
                "address": body.get("address") or "",
                "description": body.get("description") or "",
                "startTime": iso(start),
                "endTime": iso(end),
            },
        }
        return reply(_short(self.sandbox.commit("ghl.appointment", data)))

    def update(self, request: Request) -> Reply:
        """``edit-appointment``."""
        event = self._event(request)
        body = body_of(request)
        check_body(body, _CHANGE)
        self._check_status(body)
        change = {k: body[k] for k in (*_DETAILS, "calendarId") if k in body}
        for name in ("startTime", "endTime"):
            if name in body:
                change[name] = iso(parse_time(body[name]))
        data = {"id": event["id"], "change": change}
        return reply(_short(self.sandbox.commit("ghl.appointment", data)))

    def delete(self, request: Request) -> Reply:
        """``delete-event``."""
        event = self._event(request)
        self.sandbox.commit("ghl.appointment", {"id": event["id"], "change": None})
        return reply({"succeeded": True}, 201)

    def _apply(self, at: datetime, _number: int, data: Json) -> Json:
        store = self.crm.appointments
        if data["change"] is None:
            gone = store.delete(data["id"]) or {}
            self.sandbox.ghl_event("appointment", "deleted", gone, at)
            return gone
        before = store.by_id.get(data["id"]) or {"id": data["id"], "dateAdded": iso(at)}
        event = {**before, **data["change"], "dateUpdated": iso(at)}
        created = store.put(event)
        self.sandbox.ghl_event("appointment", "created" if created else "updated", event, at)
        return event

    def _busy(self, location: str, user: str, start: datetime, end: datetime) -> bool:
        if not user:
            return False
        store = self.crm.appointments
        day = timedelta(days=1)
        low, high = (start - day).timestamp() * 1000, end.timestamp() * 1000
        for name in store.by_added[location].walk(low=int(low), high=int(high)):
            event = store.by_id[name]
            if (
                event.get("assignedUserId") == user
                and event.get("appointmentStatus") not in ("cancelled", "invalid")
                and is_time(event.get("startTime"))
                and is_time(event.get("endTime"))
                and parse_time(event["startTime"]) < end
                and parse_time(event["endTime"]) > start
            ):
                return True
        return False

    @staticmethod
    def _check_status(body: Json) -> None:
        if body.get("appointmentStatus", "new") not in _STATUSES:
            listed = ", ".join(_STATUSES)
            raise unprocessable(
                [f"appointmentStatus must be one of the following values: {listed}"]
            )

    def _calendar(self, request: Request, calendar_id: str) -> Json:
        for calendar in self.sandbox.brokerage.calendars:
            if calendar["id"] == calendar_id:
                self.check_location(request, calendar["locationId"])
                return calendar
        raise refuse(400, f"Calendar with id {calendar_id} not found")

    def _event(self, request: Request) -> Json:
        name = request.params["eventId"]
        event = self.crm.appointments.by_id.get(name)
        if event is None:
            raise refuse(400, f"Event with id {name} not found")
        self.check_location(request, event["locationId"])
        return event


def _short(event: Json) -> Json:
    names = (
        "id", "calendarId", "locationId", "contactId", "startTime", "endTime", "title",
        "appointmentStatus", "assignedUserId", "address",
    )  # fmt: skip
    return {**{n: event[n] for n in names if event.get(n) is not None}, "isRecurring": False}
