"""One lead's score, now."""

import asyncio

import orjson
from fastapi import APIRouter, HTTPException, Request, Response

from ml.one_lead import UnknownLeadError
from service.dependencies import authorise

# Longer than the scorer waits for a connection. What is not done by then is given up, so that a
# database that was away is not met by the requests of those who have left.
PATIENCE_SECONDS = 10.0

router = APIRouter(prefix="/api", tags=["scores"])


@router.post("/leads/{lead_id}/score")
async def score(lead_id: str, request: Request) -> Response:
    """Computes the lead's features, scores them with the champion, and stores the score.

    On the event loop: the database is awaited, never waited for, and only the model's own time
    holds up other requests.
    """
    authorise(request)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            answer = await request.app.state.scorer.score(lead_id)
    except TimeoutError as error:
        raise HTTPException(503, "More scores are asked for than can be answered.") from error
    except UnknownLeadError as error:
        raise HTTPException(404, error.message) from error
    # A hundred features through FastAPI's own encoder take longer than the score itself.
    return Response(orjson.dumps(answer), media_type="application/json")
