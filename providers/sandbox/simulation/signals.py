"""How the hidden state shows: kinds of events, and how often each happens in each state.

States are grouped (:data:`GROUP_NAMES`): all days of waiting for an appointment are one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from providers.sandbox.simulation.chain import Ints

SMS, CALL, EMAIL = range(3)
INBOUND, OUTBOUND = range(2)
# What an event is about; chooses its words.
CHAT, FIRST_TOUCH, DRIP, CHASE, ENTRY, TALK, ALERT, ANSWER, INQUIRY, STOP, THANKS = range(11)
DELIVERED, OPENED, CLICKED, FAILED, REFUSED = range(5)
NO_ANSWER, VOICEMAIL, BUSY, ANSWERED = range(4)

GROUP_NAMES: Final = ("new", "active", "hot", "cooling", "dormant", "booked", "client")
CLIENT: Final = 6

# What an engaged contact does, and how often each, by group.
SIGNALS: Final = (
    (SMS, INBOUND, CHAT),
    (CALL, INBOUND, CHAT),
    (EMAIL, INBOUND, CHAT),
    (CALL, OUTBOUND, TALK),  # picks up when called
    (EMAIL, OUTBOUND, ALERT),  # clicks on a listing
)
SIGNAL_MIX: Final = np.array(
    [
        [0.55, 0.10, 0.30, 0.05, 0.00],  # new
        [0.78, 0.00, 0.21, 0.00, 0.01],  # active
        [0.14, 0.27, 0.04, 0.27, 0.28],  # hot
        [0.65, 0.05, 0.30, 0.00, 0.00],  # cooling
        [0.65, 0.05, 0.30, 0.00, 0.00],  # dormant
        [0.65, 0.15, 0.10, 0.10, 0.00],  # booked
    ]
)
# Probability of such a signal by days since the last (the row's end goes on): engaged people
# keep up a rhythm, so silence tells soon.
RHYTHM: Final = np.array(
    [
        [0.020] * 10,  # new
        [0.00, 0.00, 0.02, 0.05, 0.10, 0.20, 0.40, 0.70, 0.90, 0.95],  # active
        [0.00, 0.03, 0.15, 0.40, 0.70, 0.90, 0.95, 0.97, 0.97, 0.97],  # hot
        [0.003] * 10,  # cooling
        [0.0004] * 10,  # dormant
        [0.160] * 10,  # booked
    ]
)
UNSAID_GAP: Final = 5
# What agents and workflows do of their own accord.
PUSHES: Final = (
    (SMS, OUTBOUND, CHASE),
    (CALL, OUTBOUND, CHASE),
    (EMAIL, OUTBOUND, CHASE),
    (EMAIL, OUTBOUND, DRIP),
    (SMS, OUTBOUND, DRIP),
)
PUSH_RATES: Final = np.array(
    [
        [0.040, 0.040, 0.015, 0.040, 0.010],  # new
        [0.003, 0.004, 0.002, 0.018, 0.002],  # active
        [0.003, 0.006, 0.002, 0.018, 0.002],  # hot
        [0.180, 0.300, 0.020, 0.030, 0.005],  # cooling
        [0.0015, 0.001, 0.001, 0.011, 0.003],  # dormant
        [0.100, 0.040, 0.020, 0.020, 0.005],  # booked
    ]
)
ENTRY_SAID: Final = 0.98
"""How often a contact that becomes engaged shows it on the first day."""
# By group: an email is opened, an opened one clicked, a call answered; how long a talk lasts.
OPENS: Final = np.array([0.40, 0.70, 0.90, 0.12, 0.05, 0.80, 0.5])
CLICKS: Final = np.array([0.12, 0.06, 0.80, 0.04, 0.03, 0.30, 0.1])
ANSWERS: Final = np.array([0.22, 0.20, 0.60, 0.06, 0.03, 0.80, 0.8])
TALK_SECONDS: Final = np.array([60.0, 110.0, 260.0, 45.0, 40.0, 120.0, 120.0])
# By group: a text (an email) from us makes the contact opt out.
STOPS: Final = np.array([0.010, 0.0005, 0.0, 0.020, 0.06, 0.0, 0.0])
UNSUBSCRIBES: Final = np.array([0.003, 0.0, 0.0, 0.006, 0.008, 0.0, 0.0])
# Minutes of the local day in which a person of each habit tends to be at the phone.
HABIT_WINDOWS: Final = ((8 * 60, 11 * 60), (11 * 60 + 30, 14 * 60), (17 * 60, 21 * 60))


@dataclass(frozen=True)
class Events:
    """Columns of messages and calls, in no order.

    ``person`` indexes :class:`People`; ``at_ms`` is UTC; ``group`` is the state's group when it
    happened; ``status`` is for SMS and email, ``call`` for calls; ``status_ms`` says when an email
    was last opened or clicked; ``seconds`` is a call's talking (or voicemail) time.
    """

    person: Ints
    at_ms: Ints
    channel: Ints
    direction: Ints
    topic: Ints
    group: Ints
    status: Ints
    status_ms: Ints
    call: Ints
    seconds: Ints

    def __len__(self) -> int:
        return len(self.person)


@dataclass(frozen=True)
class OptOuts:
    """When a person opted out of SMS by replying, and of email; -1 for never."""

    sms_ms: Ints
    email_ms: Ints
