"""When writing to the CRM has to stop, and how its errors are told."""

from __future__ import annotations

from activation.types import WritebackReport
from leadengine.errors import LeadEngineError
from providers.errors import ProviderError, Rejected

_MOST_ERRORS_SHOWN = 10


class WritebackHalted(LeadEngineError):  # noqa: N818 - it is a stop, not a fault of ours
    """The CRM refuses our token, so writing stopped; the rest is written next time."""


def halt_if_refused(error: ProviderError) -> None:
    """Stops where the CRM refuses our token: nothing else would be taken either.

    Raises:
        WritebackHalted: it does.
    """
    if isinstance(error, Rejected) and error.status in {401, 403}:
        raise WritebackHalted(
            f"Writing to the CRM stopped, since it refuses our token: {error.message}",
            remedy="Correct the location's token; what was not written waits.",
        ) from error


def add_error(report: WritebackReport, error: str | None) -> None:
    """Adds an error to a report, up to a number that can be read."""
    if error and len(report.errors) < _MOST_ERRORS_SHOWN:
        report.errors.append(error)
