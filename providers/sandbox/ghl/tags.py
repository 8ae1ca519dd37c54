"""Tags and workflows of contacts, one by one and in bulk."""

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


class TagsArea(GhlArea):
    """The tags and workflows of the ``contacts`` app."""

    def routes(self, router: Router) -> None:
        """Registers the handlers."""
        workflow = "/contacts/{contactId}/workflow/{workflowId}"
        for method, pattern, handler in (
            ("POST", "/contacts/bulk/tags/update/{type}", self.bulk_tags),
            ("POST", "/contacts/{contactId}/tags", self.add_tags),
            ("DELETE", "/contacts/{contactId}/tags", self.remove_tags),
            ("POST", workflow, self.enrol),
            ("DELETE", workflow, self.unenrol),
        ):
            router.add(method, pattern, handler, version=CONTACTS_VERSION)
        self.sandbox.on("ghl.contacts.tags", self._apply_tags)
        self.sandbox.on("ghl.enrolment", self._apply_enrolment)

    def add_tags(self, request: Request) -> Reply:
        """``add-tags``: gives all tags of the contact."""
        doc, tags = self.contact(request), _tags_of(request)
        doc = self._change("add", doc["id"], tags)
        return reply({"tags": doc.get("tags") or []}, 201)

    def remove_tags(self, request: Request) -> Reply:
        """``remove-tags``: gives the tags that are left."""
        doc, tags = self.contact(request), _tags_of(request)
        doc = self._change("remove", doc["id"], tags)
        return reply({"tags": doc.get("tags") or []})

    def bulk_tags(self, request: Request) -> Reply:
        """``create-association``: adds or removes tags of up to 500 contacts."""
        kind = request.params["type"]
        if kind not in ("add", "remove"):
            raise unprocessable(["type must be one of the following values: add, remove"])
        body = body_of(request)
        check_body(
            body,
            {
                "contacts": "strings*",
                "tags": "strings*",
                "locationId": "string*",
                "removeAllTags": "boolean",
            },
        )
        location = self.check_location(request, body["locationId"])
        known = [
            name
            for name in body["contacts"]
            if (self.crm.contacts.get(name) or {}).get("locationId") == location
        ]
        if known:
            self.sandbox.commit(
                "ghl.contacts.tags",
                {
                    "ids": known,
                    "kind": kind,
                    "tags": lower_tags(body["tags"]),
                    "all": bool(body.get("removeAllTags")),
                },
            )
        failed = len(body["contacts"]) - len(known)
        answer = {"succeded": failed == 0, "errorCount": failed, "responses": known}
        return reply(answer, 201)

    def enrol(self, request: Request) -> Reply:
        """``add-contact-to-workflow``."""
        return self._enrolment(request, "add")

    def unenrol(self, request: Request) -> Reply:
        """``delete-contact-from-workflow``."""
        return self._enrolment(request, "remove")

    def _enrolment(self, request: Request, kind: str) -> Reply:
        doc = self.contact(request)
        check_body(body_of(request), {"eventStartTime": "time"})
        workflow = request.params["workflowId"]
        known = {w["id"]: w for w in self.sandbox.brokerage.workflows}.get(workflow)
        if known is None or known["locationId"] != doc["locationId"]:
            raise refuse(400, f"Workflow with id {workflow} not found")
        if kind == "add" and known["status"] != "published":
            raise refuse(400, "The workflow is not published")
        self.sandbox.commit(
            "ghl.enrolment", {"contact": doc["id"], "workflow": workflow, "kind": kind}
        )
        return reply({"succeded": True})

    def _change(self, kind: str, contact_id: str, tags: list[str]) -> Json:
        data = {"ids": [contact_id], "kind": kind, "tags": tags, "all": False}
        self.sandbox.commit("ghl.contacts.tags", data)
        return self.crm.contacts.by_id[contact_id].doc

    def _apply_tags(self, at: datetime, _number: int, data: Json) -> None:
        for name in data["ids"]:
            if name not in self.crm.contacts.by_id:
                continue
            change = {f"tags_{'added' if data['kind'] == 'add' else 'removed'}": data["tags"]}
            if data["all"]:
                change = {"tags": data["tags"] if data["kind"] == "add" else []}
            doc = self.crm.contacts.patch(name, at, change)
            self.sandbox.ghl_event("contact", "tags", doc, at)

    def _apply_enrolment(self, at: datetime, _number: int, data: Json) -> None:
        key = (data["contact"], data["workflow"])
        if data["kind"] == "add":
            self.crm.enrolments[key] = iso(at)
        else:
            self.crm.enrolments.pop(key, None)


def _tags_of(request: Request) -> list[str]:
    body = body_of(request)
    check_body(body, {"tags": "strings*"})
    return lower_tags(body["tags"])


def lower_tags(tags: list[str]) -> list[str]:
    """HighLevel keeps tags in lower case."""
    return list(dict.fromkeys(tag.strip().lower() for tag in tags if tag.strip()))
