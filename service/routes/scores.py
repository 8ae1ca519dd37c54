"""One lead's score, now."""

import asyncio

import orjson
from fastapi import APIRouter, HTTPException, Request, Response

from ml.online import UnknownLeadError
from service.dependencies import authorise

# Longer than the scorer waits for a connection. What has not begun by then never does, so that a
# database that was away is not met by the requests of those who have left.
PATIENCE_SECONDS = 10.0

router = APIRouter(prefix="/api", tags=["scores"])


@router.post("/leads/{lead_id}/score")
async def score(lead_id: str, request: Request) -> Response:
    """Computes the lead's features, scores them with the champion, and stores the score.

    Threads of its own: they are as many as the scorer has connections, and no slow route is before
    a score in their queue.
    """
    authorise(request)
    state = request.app.state
    loop = asyncio.get_running_loop()
    try:
        answer = await asyncio.wait_for(
            loop.run_in_executor(state.scoring_threads, state.scorer.score, lead_id),
            PATIENCE_SECONDS,
        )
    except TimeoutError as error:
        raise HTTPException(503, "More scores are asked for than can be answered.") from error
    except UnknownLeadError as error:
        raise HTTPException(404, error.message) from error
    # A hundred features through FastAPI's own encoder take longer than the score itself.
    return Response(orjson.dumps(answer), media_type="application/json")
