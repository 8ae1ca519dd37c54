"""What agents and contacts write to each other. Slots: first, agent, city, price, beds, office."""

from __future__ import annotations

from typing import Final

from providers.sandbox.simulation import signals as e

Lines = tuple[str, ...]

_FIRST_TOUCH_BUY: Final[Lines] = (
    "Hi {first}, this is {agent} with {office}. Thanks for asking about homes in {city}! "
    "When would be a good time for a quick call? Reply STOP to opt out.",
    "Hey {first}, {agent} from {office} here. I saw you are looking around {price} in {city}. "
    "Are you hoping to tour this week or just starting out? Reply STOP to opt out.",
    "{first}, it's {agent} at {office}. I can send you {beds}-bed listings in {city} as they come "
    "up. What matters most to you? Reply STOP to opt out.",
)
_FIRST_TOUCH_SELL: Final[Lines] = (
    "Hi {first}, this is {agent} with {office}. Thanks for asking what your home in {city} could "
    "sell for. Is it your primary residence? Reply STOP to opt out.",
    "{first}, {agent} from {office}. I put together a quick value range around {price}. "
    "Do you have ten minutes to go over it? Reply STOP to opt out.",
)
_INQUIRY_BUY: Final[Lines] = (
    "Hi, I saw a {beds} bed in {city} listed around {price}. Is it still available?",
    "Looking for something in {city}, up to {price}. What do you have?",
    "Can you send me more information about homes near {city}?",
    "I'd like to know about down payment options for a place around {price}.",
)
_INQUIRY_SELL: Final[Lines] = (
    "What would my {beds} bedroom home in {city} sell for right now?",
    "Thinking about selling, what are your fees?",
    "Can I get a home value estimate please",
)
_CHAT_IN: Final[dict[int, Lines]] = {
    0: ("Thanks, I'll take a look.", "Who is this?", "Still early for us, but thank you"),
    1: (
        "Thanks {agent}. Does the one on the corner have a garage?",
        "We like the second one you sent. What are the HOA fees?",
        "Could you send a few more around {price}?",
        "Is the kitchen updated?",
        "How are property taxes in {city}?",
        "What would the monthly payment be roughly?",
        "Got it, thanks! Talking it over tonight.",
        "Do you have anything with a bigger yard?",
        "How long has it been on the market?",
    ),
    2: (
        "We really want to see this one. Is Saturday possible?",
        "Our lender just sent the pre-approval, {price}. Ready when you are!",
        "Can we go back for a second look this week?",
        "Would they take an offer under {price}?",
        "How soon could we list? We found a place we like.",
        "Please don't let this one go, what do you need from me?",
    ),
    3: ("Something came up, I'll let you know.", "Not right now, thanks", "We are taking a break"),
    4: ("Hi {agent}, we might start looking again.", "Is it still a seller's market in {city}?"),
    5: ("See you then!", "Where should we park?", "Can my partner join by phone?", "Confirmed 👍"),
    6: ("Thank you for everything {agent}!", "We signed this morning, so happy", "Great, thanks!"),
}
_ENTRY_IN: Final[dict[int, Lines]] = {
    1: (
        "Hi {agent}, yes we're looking. {beds} bedrooms, up to {price}.",
        "Good to hear from you. What's new in {city}?",
        "Yes please send me some options",
        "We would like to move this year. Where do we start?",
    ),
    2: (
        "We're ready to see homes. When can you show us around {city}?",
        "Pre-approved as of today! What is the next step?",
        "We decided to sell. Can you come by and look at the house?",
    ),
}
_ANSWER_OUT: Final[Lines] = (
    "Great question {first}. Let me check and get right back to you.",
    "Just emailed you the details, {first}. Tell me what you think!",
    "Yes, it is. I can get you in to see it, which days work?",
    "The HOA is $120 a month and covers the lawn.",
    "I'll pull the numbers for {city} and send them over this afternoon.",
    "Sounds good {first}, talk soon!",
    "Three more just came on around {price}, sending links now.",
)
_CHASE_OUT: Final[dict[int, Lines]] = {
    0: ("Hi {first}, {agent} here again. Did my last message reach you?",),
    1: ("{first}, any thoughts on the homes I sent?", "Found one more in {city} you may like."),
    2: ("{first}, shall I hold Saturday morning for you?",),
    3: (
        "Hi {first}, haven't heard back. Is now still a good time?",
        "{first}, just checking in. Are you still thinking about {city}?",
        "No rush {first}. Should I keep sending listings?",
    ),
    4: ("Hi {first}, it's been a while. Would an update on {city} prices help?",),
    5: (
        "Reminder: we have you down for your appointment, {first}. Reply C to confirm.",
        "Looking forward to meeting you, {first}!",
    ),
    6: ("Congratulations again {first}! Anything you need, I'm here.",),
}
_DRIP_SMS: Final[Lines] = (
    "{first}, prices in {city} moved this month. Want the one-page summary? Reply STOP to opt out.",
    "New listings under {price} in {city} this week. Want the list? Reply STOP to opt out.",
)
_STOP_IN: Final[Lines] = ("STOP", "STOP", "Stop", "stop", "STOP", "UNSUBSCRIBE", "Stop.", "QUIT")
_THANKS_OUT: Final[Lines] = (
    "Wonderful to work with you {first}. Paperwork is on its way.",
    "{first}, next steps are in your inbox. Call me any time.",
)
SUBJECTS: Final[Lines] = (
    "{beds}-bedroom homes in {city} under {price}",
    "{first}, your {city} market update",
    "What sold near you in {city}",
    "New this week in {city}",
    "A quick question, {first}",
)
_MAIL_BODIES: Final[Lines] = (
    "here are this week's listings around {price} in {city}. One has just been reduced.",
    "I put together what sold in {city} last month, with days on market and final prices.",
    "rates moved again; here is what a {price} home would cost a month today.",
    "three homes in {city} match what you told me. Click any of them to see photos.",
)


def choices(topic: int, direction: int, group: int, sells: bool) -> Lines:
    """The lines one of which fits a message; SMS and the core of an email alike."""
    if topic == e.FIRST_TOUCH:
        return _FIRST_TOUCH_SELL if sells else _FIRST_TOUCH_BUY
    if topic == e.INQUIRY:
        return _INQUIRY_SELL if sells else _INQUIRY_BUY
    if topic == e.STOP:
        return _STOP_IN
    if topic == e.ENTRY:
        return _ENTRY_IN[group]
    if topic == e.THANKS and direction == e.OUTBOUND:
        return _THANKS_OUT
    if direction == e.INBOUND:
        return _CHAT_IN[group]
    if topic == e.ANSWER:
        return _ANSWER_OUT
    if topic in (e.DRIP, e.ALERT):
        return _DRIP_SMS
    return _CHASE_OUT[group]


def mail_core(topic: int, direction: int, group: int, sells: bool) -> Lines:
    """As :func:`choices`, for emails: newsletters have words of their own."""
    if direction == e.OUTBOUND and topic in (e.DRIP, e.ALERT, e.CHASE):
        return _MAIL_BODIES
    return choices(topic, direction, group, sells)


def html(core: str, first: str, signature: str) -> str:
    """An email's body as HighLevel's export gives it."""
    return f"<p>Hi {first},</p><p>{core}</p><p>{signature}</p>"
