"""Taking an address off the suppression list: by a named person, with a reason, on record."""

from __future__ import annotations

from datetime import datetime

from activation.audit import audit
from leadengine.errors import LeadEngineError
from warehouse.database import Database


class SuppressionError(LeadEngineError):
    """An address cannot be taken off as asked."""


def lift(
    database: Database, *, address: str, channel: str, by: str, reason: str, now: datetime
) -> int:
    """Takes an address off the list of those never written to; the consent log stays as it is.

    Returns:
        From how many locations' lists it was taken.

    Raises:
        SuppressionError: no name, no reason, or the address is on no list.
    """
    if not by.strip() or not reason.strip():
        raise SuppressionError(
            "Taking an address off the list needs a name and a reason.",
            remedy="Say who does it, and why, such as where the new consent is on file.",
        )
    wanted = address.strip().lower() if channel == "email" else address.strip()
    with database.connect() as connection:
        rows = connection.execute(
            "delete from ops.suppressions where channel = %s and address = %s"
            " returning location_id, reason, source",
            (channel, wanted),
        ).fetchall()
        if not rows:
            raise SuppressionError(
                f"The {channel} address is on no suppression list.",
                remedy="Give a number in E.164, such as +18135550123, or the whole email.",
            )
        for location_id, old_reason, source in rows:
            audit(
                connection,
                at=now,
                actor=by.strip(),
                action="suppression_lifted",
                entity="suppression",
                entity_id=channel,
                location_id=location_id,
                detail={"reason": reason.strip(), "was": old_reason, "source": source},
            )
    return len(rows)
