"""Asks a provider whether a message whose answer was lost has arrived there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import UUID

from providers.errors import Rejected
from providers.sendgrid import SendGridClient
from providers.twilio import TwilioClient

# For clocks that differ: the provider may date a message before our intent.
_LOOK_BACK = timedelta(minutes=10)
# SendGrid's activity feed takes six requests a minute, so many are asked for in one.
_EMAILS_PER_QUERY = 40


@dataclass(frozen=True, slots=True)
class LostSend:
    """A message whose answer was lost. ``since`` is when its intent was written (UTC)."""

    send_id: UUID
    to_address: str
    from_address: str
    subject: str | None
    body: str
    since: datetime


def find_texts(client: TwilioClient, sends: Sequence[LostSend], taken: set[str]) -> dict[UUID, str]:
    """The SIDs of those that Twilio has, by our id.

    Twilio keeps no id of ours, so a message is recognised by recipient, sender, exact body and
    time. The list is asked for without a date filter: that filter is on the time of sending,
    which a message still in Twilio's queue has not.

    Args:
        client: the account.
        sends: those to look for; all to one number.
        taken: SIDs that belong to other messages of ours; those found are added.

    Raises:
        ProviderError: the list could not be read.
    """
    found: dict[UUID, str] = {}
    waiting = list(sends)
    oldest = min((send.since for send in waiting), default=None)
    if oldest is None:
        return found
    for page in client.iter_messages(to=waiting[0].to_address):
        for message in page:
            match = next((send for send in waiting if _is_text(send, message)), None)
            sid = str(message.get("sid"))
            if match is not None and sid not in taken:
                found[match.send_id] = sid
                taken.add(sid)
                waiting.remove(match)
        if not waiting or _created(page[-1]) < oldest - _LOOK_BACK:
            break
    return found


def find_emails(client: SendGridClient, sends: Sequence[LostSend]) -> dict[UUID, str]:
    """The message ids of those that SendGrid has, by our id, found by the id in its arguments.

    Raises:
        ProviderError: the activity feed could not be read; ``Rejected`` also where the account
            does not have it.
    """
    found: dict[UUID, str] = {}
    for group in _groups(sends):
        try:
            messages = client.search_activity(_query(group))
        except Rejected as error:
            if error.status != 400 or len(group) == 1:
                raise
            messages = [m for send in group for m in client.search_activity(_query([send]))]
        by_address = {send.to_address.lower(): send.send_id for send in group}
        for message in messages:
            send_id = by_address.get(str(message.get("to_email", "")).lower())
            if send_id is not None and message.get("msg_id"):
                # The part before the first dot is the X-Message-Id that the answer would have had.
                found[send_id] = str(message["msg_id"]).split(".", 1)[0]
    return found


def _query(group: Sequence[LostSend]) -> str:
    if len(group) == 1:
        return f"(unique_args['send_id']=\"{group[0].send_id}\")"
    ids = ",".join(f'"{send.send_id}"' for send in group)
    return f"(unique_args['send_id'] IN ({ids}))"


def _groups(sends: Iterable[LostSend]) -> list[list[LostSend]]:
    """Splits into queries such that no address comes twice in one: it is what tells them apart."""
    groups: list[list[LostSend]] = []
    for send in sends:
        for group in groups:
            if len(group) < _EMAILS_PER_QUERY and all(
                other.to_address.lower() != send.to_address.lower() for other in group
            ):
                group.append(send)
                break
        else:
            groups.append([send])
    return groups


def _is_text(send: LostSend, message: dict[str, Any]) -> bool:
    return (
        str(message.get("direction", "")).startswith("outbound")
        and message.get("to") == send.to_address
        and (message.get("from") == send.from_address or send.from_address.startswith("MG"))
        and message.get("body") == send.body
        and _created(message) >= send.since - _LOOK_BACK
    )


def _created(message: dict[str, Any]) -> datetime:
    return parsedate_to_datetime(str(message["date_created"]))
