"""Apollo: enrichment of people by email or name and domain."""

from __future__ import annotations

from typing import Any

import orjson

from providers.sandbox.chance import digest, pick, uniform
from providers.sandbox.state import Sandbox
from providers.sandbox.wire import Json, Refusal, Reply, Request, Route, Router, reply

_TITLES = [
    "Registered Nurse", "Project Manager", "Software Engineer", "Teacher", "Account Executive",
    "Operations Manager", "Physical Therapist", "Electrician", "Marketing Director", "Attorney",
]  # fmt: skip
_COMPANIES = [
    "Gulfstream Logistics", "Lone Star Analytics", "Bayfront Health Partners", "Cedar Works",
    "Pelican Software", "Hill Country Credit Union", "Sunline Foods", "Meridian Builders",
]  # fmt: skip
_CITIES = [("Tampa", "Florida"), ("Austin", "Texas"), ("Orlando", "Florida"), ("Dallas", "Texas")]
_MATCHED = 0.7
_MAX_DETAILS = 10


def refuse(status: int, message: str) -> Refusal:
    """An answer in the shape of Apollo's errors."""
    return Refusal(reply({"error": message}, status))


def too_many() -> Reply:
    """Apollo's 429."""
    text = (
        "The maximum number of api calls allowed for api/v1/people/match is 200 times per minute. "
        "Please upgrade your plan from https://app.apollo.io/#/settings/plans/upgrade."
    )
    return reply({"message": text}, 429)


class ApolloApi:
    """Handlers of the people endpoints."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._key: str = sandbox.credentials["apollo"]["api_key"]

    def routes(self, router: Router) -> None:
        """Registers the handlers, with and without the ``/api/v1`` of the real host."""
        for root in ("", "/api/v1"):
            router.add("POST", f"{root}/people/match", self.match)
            router.add("POST", f"{root}/people/bulk_match", self.bulk_match)
            router.add("GET", f"{root}/auth/health", self.health)

    def authenticate(self, request: Request, _route: Route) -> None:
        """Checks ``x-api-key``."""
        if request.headers.get("x-api-key") != self._key:
            raise refuse(401, "Invalid access credentials.")

    def health(self, _request: Request) -> Reply:
        """Whether the key is good; a bad one was refused before this."""
        return reply({"healthy": True, "is_logged_in": True})

    def match(self, request: Request) -> Reply:
        """One person; ``{"person": null}`` where nobody fits."""
        return reply({"person": self._person({**request.query, **_body(request)})})

    def bulk_match(self, request: Request) -> Reply:
        """Up to ten people, in the order asked."""
        details = _body(request).get("details")
        if not isinstance(details, list) or not details:
            raise refuse(422, "details must be a list of people")
        if len(details) > _MAX_DETAILS:
            raise refuse(422, f"details may hold at most {_MAX_DETAILS} people")
        matches = [self._person(d if isinstance(d, dict) else {}) for d in details]
        found = sum(1 for m in matches if m)
        return reply(
            {
                "status": "success",
                "error_code": None,
                "error_message": None,
                "total_requested_enrichments": len(details),
                "unique_enriched_records": found,
                "missing_records": len(details) - found,
                "credits_consumed": found,
                "matches": matches,
            }
        )

    def _person(self, wanted: Json) -> Json | None:
        email = str(wanted.get("email") or "").strip().lower()
        name = str(wanted.get("name") or "").strip()
        first = str(wanted.get("first_name") or name.partition(" ")[0])
        last = str(wanted.get("last_name") or name.partition(" ")[2])
        domain = str(wanted.get("domain") or wanted.get("organization_name") or "")
        if not email and not (first and last and domain):
            return None
        who = email or f"{first} {last} {domain}".lower()
        seed = self._sandbox.seed
        if uniform(seed, "apollo", who) >= _MATCHED:
            return None
        known = self._sandbox.crm.contacts.with_email(email)
        if known:
            first = first or known[0].get("firstName") or ""
            last = last or known[0].get("lastName") or ""
        company = pick(_COMPANIES, seed, "company", who)
        city, state = pick(_CITIES, seed, "city", who)
        title = pick(_TITLES, seed, "title", who)
        return {
            "id": digest(seed, "person", who).hex()[:24],
            "first_name": first,
            "last_name": last,
            "name": f"{first} {last}".strip(),
            "linkedin_url": None,
            "title": title,
            "email_status": "verified",
            "photo_url": None,
            "headline": f"{title} at {company}",
            "email": email or None,
            "state": state,
            "city": city,
            "country": "United States",
            "organization_id": digest(company).hex()[:24],
            "organization": {"id": digest(company).hex()[:24], "name": company},
            "employment_history": [],
            "departments": [],
            "seniority": "senior",
        }


def _body(request: Request) -> Json:
    try:
        body: Any = request.json()
    except orjson.JSONDecodeError:
        raise refuse(400, "The body is not JSON.") from None
    if not isinstance(body, dict):
        raise refuse(422, "The body must be an object.")
    return body
