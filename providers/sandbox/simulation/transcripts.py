"""Short dialogues for answered calls, in the shape of HighLevel's transcriptions."""

from __future__ import annotations

from typing import Final

from providers.sandbox.simulation.model import Payload

AGENT_CHANNEL, CONTACT_CHANNEL = 1, 2
_CONFIDENCES: Final = tuple(round(0.82 + step / 100, 2) for step in range(17))
Dialogue = tuple[tuple[str, ...], ...]
"""Lines in turn, the agent first; each a choice of wordings."""

_OPENING: Final = (
    "This call may be recorded for quality assurance purposes. Hi {first}, this is {agent} "
    "with {office}.",
    "Hi, is this {first}? It's {agent} at {office}, on a recorded line.",
)
_NEW_BUY: Final[Dialogue] = (
    _OPENING,
    ("Oh hi, yes, I filled out the form.", "Hi, yes, speaking."),
    ("Great. What are you hoping to find in {city}?", "What made you reach out about {city}?"),
    (
        "Probably {beds} bedrooms, somewhere around {price}.",
        "We are still figuring that out, maybe up to {price}.",
    ),
    ("Have you spoken with a lender yet?", "Are you renting at the moment?"),
    ("Not yet, we only started looking.", "Our lease runs for a while."),
    ("No problem, I'll send a few listings by email.", "I'll text you my number, call any time."),
    ("Okay, thank you.", "Sounds good, bye."),
)
_TALKING: Final[Dialogue] = (
    _OPENING,
    ("Hi {agent}, thanks for calling back.", "Hey, I was just looking at the list you sent."),
    ("Which of the homes did you like?", "Did anything stand out?"),
    (
        "The one with the porch, but the taxes seem high.",
        "The second one. Is the roof original?",
        "We liked two of them, {price} is about our limit.",
    ),
    ("I can ask the listing agent about that today.", "Let me pull the disclosures for you."),
    ("Please do. Do you think {city} prices will come down?", "That would help a lot."),
    ("Inventory is up a little, so there is some room.", "Some sellers have started to reduce."),
    ("Good to know. We will talk it over this weekend.", "Okay, let's stay in touch."),
)
_READY_BUY: Final[Dialogue] = (
    _OPENING,
    ("Hi! We got our pre-approval.", "Hi {agent}, we are ready to move on this."),
    ("That is great news. For how much?", "Wonderful. What is the timing?"),
    (
        "Up to {price}. We want to be in within two months.",
        "{price}, and we can close in thirty days.",
    ),
    ("Then let's see it in person. Does Saturday morning work?", "I can show it tomorrow at ten."),
    ("Saturday works for both of us.", "Tomorrow is perfect."),
    ("I'll line up two more in {city} while we are out.", "I'll confirm with the seller now."),
    ("Please. We would love at least {beds} bedrooms.", "Great, and can we see the yard?"),
    ("Of course. I'll text the address and a map.", "You'll have the details in ten minutes."),
    ("Thank you so much, see you then!", "Perfect, thanks."),
)
_READY_SELL: Final[Dialogue] = (
    _OPENING,
    ("Hi, we have decided to put the house on the market.", "Hi, we want to list this spring."),
    ("Happy to help. What condition is it in?", "Great. Have you done any updates lately?"),
    ("New roof last year, the kitchen is older.", "We repainted and redid both baths."),
    (
        "Homes like yours in {city} went for around {price} last month.",
        "I would start near {price}.",
    ),
    ("That is what we were hoping for.", "A bit more would be nice, but okay."),
    ("Let me come by and walk through it with you.", "Could I see it in person this week?"),
    ("Thursday after five works.", "Yes, any evening."),
    ("I'll bring the listing agreement and comparables.", "I'll send a calendar invite."),
    ("Sounds good, see you.", "Thanks {agent}."),
)
_FADING: Final[Dialogue] = (
    _OPENING,
    ("Hi, it's not a great time.", "Oh, hi. We have put this on hold."),
    ("No problem at all. Should I check back in a few months?", "Understood. What changed?"),
    ("Rates are just too high for us right now.", "Work got busy, maybe next year."),
    ("I'll send an occasional update, nothing more.", "I'll make a note and leave you be."),
    ("Thanks, bye.", "That's fine."),
)
_BOOKED: Final[Dialogue] = (
    _OPENING,
    ("Hi {agent}, I was about to call you.", "Yes, hello!"),
    ("Just confirming our appointment.", "I wanted to make sure the time still works."),
    ("Yes, we will be there.", "It does. Should we bring anything?"),
    ("Only your questions. See you soon, {first}.", "A photo ID and the pre-approval, if you can."),
    ("Will do, thanks.", "See you!"),
)
_CLIENT: Final[Dialogue] = (
    _OPENING,
    ("Hi {agent}! Did the paperwork arrive?", "Hi, we are all set I think."),
    ("It did, everything is signed.", "Yes, one more signature and we are done."),
    ("Amazing, thank you for all your help.", "Great, I'll do that tonight."),
)


def dialogue(group: int, sells: bool) -> Dialogue:
    """The conversation that fits a state's group (:data:`.signals.GROUP_NAMES`)."""
    if group == 2:
        return _READY_SELL if sells else _READY_BUY
    return (_NEW_BUY, _TALKING, _READY_BUY, _FADING, _FADING, _BOOKED, _CLIENT)[group]


def transcription(lines: Dialogue, pick: int, seconds: int, slots: dict[str, str]) -> list[Payload]:
    """Sentences (``GetMessageTranscriptionResponseDto``) that fill a call of some seconds.

    ``pick`` chooses the wordings. Times are milliseconds from the start of the call.
    """
    spoken = [choice[(pick >> i) % len(choice)].format_map(slots) for i, choice in enumerate(lines)]
    per_letter = seconds * 1000 / (sum(map(len, spoken)) or 1)
    sentences: list[Payload] = []
    start = 0
    for i, text in enumerate(spoken):
        end = start + int(len(text) * per_letter)
        sentences.append(
            {
                "mediaChannel": AGENT_CHANNEL if i % 2 == 0 else CONTACT_CHANNEL,
                "sentenceIndex": i,
                "startTime": start,
                "endTime": end,
                "transcript": text,
                "confidence": _CONFIDENCES[(pick >> (i + 3)) % len(_CONFIDENCES)],
            }
        )
        start = end
    return sentences
