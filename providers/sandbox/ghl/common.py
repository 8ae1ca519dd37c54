"""What all of GoHighLevel's operations share: errors, tokens, body checks, search filters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from providers.sandbox.chance import letters_id, time_millis, uuid_id
from providers.sandbox.state import Sandbox
from providers.sandbox.wire import Json, Refusal, Reply, Request, reply

CONTACTS_VERSION = "2021-07-28"
CONVERSATIONS_VERSION = "2021-04-15"
_TITLES = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found"}


def refuse(status: int, message: str, *, code: str = "") -> Refusal:
    """An answer in the shape of HighLevel's errors."""
    body: Json = {"statusCode": status, "message": message, "traceId": uuid_id("trace", message)}
    if status in _TITLES:
        body["error"] = _TITLES[status]
    if code:
        body["code"] = code
    return Refusal(reply(body, status))


def unprocessable(messages: list[str]) -> Refusal:
    """422, with one sentence a fault."""
    return Refusal(
        reply(
            {
                "statusCode": 422,
                "message": messages,
                "error": "Unprocessable Entity",
                "traceId": uuid_id("trace", *messages),
            },
            422,
        )
    )


def too_many() -> Reply:
    """HighLevel's 429."""
    return reply({"statusCode": 429, "message": "Too Many Requests"}, 429)


def broken(status: int, done: Reply | None = None) -> Reply:
    """Any other failure, as HighLevel words it.

    Args:
        status: of the answer.
        done: what would have been answered. A 422 can come although the contact was created, and
            then tells its id.
    """
    if status != 422:
        return reply({"statusCode": status, "message": "Internal server error"}, status)
    answer = orjson.loads(unprocessable(["Unprocessable Entity"]).answer.body)
    contact = orjson.loads(done.body).get("contact") if done is not None and done.body else None
    if contact:
        answer["meta"] = {"contactId": contact["id"]}
    return reply(answer, 422)


class GhlArea:
    """Base of the areas of the API: the state, and the checks of location and body."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.crm = sandbox.crm

    def new_id(self, kind: str) -> str:
        """The id of the next thing that is created through the API."""
        return letters_id(20, self.sandbox.seed, kind, self.sandbox.journal.seq + 1)

    def check_location(self, request: Request, location_id: str | None) -> str:
        """The location asked for; it must be the token's."""
        if not location_id:
            raise refuse(403, "The token does not have access to this location.")
        if location_id != request.location_id:
            raise refuse(403, "The token does not have access to this location.")
        return location_id

    def contact(self, request: Request, contact_id: str | None = None) -> Json:
        """A contact of the token's location.

        Raises:
            Refusal: 400, as the contract has no 404, or 403 for another location's.
        """
        name = contact_id if contact_id is not None else request.params["contactId"]
        doc = self.crm.contacts.get(name)
        if doc is None:
            raise refuse(400, f"Contact with id {name} not found")
        if doc["locationId"] != request.location_id:
            raise refuse(403, "The token does not have access to this location.")
        return doc


def body_of(request: Request) -> Json:
    """The body, a JSON object."""
    try:
        body = request.json()
    except orjson.JSONDecodeError as error:
        raise refuse(400, f"Unexpected token in JSON at position {error.pos}") from None
    if not isinstance(body, dict):
        raise unprocessable(["body must be an object"])
    return body


_CHECKS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "string": ("must be a string", lambda v: isinstance(v, str)),
    "boolean": ("must be a boolean value", lambda v: isinstance(v, bool)),
    "number": (
        "must be a number conforming to the specified constraints",
        lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    ),
    "strings": (
        "must be an array of strings",
        lambda v: isinstance(v, list) and all(isinstance(i, str) for i in v),
    ),
    "array": ("must be an array", lambda v: isinstance(v, list)),
    "object": ("must be an object", lambda v: isinstance(v, dict)),
    "any": ("", lambda _: True),
    "time": ("must be a valid ISO 8601 date string", lambda v: is_time(v)),
}


def is_time(value: Any) -> bool:
    """Whether it is an ISO time in a text."""
    if not isinstance(value, str):
        return False
    try:
        time_millis(value)
    except ValueError:
        return False
    return True


def check_body(body: Json, fields: dict[str, str]) -> None:
    """Checks a body against ``name -> type``; ``*`` after a type: required; ``?``: null passes.

    Raises:
        Refusal: 422, one sentence for each fault, unknown properties included.
    """
    faults = [f"property {name} should not exist" for name in body if name not in fields]
    for name, kind in fields.items():
        required, nullable = kind.endswith("*"), kind.endswith("?")
        sentence, passes = _CHECKS[kind.rstrip("*?")]
        if name not in body:
            if required:
                faults += [f"{name} should not be empty", f"{name} {sentence}"]
        elif body[name] is None:
            if required or not nullable:
                faults.append(f"{name} {sentence}")
        elif not passes(body[name]):
            faults.append(f"{name} {sentence}")
        elif required and body[name] in ("", []):
            faults.append(f"{name} should not be empty")
    if faults:
        raise unprocessable(faults)


def number_of(request: Request, name: str, default: int, low: int, high: int) -> int:
    """A whole number from the query, held to ``[low, high]``.

    Raises:
        Refusal: 422, it is not a number or below ``low``.
    """
    text = request.query.get(name)
    if text is None or text == "":
        return default
    try:
        value = int(text)
    except ValueError:
        raise unprocessable([f"{name} must be a number string"]) from None
    if value < low:
        raise unprocessable([f"{name} must not be less than {low}"])
    return min(value, high)


def choice_of(request: Request, name: str, options: tuple[str, ...], default: str) -> str:
    """One of ``options`` from the query.

    Raises:
        Refusal: 422, it is none of them.
    """
    value = request.query.get(name) or default
    if value not in options:
        listed = ", ".join(options)
        raise unprocessable([f"{name} must be one of the following values: {listed}"])
    return value


def moment_of(request: Request, name: str) -> int | None:
    """Milliseconds of a time in the query, given as ISO text or as milliseconds."""
    text = request.query.get(name)
    if not text:
        return None
    if text.lstrip("-").isdigit():
        return int(text)
    if not is_time(text):
        raise unprocessable([f"{name} must be a valid date"])
    return time_millis(text)
