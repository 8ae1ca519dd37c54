"""Who a location's messages come from."""

from __future__ import annotations

from dataclasses import dataclass

from activation.types import Channel
from leadengine.errors import SettingsError
from leadengine.settings import LocationConfig, Settings


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


def senders(settings: Settings) -> dict[str, Sender]:
    """Every location's sender, by location id.

    Raises:
        SettingsError: no location is configured, or a live account still has the example
            postal address, which CAN-SPAM wants to be a real one.
    """
    example = type(settings).model_fields["sender_postal_address"].default
    if settings.has_live_credentials and settings.sender_postal_address == example:
        raise SettingsError(
            "SENDER_POSTAL_ADDRESS is still the example address.",
            remedy="Set SENDER_NAME and SENDER_POSTAL_ADDRESS: every email must carry them.",
        )
    return {
        location.location_id: _sender(location, settings) for location in settings.locations()
    }


def _sender(location: LocationConfig, settings: Settings) -> Sender:
    return Sender(
        location.location_id,
        location.name or settings.sender_name,
        location.from_number or settings.twilio_from_number,
        location.from_email or settings.sendgrid_from_email,
    )


def able(found: dict[str, Sender]) -> frozenset[tuple[str, Channel]]:
    """The locations and channels that can send at all."""
    return frozenset(
        (location_id, channel)
        for location_id, sender in found.items()
        for channel in Channel
        if sender.address(channel)
    )
