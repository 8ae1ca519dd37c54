"""One lead's score, now."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.routing import APIRoute

from ml.one_lead import UnknownLeadError
from service.dependencies import authorise

# Longer than the scorer waits for a connection. What is not done by then is given up, so that a
# database that was away is not met by the requests of those who have left.
PATIENCE_SECONDS = 10.0

_LEAD_ID = {"name": "lead_id", "in": "path", "required": True, "schema": {"type": "string"}}


class PlainRoute(APIRoute):
    """A route whose function is given the request and gives the response.

    What FastAPI does in between is for a body and parameters that there are not.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The function itself."""
        return self.endpoint


router = APIRouter(prefix="/api", tags=["scores"], route_class=PlainRoute)


@router.post("/leads/{lead_id}/score", openapi_extra={"parameters": [_LEAD_ID]})
async def score(request: Request) -> Response:
    """Computes the lead's features, scores them with the champion, and stores the score.

    On the event loop: the database is awaited, never waited for, and only the model's own time
    holds up other requests.
    """
    authorise(request)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            answer = await request.app.state.scorer.score(request.path_params["lead_id"])
    except TimeoutError as error:
        raise HTTPException(503, "More scores are asked for than can be answered.") from error
    except UnknownLeadError as error:
        raise HTTPException(404, error.message) from error
    # A hundred features through FastAPI's own encoder take longer than the score itself.
    return Response(orjson.dumps(answer), media_type="application/json")
