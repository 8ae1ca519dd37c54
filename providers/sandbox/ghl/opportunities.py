"""Opportunities and pipelines."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlencode

from providers.sandbox.chance import iso
from providers.sandbox.ghl.common import (
    CONTACTS_VERSION,
    GhlArea,
    body_of,
    check_body,
    choice_of,
    number_of,
    refuse,
    unprocessable,
)
from providers.sandbox.ghl.search import make_filter, page_by_time, sort_of
from providers.sandbox.index import Key
from providers.sandbox.wire import Json, Reply, Request, Router, reply

_STATUSES = ("open", "won", "lost", "abandoned", "all")
_ORDERS = ("added_asc", "added_desc", "updated_asc", "updated_desc")
_FILTERS = {
    "pipeline_id": "pipelineId",
    "pipeline_stage_id": "pipelineStageId",
    "contact_id": "contactId",
    "assigned_to": "assignedTo",
    "id": "id",
}
_ALLOWED = {
    "location_id", "q", "status", "order", "date", "endDate", "startAfter", "startAfterId",
    "country", "page", "limit", "getTasks", "getNotes", "getCalendarEvents", "campaignId",
    *_FILTERS,
}  # fmt: skip


class OpportunitiesArea(GhlArea):
    """The ``opportunities`` app."""

    def routes(self, router: Router) -> None:
        """Registers the handlers."""
        root = "/opportunities"
        for method, pattern, handler in (
            ("GET", f"{root}/search", self.search),
            ("POST", f"{root}/search", self.advanced),
            ("GET", f"{root}/pipelines", self.pipelines),
            ("GET", f"{root}/{{id}}", self.get),
            ("PUT", f"{root}/{{id}}", self.update),
            ("PUT", f"{root}/{{id}}/status", self.update_status),
        ):
            router.add(method, pattern, handler, version=CONTACTS_VERSION)
        self.sandbox.on("ghl.opportunity", self._apply)

    def search(self, request: Request) -> Reply:
        """``search-opportunity``: newest first unless ``order`` says otherwise."""
        query = request.query
        if unknown := [
            f"property {name} should not exist" for name in query if name not in _ALLOWED
        ]:
            raise unprocessable(unknown)
        location = self.check_location(request, query.get("location_id"))
        limit = number_of(request, "limit", 20, 1, 100)
        page = number_of(request, "page", 1, 1, 2**31)
        status = choice_of(request, "status", _STATUSES, "all")
        order = choice_of(request, "order", _ORDERS, "added_desc")
        store, descending = self.crm.opportunities, order.endswith("desc")
        by_added = order.startswith("added")
        index = (store.by_added if by_added else store.by_updated)[location]
        after: Key | None = None
        if "startAfter" in query:
            after = (number_of(request, "startAfter", 0, 0, 2**53), query.get("startAfterId", ""))
        low, high = _date(query.get("date")), _date(query.get("endDate"), end=True)
        skip = 0 if after else (page - 1) * limit
        contact = query.get("contact_id")
        found: list[Json] = []
        last: Key | None = None
        more, total = False, 0
        for key in index.walk_keys(descending=descending, after=after, low=low, high=high):
            document = store.by_id[key[1]]
            if (
                (status != "all" and document["status"] != status)
                or (contact and document.get("contactId") != contact)
                or any(
                    param in query and document.get(field) != query[param]
                    for param, field in _FILTERS.items()
                )
                or not self._mentions(document, query.get("q", "").lower())
            ):
                continue
            total += 1
            if total <= skip:
                continue
            if len(found) == limit:
                more = True
                break
            found.append(self._view(document))
            last = key
        meta: Json = {"total": len(index), "currentPage": page}
        if last is not None:
            meta["startAfter"], meta["startAfterId"] = last
        if page > 1:
            meta["prevPage"] = page - 1
        if more:
            meta["nextPage"] = page + 1
            kept = {**query, "startAfter": meta["startAfter"], "startAfterId": meta["startAfterId"]}
            meta["nextPageUrl"] = f"{request.base_url}/opportunities/search?{urlencode(kept)}"
        return reply({"opportunities": found, "meta": meta, "aggregations": {}})

    def advanced(self, request: Request) -> Reply:
        """``search-opportunities-advanced``: filters and ``searchAfter``."""
        body = body_of(request)
        check_body(
            body,
            {
                "locationId": "string*", "query": "string", "limit": "number", "page": "number",
                "searchAfter": "array", "additionalDetails": "object", "filters": "array",
                "sort": "array",
            },
        )  # fmt: skip
        location = self.check_location(request, body["locationId"])
        limit = int(body.get("limit", 20))
        if not 1 <= limit <= 500:
            raise unprocessable(["limit must be between 1 and 500"])
        names = {
            "createdAt": "createdAt", "updatedAt": "updatedAt",
            "date_added": "createdAt", "date_updated": "updatedAt",
        }  # fmt: skip
        field, descending = sort_of(body, names)
        store = self.crm.opportunities
        index = (store.by_added if field == "createdAt" else store.by_updated)[location]
        inner = make_filter(body["filters"]) if body.get("filters") else None
        text = str(body.get("query") or "").lower()
        rows, total = page_by_time(
            index,
            lambda name: store.by_id[name],
            body,
            field,
            descending=descending,
            limit=limit,
            test=(lambda d: (inner is None or inner(d)) and self._mentions(d, text))
            if inner is not None or text
            else None,
        )
        found = [{**self._view(document), "sort": after} for after, document in rows]
        return reply({"opportunities": found, "total": total, "aggregations": {}})

    def pipelines(self, request: Request) -> Reply:
        """``get-pipelines``."""
        location = self.check_location(request, request.query.get("locationId"))
        found = [p for p in self.sandbox.brokerage.pipelines if p["locationId"] == location]
        return reply({"pipelines": found})

    def get(self, request: Request) -> Reply:
        """``get-opportunity``."""
        return reply({"opportunity": self._view(self._one(request))})

    def update(self, request: Request) -> Reply:
        """``update-opportunity``."""
        document = self._one(request)
        body = body_of(request)
        check_body(
            body,
            {
                "pipelineId": "string", "name": "string", "pipelineStageId": "string",
                "status": "string", "monetaryValue": "number", "assignedTo": "string",
                "customFields": "array",
            },
        )  # fmt: skip
        return self._change(document, body)

    def update_status(self, request: Request) -> Reply:
        """``update-opportunity-status``."""
        document = self._one(request)
        body = body_of(request)
        check_body(body, {"status": "string*", "lostReasonId": "string"})
        self._change(document, {"status": body["status"]})
        return reply({"succeded": True})

    def _change(self, document: Json, change: Json) -> Reply:
        status = change.get("status")
        if status is not None and status not in _STATUSES[:-1]:
            listed = ", ".join(_STATUSES)
            raise unprocessable([f"status must be one of the following values: {listed}"])
        if change.get("customFields"):
            change["customFields"] = [
                {"id": e.get("id"), "fieldValue": e.get("field_value")}
                for e in change["customFields"]
            ]
        data = {"id": document["id"], "change": change}
        return reply({"opportunity": self._view(self.sandbox.commit("ghl.opportunity", data))})

    def _apply(self, at: datetime, _number: int, data: Json) -> Json:
        store = self.crm.opportunities
        before = store.by_id[data["id"]]
        document = {**before, **data["change"], "updatedAt": iso(at)}
        event = "updated"
        if document.get("status") != before.get("status"):
            document["lastStatusChangeAt"] = iso(at)
            event = "status"
        if document.get("pipelineStageId") != before.get("pipelineStageId"):
            document["lastStageChangeAt"] = iso(at)
            event = "stage"
        store.put(document)
        self.sandbox.ghl_event("opportunity", event, document, at)
        return document

    def _one(self, request: Request) -> Json:
        name = request.params["id"]
        document = self.crm.opportunities.by_id.get(name)
        if document is None:
            raise refuse(400, f"The opportunity with id {name} was not found")
        self.check_location(request, document["locationId"])
        return document

    def _view(self, document: Json) -> Json:
        view = {k: v for k, v in document.items() if v is not None}
        contact = self.crm.contacts.get(document.get("contactId") or "")
        if contact is not None:
            name = f"{contact.get('firstName') or ''} {contact.get('lastName') or ''}".strip()
            view["contact"] = {
                "id": contact["id"],
                "name": name,
                "companyName": contact.get("companyName") or "",
                "email": contact.get("email") or "",
                "phone": contact.get("phone") or "",
                "tags": contact.get("tags") or [],
            }
        return view

    def _mentions(self, document: Json, text: str) -> bool:
        if not text:
            return True
        contact = self.crm.contacts.get(document.get("contactId") or "") or {}
        return text in f"{document.get('name')} {contact.get('email')}".lower()


def _date(text: str | None, *, end: bool = False) -> int | None:
    """Milliseconds of ``mm-dd-yyyy`` (UTC), the day's last for an end."""
    if not text:
        return None
    try:
        day = datetime.strptime(f"{text} +0000", "%m-%d-%Y %z")
    except ValueError:
        raise unprocessable([f"date {text} must be in the format mm-dd-yyyy"]) from None
    return round(day.timestamp() * 1000) + (86_399_999 if end else 0)
