"""What belongs to the account: locations, users, workflows, custom fields, tags."""

from __future__ import annotations

import re
from datetime import datetime

from providers.sandbox.chance import letters_id
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
from providers.sandbox.wire import Json, Reply, Request, Router, reply

_DATA_TYPES = {
    "TEXT", "LARGE_TEXT", "NUMERICAL", "PHONE", "MONETORY", "CHECKBOX", "SINGLE_OPTIONS",
    "MULTIPLE_OPTIONS", "FLOAT", "TIME", "DATE", "TEXTBOX_LIST", "FILE_UPLOAD", "SIGNATURE",
    "RADIO", "EMAIL",
}  # fmt: skip


class AccountArea(GhlArea):
    """The ``locations``, ``users`` and ``workflows`` apps."""

    def routes(self, router: Router) -> None:
        """Registers the handlers."""
        root = "/locations/{locationId}"
        for method, pattern, handler in (
            ("GET", "/locations/search", self.search_locations),
            ("GET", root, self.location),
            ("GET", f"{root}/tags", self.tags),
            ("GET", f"{root}/customFields", self.custom_fields),
            ("POST", f"{root}/customFields", self.create_custom_field),
            ("GET", f"{root}/customFields/{{id}}", self.custom_field),
            ("GET", f"{root}/customValues", self.custom_values),
            ("GET", "/users", self.users),
            ("GET", "/users/search", self.search_users),
            ("GET", "/users/{userId}", self.user),
            ("GET", "/workflows", self.workflows),
        ):
            router.add(method, pattern, handler, version=CONTACTS_VERSION)
        self.sandbox.on("ghl.custom_field", self._apply_custom_field)

    # -- locations ----------------------------------------------------------------------------

    def location(self, request: Request) -> Reply:
        """``get-location``."""
        self.check_location(request, request.params["locationId"])
        return reply({"location": self._location(request.location_id)})

    def search_locations(self, request: Request) -> Reply:
        """``search-locations``: a location's token sees that location."""
        number_of(request, "limit", 10, 1, 100)
        return reply({"locations": [self._location(request.location_id)]})

    def tags(self, request: Request) -> Reply:
        """``get-location-tags``: the tags that any contact has."""
        location = self.check_location(request, request.params["locationId"])
        names: dict[str, None] = {}
        contacts = self.crm.contacts
        for contact_id in contacts.by_added[location].walk():
            names.update(dict.fromkeys(contacts.by_id[contact_id].doc.get("tags") or ()))
        found = [
            {"id": letters_id(20, "tag", location, name), "name": name, "locationId": location}
            for name in sorted(names)
        ]
        return reply({"tags": found})

    def custom_values(self, request: Request) -> Reply:
        """``get-custom-values``: none are set."""
        self.check_location(request, request.params["locationId"])
        return reply({"customValues": []})

    def _location(self, location_id: str) -> Json:
        return next(e for e in self.sandbox.brokerage.locations if e["id"] == location_id)

    # -- custom fields ------------------------------------------------------------------------

    def custom_fields(self, request: Request) -> Reply:
        """``get-custom-fields``."""
        location = self.check_location(request, request.params["locationId"])
        model = choice_of(request, "model", ("contact", "opportunity", "all"), "contact")
        found = [
            f
            for f in self.sandbox.custom_fields
            if f["locationId"] == location and model in ("all", f["model"])
        ]
        return reply({"customFields": found})

    def custom_field(self, request: Request) -> Reply:
        """``get-custom-field``: by id or field key."""
        location = self.check_location(request, request.params["locationId"])
        wanted = request.params["id"]
        for field in self.sandbox.custom_fields:
            if field["locationId"] == location and wanted in (field["id"], field["fieldKey"]):
                return reply({"customField": field})
        raise refuse(400, f"Custom field with id {wanted} not found")

    def create_custom_field(self, request: Request) -> Reply:
        """``create-custom-field``: refused where the name is taken."""
        location = self.check_location(request, request.params["locationId"])
        body = body_of(request)
        check_body(
            body,
            {
                "name": "string*", "dataType": "string*", "placeholder": "string",
                "acceptedFormat": "strings", "isMultipleFile": "boolean",
                "maxNumberOfFiles": "number", "textBoxListOptions": "array",
                "options": "strings", "position": "number", "model": "string",
            },
        )  # fmt: skip
        if body["dataType"] not in _DATA_TYPES:
            listed = ", ".join(sorted(_DATA_TYPES))
            raise unprocessable([f"dataType must be one of the following values: {listed}"])
        model = body.get("model") or "contact"
        if model not in ("contact", "opportunity"):
            raise unprocessable(["model must be one of the following values: contact, opportunity"])
        key = f"{model}.{_slug(body['name'])}"
        mine = [f for f in self.sandbox.custom_fields if f["locationId"] == location]
        if any(f["fieldKey"] == key for f in mine):
            raise refuse(400, f"{body['name']} already exists")
        field: Json = {
            "id": self.new_id("custom field"),
            "name": body["name"],
            "fieldKey": key,
            "placeholder": body.get("placeholder") or "",
            "dataType": body["dataType"],
            "position": body.get("position") or 50 * len(mine),
            "locationId": location,
            "model": model,
        }
        if body.get("options"):
            field["picklistOptions"] = body["options"]
        return reply({"customField": self.sandbox.commit("ghl.custom_field", field)}, 201)

    def _apply_custom_field(self, _at: datetime, _number: int, data: Json) -> Json:
        self.sandbox.custom_fields.append(data)
        return data

    # -- users and workflows ------------------------------------------------------------------

    def users(self, request: Request) -> Reply:
        """``get-user-by-location``."""
        location = self.check_location(request, request.query.get("locationId"))
        return reply({"users": self._users(location)})

    def search_users(self, request: Request) -> Reply:
        """``search-users``: within the token's location."""
        query = request.query
        if query.get("companyId") != self.sandbox.credentials["ghl"]["company_id"]:
            raise refuse(403, "The token does not have access to this company.")
        skip, limit = (
            number_of(request, "skip", 0, 0, 2**31),
            number_of(request, "limit", 25, 1, 100),
        )
        text = query.get("query", "").lower()
        found = [
            u
            for u in self._users(request.location_id)
            if text in f"{u['name']} {u['email']} {u['phone']}".lower()
            and (not query.get("ids") or u["id"] in query["ids"].split(","))
        ]
        return reply({"users": found[skip : skip + limit], "count": len(found)})

    def user(self, request: Request) -> Reply:
        """``get-user``."""
        for user in self._users(request.location_id):
            if user["id"] == request.params["userId"]:
                return reply(user)
        raise refuse(400, f"User with id {request.params['userId']} not found")

    def _users(self, location: str) -> list[Json]:
        return [
            u
            for u in self.sandbox.brokerage.users
            if location in (u.get("roles") or {}).get("locationIds", ())
        ]

    def workflows(self, request: Request) -> Reply:
        """``get-workflow``."""
        location = self.check_location(request, request.query.get("locationId"))
        found = [w for w in self.sandbox.brokerage.workflows if w["locationId"] == location]
        return reply({"workflows": found})


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
