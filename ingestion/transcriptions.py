"""Transcripts of calls: one request each, so a budget per load, newest calls first."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from time import monotonic
from typing import Any

import psycopg

from ingestion.extraction import Extraction
from ingestion.state import exists, has_rows, load_state
from ingestion.tables import table
from leadengine.clock import Clock
from providers.errors import Rejected
from providers.ghl import GhlClient

SPEC = table("raw_ghl", "transcriptions")
MESSAGES = table("raw_ghl", "messages")

CATCH_UP_SECONDS = 3.0
"""How long a later load spends on the backlog; the first load uses its budget whole."""

ASK_AGAIN_WITHIN = timedelta(days=2)
"""A provider transcribes some time after the call; older calls without one will not get one."""
ASK_AGAIN_AFTER = timedelta(hours=1)

# A transcript of a call from before the first load belongs to the backfill like its call does,
# whichever load fetches it.
_WANTED = """
select message.id, message._backfill, message._known_at
from raw_ghl.messages as message
left join raw_ghl.transcriptions as known
    on known.location_id = message.location_id and known.id = message.id
where message.location_id = %(location_id)s
    and message.message_type = 'TYPE_CALL'
    and coalesce(message.call_duration, 1) > 0
    and (
        coalesce(message.call_status, 'completed') in ('completed', 'answered')
        -- What an agent says to a machine tells nothing of the lead.
        or (message.call_status = 'voicemail' and message.direction = 'inbound')
    )
    and (
        known.id is null
        or (
            known.transcript is null
            and message.date_added > %(now)s - %(within)s
            and known._loaded_at < %(now)s - %(after)s
        )
    )
order by message.date_added desc, message.id
limit %(budget)s
"""


def extraction(
    connection: psycopg.Connection, client: GhlClient, budget: int, clock: Clock
) -> Extraction | None:
    """Reading the next transcripts of one location; None when there is nothing to ask for."""
    if not exists(connection, MESSAGES) or not exists(connection, SPEC):
        return None
    wanted = connection.execute(
        _WANTED,
        {
            "location_id": client.location_id,
            "budget": budget,
            "now": clock.now(),
            "within": ASK_AGAIN_WITHIN,
            "after": ASK_AGAIN_AFTER,
        },
    ).fetchall()
    if not wanted:
        return None
    state = load_state(connection, SPEC, client.location_id)

    def read(_since: object) -> Iterator[Sequence[Any]]:
        started = monotonic()
        for message_id, _, _ in wanted:
            if not state.backfill and monotonic() - started > CATCH_UP_SECONDS:
                return
            yield [_record(client, message_id)]

    return Extraction(
        spec=SPEC,
        location_id=client.location_id,
        read=read,
        state=state,
        context={"locationId": client.location_id},
        fresh=not has_rows(connection, SPEC, client.location_id),
        origins={message_id: known for message_id, backfill, known in wanted if backfill},
    )


def _record(client: GhlClient, message_id: str) -> dict[str, Any]:
    try:
        sentences = client.get_transcription(message_id)
    except Rejected as error:
        # The contract's answer for a call without a recording; anything else is a real refusal.
        if error.status not in (400, 422):
            raise
        sentences = []
    ordered = sorted(sentences, key=lambda one: _number(one.get("sentenceIndex")))
    text = " ".join(str(one["transcript"]) for one in ordered if one.get("transcript"))
    return {"id": message_id, "sentences": ordered, "transcript": text or None}


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0
