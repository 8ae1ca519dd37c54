"""A GoHighLevel that says what a test tells it to: broken, late, merged and deleted records.

The sandbox only misbehaves as a real CRM does, and is not to be edited from outside. This small
HTTP server speaks the same API over lists that the test owns, so that the real client and the
whole load run against states that a brokerage would take years to get into.
"""

import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Record = dict[str, Any]


class ScriptedGhl:
    """The provider's state, by location, and what was asked of it.

    Attributes:
        tables: records by location, then by table name.
        transcripts: sentences by message id.
        requests: ``(location, operation)`` of every request, in order.
        failing: locations whose every answer is a 403.
        hidden: ids that lists leave out although the records are there.
        page: records on a page.
    """

    def __init__(self, *locations: str) -> None:
        self.tables: dict[str, dict[str, list[Any]]] = {
            name: defaultdict(list) for name in locations
        }
        self.transcripts: dict[str, list[Record]] = {}
        self.requests: list[tuple[str, str]] = []
        self.failing: set[str] = set()
        self.hidden: set[str] = set()
        self.delay_seconds = 0.0
        self.page = 3
        self.lock = threading.Lock()

    def put(self, location: str, table: str, *records: Any) -> None:
        """Adds records, or replaces those of the same id."""
        with self.lock:
            kept = self.tables[location][table]
            ids = {record.get("id") for record in records if isinstance(record, dict)}
            kept[:] = [
                record for record in kept if not isinstance(record, dict) or record["id"] not in ids
            ]
            kept.extend(records)

    def remove(self, location: str, table: str, *ids: str) -> None:
        """Takes records away."""
        with self.lock:
            kept = self.tables[location][table]
            kept[:] = [record for record in kept if record.get("id") not in ids]

    def count(self, operation: str) -> int:
        """How many requests of a kind came."""
        return sum(name == operation for _, name in self.requests)

    def answer(
        self, token: str, method: str, path: str, query: dict[str, str], body: Record
    ) -> Any:
        """The JSON of an answer; None for a 404, a number for another status."""
        parts = path.strip("/").split("/")
        location = str(
            body.get("locationId") or query.get("locationId") or query.get("location_id") or ""
        )
        match (method, parts):
            case ("POST", ["contacts", "search"]):
                return self._reply(location, "contacts", self._contacts(location, body))
            case ("GET", ["contacts", name]):
                place = token.removeprefix("Bearer token-")
                found = [one for one in self.tables[place]["contacts"] if one.get("id") == name]
                return self._reply(place, "contact", {"contact": found[0]} if found else None)
            case ("GET", ["conversations", "messages", "export"]):
                return self._reply(location, "messages", self._messages(location, query))
            case ("GET", ["conversations", "locations", place, "messages", name, "transcription"]):
                return self._reply(place, "transcription", self.transcripts.get(name))
            case ("GET", ["opportunities", "search"]):
                found = self._all(location, "opportunities")
                return self._reply(location, "opportunities", {"opportunities": found, "meta": {}})
            case ("GET", ["opportunities", "pipelines"]):
                return self._listed(location, "pipelines")
            case ("GET", ["calendars", "events"]):
                found = self._all(location, "appointments")
                events = [
                    event for event in found if event["calendarId"] == query.get("calendarId")
                ]
                return self._reply(location, "appointments", {"events": events})
            case ("GET", [("users" | "calendars" | "workflows") as name]):
                return self._listed(location, name)
            case ("GET", ["locations", place]):
                return self._reply(place, "locations", {"location": {"id": place, "name": place}})
            case ("GET", ["locations", place, "customFields"]):
                return self._reply(
                    place, "custom_fields", {"customFields": self._all(place, "custom_fields")}
                )
            case ("POST", ["locations", place, "tasks", "search"]):
                skip = int(body.get("skip") or 0)
                found = self._all(place, "tasks")[skip : skip + self.page]
                return self._reply(place, "tasks", {"tasks": found})
        return None

    def _reply(self, location: str, operation: str, answer: Any) -> Any:
        with self.lock:
            self.requests.append((location, operation))
        return 403 if location in self.failing else answer

    def _all(self, location: str, table: str) -> list[Any]:
        with self.lock:
            return list(self.tables[location][table])

    def _listed(self, location: str, name: str) -> Any:
        return self._reply(location, name, {name: self._all(location, name)})

    def _contacts(self, location: str, body: Record) -> Record:
        found = [(_changed(record), record) for record in self._all(location, "contacts")]
        found = [entry for entry in found if entry[1].get("id") not in self.hidden]
        total = len(found)
        for rule in body.get("filters") or []:
            found = [entry for entry in found if entry[0] >= rule["value"]["gte"]]
        found.sort(key=lambda entry: (entry[0], str(entry[1].get("id"))))
        if after := body.get("searchAfter"):
            found = [entry for entry in found if [entry[0], str(entry[1].get("id"))] > list(after)]
        page = [
            record | {"searchAfter": [changed, str(record.get("id"))]}
            for changed, record in found[: self.page]
        ]
        return {"contacts": page, "total": total}

    def _messages(self, location: str, query: dict[str, str]) -> Record:
        email = query.get("channel") == "Email"
        found = [
            (_changed(record), record)
            for record in self._all(location, "messages")
            if (record.get("messageType") == "TYPE_EMAIL") == email
        ]
        found = [entry for entry in found if entry[0] >= query.get("startDate", "")]
        found.sort(key=lambda entry: (entry[0], str(entry[1].get("id"))))
        start = int(query.get("cursor") or 0)
        more = len(found) > start + self.page
        page = [record for _, record in found[start : start + self.page]]
        cursor = str(start + self.page) if more else None
        return {"messages": page, "total": len(found), "nextCursor": cursor}


def _changed(record: Record) -> str:
    return str(record.get("dateUpdated") or record.get("dateAdded") or "")


@contextmanager
def serving(ghl: ScriptedGhl) -> Iterator[str]:
    """Serves ``ghl`` on a free port; gives the API's root."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            target = urlsplit(self.path)
            token = self.headers.get("Authorization") or ""
            query = dict(parse_qsl(target.query))
            answer = ghl.answer(token, self.command, target.path, query, body)
            if ghl.delay_seconds:
                threading.Event().wait(ghl.delay_seconds)
            status = 404 if answer is None else answer if isinstance(answer, int) else 200
            content = json.dumps(answer if status == 200 else {"message": "no"}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _serve  # noqa: N815 - the names that the base class looks for

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Keeps the test output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
