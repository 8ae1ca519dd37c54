"""What is written to HighLevel, and the client as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from providers.core import ONE_TRY, Kind
from providers.ghl.reading import GhlReader
from providers.ghl.transport import any_object, iso, object_in, segment
from providers.http import JsonObject

TAG_CHUNK = 100


class GhlClient(GhlReader):
    """One location of HighLevel, reading and writing.

    Writes raise :class:`providers.errors.Unknown` when the effect may have happened; those that
    set a state (custom fields, tags, upsert) were then already tried several times, those that
    make something (note, task, field, enrollment) once.
    """

    def ping(self) -> None:
        """One cheap authenticated call, not repeated.

        Raises:
            ProviderError: says whether the address, the token or the provider is the trouble.
        """
        path = f"/locations/{segment(self.location_id)}"
        self._call("ping", Kind.READ, "GET", path, object_in("location"), policy=ONE_TRY)

    def update_contact(
        self, contact_id: str, custom_fields: Mapping[str, str | int | float | bool]
    ) -> None:
        """Sets custom fields, given by the fields' ids, and leaves all else as it is."""
        fields = [{"id": key, "field_value": str(value)} for key, value in custom_fields.items()]
        self._call(
            "update_contact",
            Kind.IDEMPOTENT,
            "PUT",
            f"/contacts/{segment(contact_id)}",
            any_object,
            body={"customFields": fields},
        )

    def create_custom_field(self, name: str, data_type: str = "TEXT") -> JsonObject:
        """Defines a custom field of contacts.

        Raises:
            Unknown: it may exist now; look in :meth:`list_custom_fields`.
        """
        return self._call(
            "create_custom_field",
            Kind.ONCE,
            "POST",
            f"/locations/{segment(self.location_id)}/customFields",
            object_in("customField"),
            body={"name": name, "dataType": data_type, "model": "contact"},
        )

    def bulk_tags(
        self, change: Literal["add", "remove"], contact_ids: Sequence[str], tags: Sequence[str]
    ) -> int:
        """Adds tags to contacts or removes them, 100 contacts a request.

        Returns:
            How many of them the provider says it could not change.
        """
        errors = 0
        for start in range(0, len(contact_ids), TAG_CHUNK):
            answer = self._call(
                f"bulk_tags_{change}",
                Kind.IDEMPOTENT,
                "POST",
                f"/contacts/bulk/tags/update/{change}",
                any_object,
                body={
                    "contacts": list(contact_ids[start : start + TAG_CHUNK]),
                    "tags": list(tags),
                    "locationId": self.location_id,
                },
            )
            errors += int(answer.get("errorCount") or 0)
        return errors

    def add_note(self, contact_id: str, body: str, user_id: str | None = None) -> JsonObject:
        """Adds a note to a contact."""
        payload: JsonObject = {"body": body}
        if user_id is not None:
            payload["userId"] = user_id
        return self._call(
            "add_note",
            Kind.ONCE,
            "POST",
            f"/contacts/{segment(contact_id)}/notes",
            object_in("note"),
            body=payload,
        )

    def create_task(
        self,
        contact_id: str,
        title: str,
        due: datetime,
        *,
        body: str | None = None,
        assigned_to: str | None = None,
    ) -> JsonObject:
        """Creates an open task for a contact.

        Raises:
            Unknown: it may have been created; look in :meth:`iter_tasks`.
        """
        payload: JsonObject = {"title": title, "dueDate": iso(due), "completed": False}
        if body is not None:
            payload["body"] = body
        if assigned_to is not None:
            payload["assignedTo"] = assigned_to
        return self._call(
            "create_task",
            Kind.ONCE,
            "POST",
            f"/contacts/{segment(contact_id)}/tasks",
            object_in("task"),
            body=payload,
        )

    def upsert_contact(self, **fields: Any) -> JsonObject:
        """Creates a contact, or updates the one with the same email or phone.

        Args:
            fields: by the contract's names: ``firstName``, ``email``, ``phone``, ``tags``, ...

        Raises:
            Unknown: also with status 422, which does not exclude that the contact was created;
                ``reference`` is then its id, where the answer tells it.
        """
        return self._call(
            "upsert_contact",
            Kind.IDEMPOTENT,
            "POST",
            "/contacts/upsert",
            object_in("contact"),
            body={"locationId": self.location_id, **fields},
            unclear=422,
        )

    def add_to_workflow(self, contact_id: str, workflow_id: str) -> None:
        """Enrolls a contact in a workflow."""
        self._call(
            "add_to_workflow",
            Kind.ONCE,
            "POST",
            f"/contacts/{segment(contact_id)}/workflow/{segment(workflow_id)}",
            any_object,
            body={},
        )
