"""Conversations: search, messages, the export, call transcriptions, sending."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

import orjson

from providers.sandbox.chance import iso
from providers.sandbox.crm import channel_of
from providers.sandbox.ghl.common import (
    CONVERSATIONS_VERSION,
    GhlArea,
    body_of,
    check_body,
    choice_of,
    moment_of,
    number_of,
    refuse,
    unprocessable,
)
from providers.sandbox.index import Key, KeyIndex
from providers.sandbox.wire import Json, Reply, Request, Router, reply

_CHANNELS = ("Call", "SMS", "Email", "WhatsApp", "Instagram", "Facebook")
_TYPES = {"SMS": (2, "TYPE_SMS"), "Email": (3, "TYPE_EMAIL")}
# Which dndSettings entry forbids which type of message.
_DND = {"SMS": "SMS", "Email": "Email", "WhatsApp": "WhatsApp", "FB": "FB"}


def message_view(message: Json) -> Json:
    """A message as every endpoint gives it."""
    view = {k: v for k, v in message.items() if v is not None}
    view.setdefault("contentType", "text/plain")
    return view


class ConversationsArea(GhlArea):
    """The ``conversations`` app."""

    def routes(self, router: Router) -> None:
        """Registers the handlers."""
        root = "/conversations"
        transcription = f"{root}/locations/{{locationId}}/messages/{{messageId}}/transcription"
        for method, pattern, handler in (
            ("GET", f"{root}/search", self.search),
            ("GET", f"{root}/messages/export", self.export),
            ("POST", f"{root}/messages", self.send),
            ("GET", f"{root}/messages/{{id}}", self.message),
            ("GET", f"{root}/messages/email/{{id}}", self.email),
            ("GET", f"{root}/{{conversationId}}/messages", self.messages),
            ("GET", f"{root}/{{conversationId}}", self.conversation),
            ("GET", transcription, self.transcription),
            ("GET", f"{transcription}/download", self.transcription_text),
        ):
            router.add(method, pattern, handler, version=CONVERSATIONS_VERSION)
        self.sandbox.on("ghl.message", self._apply_message)

    # -- conversations ------------------------------------------------------------------------

    def search(self, request: Request) -> Reply:
        """``search-conversation``: by the time of the last message, newest first."""
        query = request.query
        location = self.check_location(request, query.get("locationId"))
        limit = number_of(request, "limit", 20, 1, 100)
        descending = choice_of(request, "sort", ("asc", "desc"), "desc") == "desc"
        store = self.crm.messages
        start = moment_of(request, "startAfterDate")
        after = None
        if start is not None:
            after = (start, "" if descending else "\x7f")
        index = store.conversations[location]
        wanted = query.get("contactId")
        if wanted:
            names = {store.by_id[i]["conversationId"] for _, i in store.by_contact[wanted].keys}
            keys = [(store.by_conversation[n].keys[-1][0], n) for n in sorted(names)]
            index = KeyIndex()
            for key in keys:
                index.add(key)
        found: list[Json] = []
        for name in index.walk(descending=descending, after=after):
            view = self._conversation_view(name)
            if view["locationId"] != location or not self._matches(view, query):
                continue
            found.append(view)
            if len(found) == limit:
                break
        return reply({"conversations": found, "total": len(index)})

    @staticmethod
    def _matches(view: Json, query: dict[str, str]) -> bool:
        names = ("id", "lastMessageType", "lastMessageDirection", "assignedTo")
        return all(query.get(name, view[name]) == view[name] for name in names)

    def _conversation_view(self, name: str) -> Json:
        store = self.crm.messages
        last = store.last_of(name)
        contact = self.crm.contacts.get(last.get("contactId") or "") or {}
        full_name = f"{contact.get('firstName') or ''} {contact.get('lastName') or ''}".strip()
        keys = store.by_conversation[name].keys
        return {
            "id": name,
            "contactId": last.get("contactId") or "",
            "locationId": last["locationId"],
            "lastMessageBody": (last.get("body") or "")[:200],
            "lastMessageDate": keys[-1][0],
            "lastMessageType": last["messageType"],
            "lastMessageDirection": last["direction"],
            "type": "TYPE_EMAIL" if channel_of(last) == "Email" else "TYPE_PHONE",
            "unreadCount": 1 if last["direction"] == "inbound" else 0,
            "fullName": full_name,
            "contactName": full_name,
            "email": contact.get("email") or "",
            "phone": contact.get("phone") or "",
            "assignedTo": contact.get("assignedTo") or "",
            "dateAdded": keys[0][0],
            "dateUpdated": keys[-1][0],
            "sort": [keys[-1][0]],
        }

    def conversation(self, request: Request) -> Reply:
        """``get-conversation``."""
        name = self._conversation(request)
        view = self._conversation_view(name)
        return reply(
            {
                "id": name,
                "contactId": view["contactId"],
                "locationId": view["locationId"],
                "deleted": False,
                "inbox": True,
                "type": 1 if view["type"] == "TYPE_PHONE" else 3,
                "unreadCount": view["unreadCount"],
                "assignedTo": view["assignedTo"],
                "starred": False,
            }
        )

    def messages(self, request: Request) -> Reply:
        """``get-messages``: newest first, behind ``lastMessageId``."""
        name = self._conversation(request)
        limit = number_of(request, "limit", 20, 1, 100)
        kinds = set(filter(None, request.query.get("type", "").split(",")))
        store = self.crm.messages
        after: Key | None = None
        if last := request.query.get("lastMessageId"):
            for key in store.by_conversation[name].keys:
                if key[1] == last:
                    after = key
                    break
            else:
                raise refuse(400, f"Message with id {last} not found")
        found: list[Json] = []
        more = False
        for message_id in store.by_conversation[name].walk(descending=True, after=after):
            message = store.by_id[message_id]
            if kinds and message["messageType"] not in kinds:
                continue
            if len(found) == limit:
                more = True
                break
            found.append(message_view(message))
        return reply(
            {
                "lastMessageId": found[-1]["id"] if found else "",
                "nextPage": more,
                "messages": found,
            }
        )

    def _conversation(self, request: Request) -> str:
        name = request.params["conversationId"]
        location = self.crm.messages.conversation_location(name)
        if not location:
            raise refuse(400, f"Conversation with id {name} not found")
        self.check_location(request, location)
        return name

    # -- the export ---------------------------------------------------------------------------

    def export(self, request: Request) -> Reply:
        """``export-messages-by-location``: email only when asked for by its channel."""
        query = request.query
        location = self.check_location(request, query.get("locationId"))
        limit = number_of(request, "limit", 100, 1, 500)
        channel = query.get("channel", "")
        if channel and channel not in _CHANNELS:
            listed = ", ".join(_CHANNELS)
            raise unprocessable([f"channel must be one of the following values: {listed}"])
        by = choice_of(request, "sortBy", ("createdAt", "updatedAt"), "createdAt")
        descending = choice_of(request, "sortOrder", ("asc", "desc"), "desc") == "desc"
        store = self.crm.messages
        orders = store.by_created if by == "createdAt" else store.by_updated
        index = orders[location, channel]
        low, high = moment_of(request, "startDate"), moment_of(request, "endDate")
        after = _cursor(query["cursor"]) if query.get("cursor") else None
        contact, conversation = query.get("contactId"), query.get("conversationId")
        found: list[Json] = []
        last: Key | None = None
        more = False
        for message_id in index.walk(descending=descending, after=after, low=low, high=high):
            message = store.by_id[message_id]
            if contact and message.get("contactId") != contact:
                continue
            if conversation and message["conversationId"] != conversation:
                continue
            if len(found) == limit:
                more = True
                break
            found.append(message_view(message))
            last = store.key_of(message, updated=by == "updatedAt")
        first, end = index.bounds(low, high)
        answer: Json = {"messages": found, "total": max(0, end - first)}
        if more and last is not None:
            answer["nextCursor"] = _to_cursor(last)
        return reply(answer)

    # -- one message --------------------------------------------------------------------------

    def message(self, request: Request) -> Reply:
        """``get-message``."""
        return reply(message_view(self._message(request, request.params["id"])))

    def email(self, request: Request) -> Reply:
        """``get-email-by-id``."""
        message = self._message(request, request.params["id"])
        if channel_of(message) != "Email":
            raise refuse(400, f"Email with id {message['id']} not found")
        contact = self.crm.contacts.get(message.get("contactId") or "") or {}
        entry = next(
            e
            for e in self.sandbox.credentials["ghl"]["locations"]
            if e["id"] == request.location_id
        )
        us, them = entry["from_email"], contact.get("email") or ""
        inbound = message["direction"] == "inbound"
        status = message.get("status")
        return reply(
            {
                **message_view(message),
                "status": "opened" if status == "clicked" else status,
                "threadId": message["conversationId"],
                "subject": (message.get("meta") or {}).get("email", {}).get("subject", ""),
                "body": message.get("body") or "",
                "from": them if inbound else us,
                "to": [us if inbound else them],
            }
        )

    def transcription(self, request: Request) -> Reply:
        """``get-message-transcription``.

        The contract shows one sentence; like the live API, this gives the list of them.
        """
        return reply(self._sentences(request))

    def transcription_text(self, request: Request) -> Reply:
        """``download-message-transcription``: plain text."""
        lines = [f"{s['mediaChannel']}: {s['transcript']}" for s in self._sentences(request)]
        return Reply(200, "\n".join(lines).encode(), [], "text/plain")

    def _sentences(self, request: Request) -> list[Json]:
        self.check_location(request, request.params["locationId"])
        message = self._message(request, request.params["messageId"])
        payload: Any = self.crm.transcriptions.get(message["id"])
        if payload is None:
            raise refuse(404, f"Transcription of message {message['id']} not found")
        return payload if isinstance(payload, list) else list(payload["sentences"])

    def _message(self, request: Request, message_id: str) -> Json:
        message = self.crm.messages.by_id.get(message_id)
        if message is None:
            raise refuse(400, f"Message with id {message_id} not found")
        self.check_location(request, message["locationId"])
        return message

    # -- sending ------------------------------------------------------------------------------

    def send(self, request: Request) -> Reply:
        """``send-a-new-message``: SMS and email, refused where the contact does not want it."""
        body = body_of(request)
        check_body(
            body,
            {
                "type": "string*", "contactId": "string*", "message": "string", "html": "string",
                "subject": "string", "emailFrom": "string", "emailTo": "string",
                "emailCc": "strings", "emailBcc": "strings", "fromNumber": "string",
                "toNumber": "string", "attachments": "strings", "status": "string",
                "subType": "any", "threadId": "string", "replyMessageId": "string",
                "templateId": "string", "conversationProviderId": "string",
                "scheduledTimestamp": "number", "appointmentId": "string",
            },
        )  # fmt: skip
        kind = body["type"]
        if kind not in _TYPES:
            raise unprocessable([f"type must be one of the following values: {', '.join(_TYPES)}"])
        contact = self.contact(request, body["contactId"])
        setting = (contact.get("dndSettings") or {}).get(_DND[kind]) or {}
        if contact.get("dnd") or setting.get("status") in ("active", "permanent"):
            raise refuse(400, f"Cannot send message as DND is active for {kind}.")
        text = body.get("message") or body.get("html") or ""
        if not text and not body.get("attachments"):
            raise refuse(400, "There is no message or attachments for this message. Skip sending.")
        to = body.get("toNumber") or contact.get("phone")
        if kind == "Email":
            to = body.get("emailTo") or contact.get("email")
        if not to:
            missing = "phone number" if kind == "SMS" else "email"
            raise refuse(400, f"Missing {missing} for the contact")
        message = self.sandbox.commit(
            "ghl.message",
            {
                "id": self.new_id("message"),
                "contact": contact["id"],
                "location": contact["locationId"],
                "conversation": self._conversation_of(contact["id"]),
                "kind": kind,
                "to": to,
                "text": text,
                "subject": body.get("subject") or "",
            },
        )
        answer = {
            "conversationId": message["conversationId"],
            "messageId": message["id"],
            "msg": "Message queued successfully.",
            "status": "pending",
        }
        if kind == "Email":
            answer["emailMessageId"] = message["id"]
        return reply(answer)

    def _conversation_of(self, contact_id: str) -> str:
        keys = self.crm.messages.by_contact[contact_id].keys
        if keys:
            return str(self.crm.messages.by_id[keys[-1][1]]["conversationId"])
        return self.new_id("conversation")

    def _apply_message(self, at: datetime, _number: int, data: Json) -> Json:
        number, name = _TYPES[data["kind"]]
        entry = next(
            e for e in self.sandbox.credentials["ghl"]["locations"] if e["id"] == data["location"]
        )
        email = data["kind"] == "Email"
        message: Json = {
            "id": data["id"],
            "type": number,
            "messageType": name,
            "locationId": data["location"],
            "contactId": data["contact"],
            "conversationId": data["conversation"],
            "dateAdded": iso(at),
            "dateUpdated": iso(at),
            "body": data["text"],
            "direction": "outbound",
            "status": "sent",
            "contentType": "text/html" if email else "text/plain",
            "attachments": [],
            "source": "api",
        }
        if email:
            message["meta"] = {"email": {"subject": data["subject"]}}
        self.crm.messages.put(message)
        self.sandbox.note_message(
            {
                "provider": "ghl",
                "id": data["id"],
                "channel": "email" if email else "sms",
                "to": data["to"],
                "from": entry["from_email"] if email else entry["from_number"],
                "subject": data["subject"] or None,
                "body": data["text"],
                "tag": None,
                "time": iso(at),
                "location_id": data["location"],
            }
        )
        self.sandbox.ghl_event("message", "created", message, at)
        return message


def _to_cursor(key: Key) -> str:
    return base64.b64encode(orjson.dumps({"lastSort": [key[0]], "lastId": key[1]})).decode()


def _cursor(text: str) -> Key:
    try:
        value = orjson.loads(base64.b64decode(text, validate=True))
        return int(value["lastSort"][0]), str(value["lastId"])
    except (ValueError, KeyError, TypeError, IndexError):
        raise refuse(400, "Invalid cursor") from None
