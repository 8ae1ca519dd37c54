"""Who a location's messages come from."""

from __future__ import annotations

from dataclasses import dataclass

from activation.types import Channel
from leadengine.errors import SettingsError
from leadengine.settings import LocationConfig, Settings
from warehouse.database import Database


@dataclass(frozen=True, slots=True)
class Sender:
    """The addresses and names one location sends under."""

    location_id: str
    name: str
    from_number: str | None
    from_email: str | None

    def address(self, channel: Channel) -> str | None:
        """The address messages on a channel come from; None where the location has none."""
        return self.from_number if channel is Channel.SMS else self.from_email


def senders(settings: Settings, database: Database) -> dict[str, Sender]:
    """Every location's sender, by location id; empty while no provider is known.

    The name is the one the CRM has for the location, so that a plan reads the same whether it is
    made with the providers at hand or not.

    Raises:
        SettingsError: a live account still has the example postal address, which CAN-SPAM wants
            to be a real one; or the locations file cannot be used.
    """
    if not (settings.has_live_credentials or settings.uses_sandbox):
        return {}
    example = type(settings).model_fields["sender_postal_address"].default
    if settings.has_live_credentials and settings.sender_postal_address == example:
        raise SettingsError(
            "SENDER_POSTAL_ADDRESS is still the example address.",
            remedy="Set SENDER_NAME and SENDER_POSTAL_ADDRESS: every email must carry them.",
        )
    names = location_names(database)
    return {
        location.location_id: _sender(location, settings, names)
        for location in settings.locations()
    }


def location_names(database: Database) -> dict[str, str]:
    """The locations' names in the CRM; empty before the first load."""
    with database.connect() as connection:
        row = connection.execute("select to_regclass('raw_ghl.locations')").fetchone()
        if row is None or row[0] is None:
            return {}
        rows = connection.execute(
            "select id, name from raw_ghl.locations where name is not null"
        ).fetchall()
    return {str(location_id): str(name) for location_id, name in rows}


def able(found: dict[str, Sender]) -> frozenset[tuple[str, Channel]] | None:
    """The locations and channels that can send at all; None while no provider is known."""
    if not found:
        return None
    return frozenset(
        (location_id, channel)
        for location_id, sender in found.items()
        for channel in Channel
        if sender.address(channel)
    )


def _sender(location: LocationConfig, settings: Settings, names: dict[str, str]) -> Sender:
    texts = settings.twilio_account_sid and settings.twilio_auth_token
    emails = settings.sendgrid_api_key
    return Sender(
        location.location_id,
        names.get(location.location_id) or location.name or settings.sender_name,
        (location.from_number or settings.twilio_from_number) if texts else None,
        (location.from_email or settings.sendgrid_from_email) if emails else None,
    )
