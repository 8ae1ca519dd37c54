"""The custom fields in which the CRM shows a lead's score; made where they are missing."""

from __future__ import annotations

from dataclasses import dataclass

from providers.errors import Unknown
from providers.ghl import GhlClient


@dataclass(frozen=True, slots=True)
class CrmField:
    """A custom field of contacts. GoHighLevel derives ``key`` from the name."""

    name: str
    key: str
    data_type: str


FIELDS: dict[str, CrmField] = {
    "score": CrmField("Lead Score", "contact.lead_score", "NUMERICAL"),
    "tier": CrmField("Lead Tier", "contact.lead_tier", "TEXT"),
    "reason": CrmField("Lead Score Reason", "contact.lead_score_reason", "LARGE_TEXT"),
    "next_action": CrmField("Lead Next Action", "contact.lead_next_action", "TEXT"),
    "scored_at": CrmField("Lead Scored At", "contact.lead_scored_at", "DATE"),
}


def crm_fields(client: GhlClient) -> tuple[dict[str, str], int]:
    """The ids of our fields in a location, and how many had to be made.

    Raises:
        ProviderError: the fields cannot be read or made.
    """
    known = _find(client)
    created = 0
    for name, field in FIELDS.items():
        if name in known:
            continue
        try:
            known[name] = str(client.create_custom_field(field.name, field.data_type)["id"])
        except Unknown:
            # It may have been made before the answer was lost: look before making a second one.
            found = _find(client)
            if name not in found:
                raise
            known[name] = found[name]
        created += 1
    return known, created


def _find(client: GhlClient) -> dict[str, str]:
    found: dict[str, str] = {}
    for definition in client.list_custom_fields():
        key = str(definition.get("fieldKey") or "").lower()
        name = str(definition.get("name") or "").strip().lower()
        for ours, field in FIELDS.items():
            if ours not in found and (key == field.key or name == field.name.lower()):
                found[ours] = str(definition["id"])
    return found
