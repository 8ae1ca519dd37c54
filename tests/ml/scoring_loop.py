"""A scorer on a loop of its own, for tests that have none."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

from ml.online import OnlineScorer

T = TypeVar("T")


class Scores:
    """Asks a scorer and, if not told otherwise, waits until what it gave is stored."""

    def __init__(self, scorer: OnlineScorer, loop: asyncio.AbstractEventLoop) -> None:
        self.scorer = scorer
        self._loop = loop

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """What the coroutine gives, on the scorer's loop, which runs all the time."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    def score(
        self, lead_id: str, as_of: datetime | None = None, *, wait: bool = True
    ) -> dict[str, Any]:
        answer = self.run(self.scorer.score(lead_id, as_of))
        if wait:
            self.stored()
        return answer

    def stored(self) -> None:
        self.run(self.scorer.stored())


@contextmanager
def running(scorer: OnlineScorer) -> Iterator[Scores]:
    """The scorer, entered and left."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    scores = Scores(scorer, loop)
    try:
        scores.run(scorer.__aenter__())
        try:
            yield scores
        finally:
            scores.run(scorer.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
