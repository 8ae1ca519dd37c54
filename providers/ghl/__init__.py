"""HighLevel (GoHighLevel) API v2: one client per location (sub-account)."""

from providers.ghl.client import GhlClient

__all__ = ["GhlClient"]
