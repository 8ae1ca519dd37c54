"""Notes and tasks of contacts, and the location's task search."""

from __future__ import annotations

from datetime import datetime

from providers.sandbox.chance import iso
from providers.sandbox.ghl.common import (
    CONTACTS_VERSION,
    GhlArea,
    body_of,
    check_body,
    refuse,
    unprocessable,
)
from providers.sandbox.wire import Json, Reply, Request, Router, reply

_TASK = {
    "title": "string*", "body": "string?", "dueDate": "time*", "completed": "boolean*",
    "assignedTo": "string?",
}  # fmt: skip
_NOTE = {
    "body": "string*", "userId": "string", "title": "string", "color": "string",
    "pinned": "boolean",
}  # fmt: skip


def _optional(fields: dict[str, str]) -> dict[str, str]:
    return {name: kind.rstrip("*") for name, kind in fields.items()}


class ActivityArea(GhlArea):
    """The notes and tasks of the ``contacts`` app."""

    def routes(self, router: Router) -> None:
        """Registers the handlers."""
        root = "/contacts/{contactId}"
        for method, pattern, handler in (
            ("GET", f"{root}/notes", self.notes),
            ("POST", f"{root}/notes", self.add_note),
            ("GET", f"{root}/notes/{{id}}", self.note),
            ("PUT", f"{root}/notes/{{id}}", self.update_note),
            ("DELETE", f"{root}/notes/{{id}}", self.delete_note),
            ("GET", f"{root}/tasks", self.tasks),
            ("POST", f"{root}/tasks", self.add_task),
            ("GET", f"{root}/tasks/{{taskId}}", self.task),
            ("PUT", f"{root}/tasks/{{taskId}}", self.update_task),
            ("DELETE", f"{root}/tasks/{{taskId}}", self.delete_task),
            ("PUT", f"{root}/tasks/{{taskId}}/completed", self.complete_task),
            ("POST", "/locations/{locationId}/tasks/search", self.search_tasks),
        ):
            router.add(method, pattern, handler, version=CONTACTS_VERSION)
        self.sandbox.on("ghl.note", self._apply_note)
        self.sandbox.on("ghl.task", self._apply_task)

    # -- notes --------------------------------------------------------------------------------

    def notes(self, request: Request) -> Reply:
        """``get-all-notes``: newest first."""
        contact = self.contact(request)
        found = [_view(n) for n in reversed(self.crm.notes.of_contact(contact["id"]))]
        return reply({"notes": found})

    def note(self, request: Request) -> Reply:
        """``get-note``."""
        return reply({"note": _view(self._note(request))})

    def add_note(self, request: Request) -> Reply:
        """``create-note``."""
        contact = self.contact(request)
        body = body_of(request)
        check_body(body, _NOTE)
        data = {"id": self.new_id("note"), "contact": contact["id"], "change": body}
        return reply({"note": _view(self.sandbox.commit("ghl.note", data))}, 201)

    def update_note(self, request: Request) -> Reply:
        """``update-note``."""
        note = self._note(request)
        body = body_of(request)
        check_body(body, _optional(_NOTE))
        data = {"id": note["id"], "contact": note["contactId"], "change": body}
        return reply({"note": _view(self.sandbox.commit("ghl.note", data))})

    def delete_note(self, request: Request) -> Reply:
        """``delete-note``."""
        note = self._note(request)
        self.sandbox.commit("ghl.note", {"id": note["id"], "change": None})
        return reply({"succeded": True})

    def _note(self, request: Request) -> Json:
        contact = self.contact(request)
        note = self.crm.notes.by_id.get(request.params["id"])
        if note is None or note["contactId"] != contact["id"]:
            raise refuse(400, f"Note with id {request.params['id']} not found")
        return note

    def _apply_note(self, at: datetime, _number: int, data: Json) -> Json:
        store = self.crm.notes
        before = store.by_id.get(data["id"])
        if data["change"] is None:
            gone = store.delete(data["id"]) or {}
            self.sandbox.ghl_event("note", "deleted", gone, at)
            return gone
        note = before or {
            "id": data["id"],
            "contactId": data["contact"],
            "locationId": self._location(data["contact"]),
            "userId": "",
            "dateAdded": iso(at),
        }
        note = {**note, **data["change"], "dateUpdated": iso(at)}
        created = store.put(note)
        self.sandbox.ghl_event("note", "created" if created else "updated", note, at)
        return note

    # -- tasks --------------------------------------------------------------------------------

    def tasks(self, request: Request) -> Reply:
        """``get-all-tasks``."""
        contact = self.contact(request)
        return reply({"tasks": [_view(t) for t in self.crm.tasks.of_contact(contact["id"])]})

    def task(self, request: Request) -> Reply:
        """``get-task``."""
        return reply({"task": _view(self._task(request))})

    def add_task(self, request: Request) -> Reply:
        """``create-task``."""
        contact = self.contact(request)
        body = body_of(request)
        check_body(body, _TASK)
        data = {"id": self.new_id("task"), "contact": contact["id"], "change": body}
        return reply({"task": _view(self.sandbox.commit("ghl.task", data))}, 201)

    def update_task(self, request: Request) -> Reply:
        """``update-task``."""
        task = self._task(request)
        body = body_of(request)
        check_body(body, _optional(_TASK))
        return self._change_task(task, body)

    def complete_task(self, request: Request) -> Reply:
        """``update-task-completed``."""
        task = self._task(request)
        body = body_of(request)
        check_body(body, {"completed": "boolean*"})
        return self._change_task(task, body)

    def delete_task(self, request: Request) -> Reply:
        """``delete-task``."""
        task = self._task(request)
        self.sandbox.commit("ghl.task", {"id": task["id"], "change": None})
        return reply({"succeded": True})

    def search_tasks(self, request: Request) -> Reply:
        """``task-search``: oldest first, by ``skip`` and ``limit``."""
        location = self.check_location(request, request.params["locationId"])
        body = body_of(request)
        check_body(
            body,
            {
                "contactId": "strings", "completed": "boolean", "assignedTo": "strings",
                "query": "string", "limit": "number", "skip": "number", "businessId": "string",
            },
        )  # fmt: skip
        limit, skip = int(body.get("limit", 25)), int(body.get("skip", 0))
        if not 1 <= limit <= 100 or skip < 0:
            raise unprocessable(["limit must be between 1 and 100, skip not less than 0"])
        contacts, users = set(body.get("contactId") or ()), set(body.get("assignedTo") or ())
        text = (body.get("query") or "").lower()
        found: list[Json] = []
        for name in self.crm.tasks.by_added[location].walk():
            task = self.crm.tasks.by_id[name]
            if (
                (contacts and task.get("contactId") not in contacts)
                or (users and task.get("assignedTo") not in users)
                or ("completed" in body and bool(task.get("completed")) != body["completed"])
                or (text and text not in (task.get("title") or "").lower())
            ):
                continue
            if skip:
                skip -= 1
                continue
            found.append({**_view(task), "locationId": location})
            if len(found) == limit:
                break
        return reply({"tasks": found})

    def _change_task(self, task: Json, change: Json) -> Reply:
        data = {"id": task["id"], "contact": task["contactId"], "change": change}
        return reply({"task": _view(self.sandbox.commit("ghl.task", data))})

    def _task(self, request: Request) -> Json:
        contact = self.contact(request)
        task = self.crm.tasks.by_id.get(request.params["taskId"])
        if task is None or task["contactId"] != contact["id"]:
            raise refuse(400, f"Task with id {request.params['taskId']} not found")
        return task

    def _apply_task(self, at: datetime, _number: int, data: Json) -> Json:
        store = self.crm.tasks
        before = store.by_id.get(data["id"])
        if data["change"] is None:
            gone = store.delete(data["id"]) or {}
            self.sandbox.ghl_event("task", "deleted", gone, at)
            return gone
        task = before or {
            "id": data["id"],
            "contactId": data["contact"],
            "locationId": self._location(data["contact"]),
            "dateAdded": iso(at),
        }
        task = {**task, **data["change"], "dateUpdated": iso(at)}
        created = store.put(task)
        done = "created" if created else "updated"
        if task.get("completed") and not (before or {}).get("completed"):
            done = done if created else "completed"
        self.sandbox.ghl_event("task", done, task, at)
        return task

    def _location(self, contact_id: str) -> str:
        return str((self.crm.contacts.get(contact_id) or {}).get("locationId", ""))


def _view(document: Json) -> Json:
    return {k: v for k, v in document.items() if v is not None}
