"""What kind of line a number is: asked of Twilio Lookup, kept with its date, asked rarely."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from activation.marts import reading_marts
from leadengine.clock import Clock
from leadengine.log import get_logger
from leadengine.settings import Settings
from providers.errors import ProviderError
from providers.factory import Clients
from warehouse.database import Database

_log = get_logger("activation.line_types")
GOOD_FOR = timedelta(days=180)
"""Numbers are carried from landlines to mobiles, but seldom."""


@dataclass(frozen=True, slots=True)
class LineReport:
    """What a round of look-ups did; ``left`` numbers were not asked about."""

    asked: int
    barred: int
    invalid: int
    left: int


def look_up_lines(
    database: Database, clients: Clients, settings: Settings, clock: Clock, *, most: int = 1_000
) -> LineReport:
    """Asks about numbers not asked about lately: open leads, best score first, then past clients.

    Does nothing where ``LINE_TYPE_LOOKUPS`` is off: each look-up is paid. A provider that does not
    answer ends the round; what was learnt is kept.

    Args:
        database: with ``marts.lead_priorities``.
        clients: the providers.
        settings: whether to ask at all.
        clock: tells the time.
        most: how many numbers to ask about.
    """
    if not settings.line_type_lookups:
        return LineReport(0, 0, 0, 0)
    with reading_marts(), database.connect() as connection:
        wanted = [
            str(row[0])
            for row in connection.execute(
                "select leads.phone from marts.dim_leads as leads"
                " left join marts.lead_priorities as priorities"
                " on leads.lead_id = priorities.lead_id"
                " left join ops.phone_lines as lines on leads.phone = lines.address"
                " where leads.phone is not null and leads.is_phone_valid"
                " and (leads.is_open and priorities.lead_id is not null or leads.status = 'won')"
                " and (lines.looked_up_at is null or lines.looked_up_at < %s)"
                " group by leads.phone order by max(priorities.score) desc nulls last",
                (clock.now() - GOOD_FOR,),
            )
        ]
    asked = barred = invalid = 0
    for number in wanted[:most]:
        try:
            line = clients.lookups.line(number)
        except ProviderError as error:
            _log.warning("look-ups of lines stopped after %d: %s", asked, error.message)
            break
        asked += 1
        barred += line.line_type == "landline"
        invalid += not line.is_valid
        with database.connect() as connection:
            connection.execute(
                "insert into ops.phone_lines (address, is_valid, line_type, looked_up_at, source)"
                " values (%s, %s, %s, %s, 'twilio_lookup_v2') on conflict (address) do update set"
                " is_valid = excluded.is_valid, line_type = excluded.line_type,"
                " looked_up_at = excluded.looked_up_at, source = excluded.source",
                (number, line.is_valid, line.line_type, clock.now()),
            )
    return LineReport(asked, barred, invalid, len(wanted) - asked)
