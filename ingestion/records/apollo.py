"""Apollo's entities (API v1)."""

from ingestion.fields import Flag, Key, Known, LowerKey, Record, Text


class Person(Record):
    """What Apollo knows of a contact; ``matched`` is false when it knows nobody by that address.

    Such an answer is kept as well, so that no credit is spent on asking again.
    """

    email: LowerKey
    location_id: Key
    contact_id: Key
    apollo_id: Text = None
    title: Text = None
    organization_name: Text = None
    city: Text = None
    state: Text = None
    country: Text = None
    matched: Flag = None
    fetched_at: Known
