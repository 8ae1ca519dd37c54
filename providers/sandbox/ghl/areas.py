"""All areas of HighLevel's API that the sandbox speaks."""

from __future__ import annotations

from typing import Protocol

from providers.sandbox.ghl.contacts import ContactsArea
from providers.sandbox.state import Sandbox
from providers.sandbox.wire import Router


class Area(Protocol):
    """A part of the API that registers its own routes."""

    def routes(self, router: Router) -> None:
        """Registers the handlers."""
        ...


def make_areas(sandbox: Sandbox) -> list[Area]:
    """Every area, ready to register."""
    return [ContactsArea(sandbox)]
