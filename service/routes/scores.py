"""One lead's score, now."""

from typing import Any

from fastapi import APIRouter, HTTPException

from ml.scoring import UnknownLeadError, score_lead
from service.dependencies import Authorised, DatabaseDependency, SettingsDependency

router = APIRouter(prefix="/api", tags=["scores"])


@router.post("/leads/{lead_id}/score", dependencies=[Authorised])
def score(
    lead_id: str, database: DatabaseDependency, settings: SettingsDependency
) -> dict[str, Any]:
    """Computes the lead's features and scores them with the champion."""
    try:
        return score_lead(database, settings, lead_id)
    except UnknownLeadError as error:
        raise HTTPException(404, error.message) from error
