"""What carriers take from a registered number (A2P 10DLC), by the class of brand and campaign.

Segments a second are for all carriers together, segments a day are T-Mobile's, which count per
brand and start anew at midnight in the Pacific time zone. Sources: Twilio, "Message throughput
(MPS) and Trust Scores for A2P 10DLC in the US" and "T-Mobile daily message limits for long code
messaging with A2P 10DLC". Twilio queues what is beyond the first and refuses what is beyond the
second with error 30023; both are kept to here, so that neither happens.
"""

from __future__ import annotations

from dataclasses import dataclass

from providers.limits import RateLimit


@dataclass(frozen=True, slots=True)
class CarrierClass:
    """A class of registration.

    Args:
        per_second: segments that may leave a number; None: no limit of its own.
        per_day: segments a day to T-Mobile's subscribers; None: no limit.
    """

    per_second: RateLimit | None
    per_day: int | None


_CLASSES = {
    "sole_proprietor": CarrierClass(RateLimit(60, 60.0), 1_000),
    "low_volume": CarrierClass(RateLimit(225, 60.0), 2_000),
    # Trust scores 1 to 24 have 2,000 a day, 25 to 49 have 10,000: the smaller counts.
    "standard_low": CarrierClass(RateLimit(720, 60.0), 2_000),
    "standard_mid": CarrierClass(RateLimit(7_200, 60.0), 40_000),
    "standard_high": CarrierClass(RateLimit(13_500, 60.0), 200_000),
    "none": CarrierClass(None, None),
}


def carrier_class(name: str) -> CarrierClass:
    """The class named in TWILIO_10DLC_CLASS."""
    return _CLASSES[name]
