"""SendGrid's v3 API: mail send, suppressions, email activity."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

import orjson

from providers.sandbox.chance import letters_id
from providers.sandbox.sendgrid import query as activity_query
from providers.sandbox.sendgrid.state import ACTIVITY_NAMES, KINDS, second_stamp
from providers.sandbox.state import Sandbox
from providers.sandbox.wire import Json, Refusal, Reply, Request, Route, Router, reply

_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_HELP = "http://sendgrid.com/docs/API_Reference/Web_API_v3/Mail/errors.html#message."
_LINK = re.compile(r"""href\s*=\s*["'](https?://[^"']+)""", re.IGNORECASE)


def refuse(
    status: int, message: str, field: str | None = None, help_anchor: str | None = None
) -> Refusal:
    """An answer in the shape of SendGrid's errors."""
    help_text = f"{_HELP}{help_anchor}" if help_anchor else None
    return Refusal(
        reply({"errors": [{"message": message, "field": field, "help": help_text}]}, status)
    )


def too_many() -> Reply:
    """SendGrid's 429."""
    return refuse(429, "too many requests").answer


def broken(status: int, _done: Reply | None = None) -> Reply:
    """Any other failure, as SendGrid words it."""
    return refuse(status, "an unexpected error occurred").answer


class SendGridApi:
    """Handlers of the v3 API."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox, self._state = sandbox, sandbox.sendgrid
        self._bearer = f"Bearer {sandbox.credentials['sendgrid']['api_key']}"
        self._senders = {
            entry["from_email"].split("@")[-1].lower()
            for entry in sandbox.credentials["ghl"]["locations"]
        }

    def routes(self, router: Router) -> None:
        """Registers the handlers; ``limit`` names the rate limit of an endpoint."""
        router.add("POST", "/v3/mail/send", self.send, limit="send")
        router.add("GET", "/v3/messages", self.search, limit="activity")
        router.add("GET", "/v3/messages/{msg_id}", self.message, limit="activity")
        for kind in KINDS:
            router.add("GET", f"/v3/suppression/{kind}", self.lister(kind), limit="read")
            if kind != "unsubscribes":
                path = f"/v3/suppression/{kind}/{{email}}"
                router.add("GET", path, self.getter(kind), limit="read")
                router.add("DELETE", path, self.remover(kind), limit="read")
        root = "/v3/asm/suppressions/global"
        router.add("POST", root, self.unsubscribe, limit="read")
        router.add("GET", f"{root}/{{email}}", self.unsubscribed, limit="read")
        router.add("DELETE", f"{root}/{{email}}", self.remover("unsubscribes"), limit="read")

    def authenticate(self, request: Request, _route: Route) -> None:
        """Checks the API key."""
        given = request.headers.get("authorization", "")
        if not given:
            raise refuse(401, "Permission denied, wrong credentials")
        if given != self._bearer:
            raise refuse(401, "The provided authorization grant is invalid, expired, or revoked")

    # -- sending ------------------------------------------------------------------------------

    def send(self, request: Request) -> Reply:
        """``SendMail``: 202 without a body; ``X-Message-Id`` names the email."""
        raw = request.body
        if request.headers.get("content-encoding") == "gzip":
            raw = gzip.decompress(raw)
        try:
            mail = orjson.loads(raw)
        except orjson.JSONDecodeError:
            raise refuse(400, "Bad Request") from None
        if not isinstance(mail, dict):
            raise refuse(400, "Bad Request")
        recipients = self._check(mail)
        message_id = self._state.new_id()
        if not (mail.get("mail_settings") or {}).get("sandbox_mode", {}).get("enable"):
            contents = {c["type"]: c["value"] for c in mail.get("content") or ()}
            link = _LINK.search(contents.get("text/html", ""))
            self._sandbox.commit(
                "sendgrid.mail",
                {
                    "id": message_id,
                    "from": mail["from"]["email"],
                    "recipients": recipients,
                    "body": contents.get("text/plain") or contents.get("text/html") or "",
                    "link": link.group(1) if link else "",
                    "categories": mail.get("categories") or [],
                },
            )
        return Reply(202, b"", [("X-Message-Id", message_id)], "text/plain")

    def _check(self, mail: Json) -> list[Json]:
        sender = (mail.get("from") or {}).get("email") or ""
        if not sender:
            raise refuse(
                400,
                "The from object must be provided for every email send. It is an object that "
                "requires the email parameter, but may also contain a name parameter.",
                "from.email",
                "from",
            )
        if not _ADDRESS.fullmatch(sender):
            raise refuse(400, "Does not contain a valid address.", "from.email", "from")
        if sender.split("@")[-1].lower() not in self._senders:
            raise refuse(
                403,
                "The from address does not match a verified Sender Identity. Mail cannot be sent "
                "until this error is resolved.",
                "from",
            )
        groups = mail.get("personalizations")
        if not isinstance(groups, list) or not groups:
            raise refuse(
                400,
                "The personalizations field is required and must have at least one "
                "personalization.",
                "personalizations",
                "-Personalizations-Errors-",
            )
        self._check_content(mail)
        return [r for n, group in enumerate(groups) for r in self._recipients(mail, group, n)]

    @staticmethod
    def _check_content(mail: Json) -> None:
        if mail.get("template_id"):
            return
        content = mail.get("content")
        if not isinstance(content, list) or not content:
            raise refuse(
                400,
                "Unless a valid template_id is provided, the content parameter is required. "
                "There must be at least one defined content block.",
                "content",
                "content",
            )
        for number, block in enumerate(content):
            if not isinstance(block, dict) or not block.get("value") or not block.get("type"):
                raise refuse(
                    400,
                    "The content value must be a string at least one character in length.",
                    f"content.{number}.value",
                    "content.value",
                )

    @staticmethod
    def _recipients(mail: Json, group: Json, number: int) -> Iterable[Json]:
        people = group.get("to")
        if not isinstance(people, list) or not people:
            raise refuse(
                400,
                "The to array is required for all personalization objects, and must have at "
                "least one email object with a valid email address.",
                f"personalizations.{number}.to",
                "personalizations.to",
            )
        subject = group.get("subject") or mail.get("subject")
        if not subject and not mail.get("template_id"):
            raise refuse(
                400,
                "The subject is required. You can get around this requirement if you use a "
                "template with a subject defined or if every personalization has a subject "
                "defined.",
                "subject",
                "subject",
            )
        custom = {**(mail.get("custom_args") or {}), **(group.get("custom_args") or {})}
        for name, value in custom.items():
            if not isinstance(value, str):
                raise refuse(400, "The custom_args values must be strings.", f"custom_args.{name}")
        everyone = [
            (kind, at, person)
            for kind in ("to", "cc", "bcc")
            for at, person in enumerate(group.get(kind) or ())
        ]
        for kind, at, person in everyone:
            address = person.get("email") if isinstance(person, dict) else None
            if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
                raise refuse(
                    400,
                    "Does not contain a valid address.",
                    f"personalizations.{number}.{kind}.{at}.email",
                    f"personalizations.{kind}",
                )
            yield {"email": address, "subject": subject or "", "custom_args": custom}

    # -- suppressions -------------------------------------------------------------------------

    def lister(self, kind: str) -> Any:
        """The handler that lists one kind, newest first, by limit and offset."""

        def handler(request: Request) -> Reply:
            query = request.query
            limit, offset = _number(query, "limit", 500), _number(query, "offset", 0)
            low, high = _number(query, "start_time", 0), _number(query, "end_time", 2**53)
            prefix = query.get("email", "").lower().rstrip("%")
            entries = [
                entry
                for entry in reversed(self._state.lists[kind].values())
                if low <= entry["created"] <= high and entry["email"].startswith(prefix)
            ]
            return reply(entries[offset : offset + min(limit, 500)])

        return handler

    def getter(self, kind: str) -> Any:
        """The handler that gives one address's entries, an empty list if there is none."""

        def handler(request: Request) -> Reply:
            entry = self._state.lists[kind].get(request.params["email"].lower())
            return reply([entry] if entry else [])

        return handler

    def remover(self, kind: str) -> Any:
        """The handler that takes an address off a list."""

        def handler(request: Request) -> Reply:
            address = request.params["email"].lower()
            if address not in self._state.lists[kind]:
                raise refuse(404, "resource not found")
            self._sandbox.commit("sendgrid.unsuppress", {"kind": kind, "emails": [address]})
            return Reply(204, b"")

        return handler

    def unsubscribe(self, request: Request) -> Reply:
        """``CreateGlobalSuppression``."""
        emails = request.json().get("recipient_emails")
        if not isinstance(emails, list) or not emails:
            raise refuse(400, "empty recipient_emails", "recipient_emails")
        self._sandbox.commit("sendgrid.suppress", {"kind": "unsubscribes", "emails": emails})
        return reply({"recipient_emails": emails}, 201)

    def unsubscribed(self, request: Request) -> Reply:
        """``GetGlobalSuppression``: an empty object where the address is not suppressed."""
        address = request.params["email"].lower()
        known = address in self._state.lists["unsubscribes"]
        return reply({"recipient_email": address} if known else {})

    # -- email activity -----------------------------------------------------------------------

    def search(self, request: Request) -> Reply:
        """``ListMessage``: newest first; equality on recipient, id or argument uses an index."""
        limit = _number(request.query, "limit", 10)
        if not 1 <= limit <= 1000:
            raise refuse(400, "limit must be between 1 and 1000", "limit")
        text = request.query.get("query", "")
        if not text:
            raise refuse(400, "query is required", "query")
        try:
            parsed = activity_query.parse(text)
        except ValueError as error:
            raise refuse(400, str(error)) from None
        state, equals = self._state, parsed.equals
        emails: Iterable[Json]
        if "msg_id" in equals:
            email = state.by_msg_id.get(equals["msg_id"])
            emails = [email] if email else []
        elif "args:send_id" in equals:
            emails = reversed(state.by_tag.get(equals["args:send_id"], []))
        elif "to_email" in equals:
            emails = reversed(state.by_to.get(equals["to_email"], []))
        else:
            emails = reversed(state.emails)
        found = []
        for email in emails:
            if parsed.test(email):
                found.append(_short(email))
                if len(found) == limit:
                    break
        return reply({"messages": found})

    def message(self, request: Request) -> Reply:
        """``GetMessage``."""
        email = self._state.by_msg_id.get(request.params["msg_id"])
        if email is None:
            raise refuse(404, "not found", "msg_id")
        short = _short(email)
        del short["opens_count"], short["clicks_count"], short["last_event_time"]
        return reply(
            {
                **short,
                "template_id": "",
                "asm_group_id": 1,
                "teammate": "",
                "api_key_id": letters_id(22, "api key"),
                "events": [self._event(email, *event) for event in email["events"]],
                "originating_ip": "192.0.2.10",
                "categories": email["categories"],
                "unique_args": urlencode(email["custom_args"]),
                "outbound_ip": "192.0.2.25",
                "outbound_ip_type": "shared",
            }
        )

    @staticmethod
    def _event(email: Json, at: Any, kind: str, detail: str, soft: bool) -> Json:
        event: Json = {
            "event_name": ACTIVITY_NAMES[kind],
            "processed": second_stamp(at),
            "reason": detail,
            "bounce_type": "soft" if soft else "hard",
            "http_user_agent": "Mozilla/5.0 (simulated)" if kind in ("open", "click") else "",
            "mx_server": "mx.example.com",
        }
        if kind == "deferred":
            event["attempt_num"] = 1
        if kind == "click" and email["url"]:
            event["url"] = email["url"]
        return event


def _short(email: Json) -> Json:
    return {
        name: email[name]
        for name in (
            "from_email", "msg_id", "subject", "to_email", "status", "opens_count",
            "clicks_count", "last_event_time",
        )
    }  # fmt: skip


def _number(query: dict[str, str], name: str, default: int) -> int:
    text = query.get(name)
    if text is None or text == "":
        return default
    if not text.isdigit():
        raise refuse(400, f"{name} must be a non-negative integer", name)
    return int(text)
