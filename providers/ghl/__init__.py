"""HighLevel (GoHighLevel) API v2: one client per location (sub-account)."""

from providers.ghl.client import GhlClient
from providers.ghl.transport import BURST_LIMIT, DAILY_LIMIT

__all__ = ["BURST_LIMIT", "DAILY_LIMIT", "GhlClient"]
