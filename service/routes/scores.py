"""One lead's score, now."""

import orjson
from fastapi import APIRouter, HTTPException, Response

from ml.online import UnknownLeadError
from service.dependencies import Authorised, ScorerDependency

router = APIRouter(prefix="/api", tags=["scores"])


@router.post("/leads/{lead_id}/score", dependencies=[Authorised])
def score(lead_id: str, scorer: ScorerDependency) -> Response:
    """Computes the lead's features, scores them with the champion, and stores the score."""
    try:
        answer = scorer.score(lead_id)
    except UnknownLeadError as error:
        raise HTTPException(404, error.message) from error
    # A hundred features through FastAPI's own encoder take longer than the score itself.
    return Response(orjson.dumps(answer), media_type="application/json")
