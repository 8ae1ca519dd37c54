"""The fixed parts of the simulated brokerage: locations, agents, pipelines, calendars, fields.

Their ids do not depend on the seed, so configuration that names them stays valid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from providers.sandbox.simulation.ids import stable_id
from providers.sandbox.simulation.model import Payload

COMPANY_ID: Final = stable_id("company")
SETUP_DATE: Final = "2023-01-09T15:00:00.000Z"


@dataclass(frozen=True)
class Office:
    """One location (sub-account) and the state most of its contacts live in."""

    key: str
    name: str
    timezone: str
    city: str
    state: str
    address: str
    postal_code: str
    phone: str

    @property
    def id(self) -> str:
        return stable_id(f"location:{self.key}")


OFFICES: Final = (
    Office(
        "tampa",
        "Bayshore Realty Group (simulated)",
        "America/New_York",
        "Tampa",
        "FL",
        "400 Simulated Bay Blvd",
        "33602",
        "+18135550100",
    ),
    Office(
        "austin",
        "Hill Country Homes (simulated)",
        "America/Chicago",
        "Austin",
        "TX",
        "1200 Simulated Creek Dr",
        "78701",
        "+15125550100",
    ),
)


@dataclass(frozen=True)
class Agent:
    """A user of the CRM.

    ``reply_minutes`` is the median time to a first answer in office hours; ``skill`` shifts the
    log-odds with which this agent's leads move on.
    """

    office: int
    first_name: str
    last_name: str
    reply_minutes: float
    skill: float
    phone: str

    @property
    def id(self) -> str:
        return stable_id(f"user:{self.office}:{self.first_name} {self.last_name}")

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}"

    @property
    def email(self) -> str:
        return f"{self.first_name}.{self.last_name}@example.com".lower()


AGENTS: Final = (
    Agent(0, "Marisol", "Vance", 4, 0.20, "+18135550101"),
    Agent(0, "Derek", "Holloway", 12, 0.10, "+18135550102"),
    Agent(0, "Priya", "Nair", 35, 0.05, "+18135550103"),
    Agent(0, "Tom", "Beckett", 120, -0.05, "+18135550104"),
    Agent(0, "Lena", "Fairbanks", 420, -0.10, "+18135550105"),
    Agent(0, "Curtis", "Odom", 1200, -0.20, "+18135550106"),
    Agent(1, "Hannah", "Reyes", 3, 0.20, "+15125550101"),
    Agent(1, "Wade", "Sutton", 20, 0.10, "+15125550102"),
    Agent(1, "Grace", "Okafor", 45, 0.00, "+15125550103"),
    Agent(1, "Ivan", "Petrov", 180, 0.00, "+15125550104"),
    Agent(1, "Dana", "Whitlock", 600, -0.15, "+15125550105"),
    Agent(1, "Ray", "Castellano", 1500, -0.20, "+15125550106"),
)

STAGES: Final = (
    "New Lead",
    "Attempted Contact",
    "Engaged",
    "Hot",
    "Appointment Set",
    "Appointment Kept",
    "Nurture",
    "Closed",
)
PIPELINES: Final = ("Buyers", "Sellers")
CALENDARS: Final = ("Buyer consultation", "Listing appointment")
WORKFLOWS: Final = (
    ("New lead follow-up", "published"),
    ("Long-term nurture", "published"),
    ("Appointment reminders", "published"),
    ("No-show recovery", "published"),
    ("Past client check-in", "draft"),
)

# fieldKey suffix -> (label, HighLevel data type)
CUSTOM_FIELDS: Final = {
    "sms_consent": ("SMS consent", "SINGLE_OPTIONS"),
    "email_consent": ("Email consent", "SINGLE_OPTIONS"),
    "consent_at": ("Consent given at", "TEXT"),
    "consent_source": ("Consent source", "TEXT"),
    "consent_text": ("Consent text", "LARGE_TEXT"),
    "price_min": ("Price from", "NUMERICAL"),
    "price_max": ("Price to", "NUMERICAL"),
    "beds": ("Bedrooms", "NUMERICAL"),
    "timeline": ("Timeline", "SINGLE_OPTIONS"),
    "property_type": ("Property type", "SINGLE_OPTIONS"),
    "lead_intent": ("Lead intent", "SINGLE_OPTIONS"),
}
TIMELINES: Final = ("0-3 months", "3-6 months", "6-12 months", "12+ months")
PROPERTY_TYPES: Final = ("single family", "condo", "townhouse", "multi family", "land")
INTENTS: Final = ("buy", "sell", "both")
_OPTIONS: Final = {
    "sms_consent": ["yes", "no"],
    "email_consent": ["yes", "no"],
    "timeline": list(TIMELINES),
    "property_type": list(PROPERTY_TYPES),
    "lead_intent": list(INTENTS),
}


def field_id(office: int, key: str) -> str:
    """Id of the custom field ``contact.<key>`` in an office."""
    return stable_id(f"field:{OFFICES[office].key}:{key}")


def pipeline_id(office: int, pipeline: int) -> str:
    return stable_id(f"pipeline:{OFFICES[office].key}:{PIPELINES[pipeline]}")


def stage_id(office: int, pipeline: int, stage: int) -> str:
    return stable_id(f"stage:{OFFICES[office].key}:{PIPELINES[pipeline]}:{STAGES[stage]}")


def calendar_id(office: int, calendar: int) -> str:
    return stable_id(f"calendar:{OFFICES[office].key}:{CALENDARS[calendar]}")


def calendar_group_id(office: int) -> str:
    return stable_id(f"calendar-group:{OFFICES[office].key}")


def locations() -> list[Payload]:
    """Shape of ``GetLocationByIdSchema``."""
    return [
        {
            "id": office.id,
            "companyId": COMPANY_ID,
            "name": office.name,
            "address": office.address,
            "city": office.city,
            "state": office.state,
            "country": "US",
            "postalCode": office.postal_code,
            "website": f"https://{office.key}.example.com",
            "timezone": office.timezone,
            "email": f"office@{office.key}.example.com",
            "phone": office.phone,
            "business": {
                "name": office.name,
                "address": office.address,
                "city": office.city,
                "state": office.state,
                "country": "US",
                "postalCode": office.postal_code,
                "website": f"https://{office.key}.example.com",
                "timezone": office.timezone,
            },
            "settings": {
                "allowDuplicateContact": True,
                "allowDuplicateOpportunity": False,
                "allowFacebookNameMerge": False,
                "disableContactTimezone": False,
            },
        }
        for office in OFFICES
    ]


def users() -> list[Payload]:
    """Shape of ``UserSchema``."""
    return [
        {
            "id": agent.id,
            "name": agent.name,
            "firstName": agent.first_name,
            "lastName": agent.last_name,
            "email": agent.email,
            "phone": agent.phone,
            "extension": "",
            "permissions": {
                "contactsEnabled": True,
                "conversationsEnabled": True,
                "opportunitiesEnabled": True,
                "appointmentsEnabled": True,
                "phoneCallEnabled": True,
                "assignedDataOnly": False,
            },
            "roles": {
                "type": "account",
                "role": "user",
                "locationIds": [OFFICES[agent.office].id],
                "restrictSubAccount": False,
            },
            "deleted": False,
        }
        for agent in AGENTS
    ]


def pipelines() -> list[Payload]:
    """Shape of ``PipelinesResponseSchema``; stages as the API gives them."""
    return [
        {
            "id": pipeline_id(o, p),
            "name": name,
            "stages": [
                {"id": stage_id(o, p, s), "name": stage, "position": s, "showInFunnel": True}
                for s, stage in enumerate(STAGES)
            ],
            "showInFunnel": True,
            "showInPieChart": True,
            "locationId": office.id,
        }
        for o, office in enumerate(OFFICES)
        for p, name in enumerate(PIPELINES)
    ]


def calendars() -> list[Payload]:
    """Shape of ``CalendarDTO``."""
    return [
        {
            "id": calendar_id(o, c),
            "locationId": office.id,
            "groupId": calendar_group_id(o),
            "name": name,
            "description": f"{name} with one of our agents",
            "slug": f"{office.key}-{name.lower().replace(' ', '-')}",
            "calendarType": "round_robin",
            "eventType": "RoundRobin_OptimizeForAvailability",
            "slotDuration": 60,
            "slotDurationUnit": "mins",
            "isActive": True,
            "teamMembers": [
                {"userId": agent.id, "priority": 0.5} for agent in AGENTS if agent.office == o
            ],
        }
        for o, office in enumerate(OFFICES)
        for c, name in enumerate(CALENDARS)
    ]


def workflows() -> list[Payload]:
    """Shape of ``WorkflowSchema``."""
    return [
        {
            "id": stable_id(f"workflow:{office.key}:{name}"),
            "name": name,
            "status": status,
            "version": 1,
            "createdAt": SETUP_DATE,
            "updatedAt": SETUP_DATE,
            "locationId": office.id,
        }
        for office in OFFICES
        for name, status in WORKFLOWS
    ]


def custom_fields() -> list[Payload]:
    """Shape of the locations app's ``CustomFieldSchema``."""
    fields: list[Payload] = []
    for o, office in enumerate(OFFICES):
        for position, (key, (label, data_type)) in enumerate(CUSTOM_FIELDS.items()):
            field: Payload = {
                "id": field_id(o, key),
                "name": label,
                "fieldKey": f"contact.{key}",
                "placeholder": "",
                "dataType": data_type,
                "position": position * 50,
                "locationId": office.id,
                "model": "contact",
            }
            if key in _OPTIONS:
                field["picklistOptions"] = list(_OPTIONS[key])
            fields.append(field)
    return fields
