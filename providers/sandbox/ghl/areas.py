"""All areas of HighLevel's API that the sandbox speaks."""

from __future__ import annotations

from typing import Protocol

from providers.sandbox.ghl.account import AccountArea
from providers.sandbox.ghl.activity import ActivityArea
from providers.sandbox.ghl.calendars import CalendarsArea
from providers.sandbox.ghl.contacts import ContactsArea
from providers.sandbox.ghl.conversations import ConversationsArea
from providers.sandbox.ghl.opportunities import OpportunitiesArea
from providers.sandbox.ghl.tags import TagsArea
from providers.sandbox.state import Sandbox
from providers.sandbox.wire import Router


class Area(Protocol):
    """A part of the API that registers its own routes."""

    def routes(self, router: Router) -> None:
        """Registers the handlers."""
        ...


def make_areas(sandbox: Sandbox) -> list[Area]:
    """Every area, ready to register."""
    return [
        ContactsArea(sandbox),
        TagsArea(sandbox),
        ActivityArea(sandbox),
        ConversationsArea(sandbox),
        OpportunitiesArea(sandbox),
        CalendarsArea(sandbox),
        AccountArea(sandbox),
    ]
