"""A scorer on a loop of its own, for tests that have none."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from ml.online import OnlineScorer


class Scores:
    """Asks a scorer and, if not told otherwise, waits until what it gave is stored."""

    def __init__(self, scorer: OnlineScorer, runner: asyncio.Runner) -> None:
        self.scorer = scorer
        self._runner = runner

    def score(
        self, lead_id: str, as_of: datetime | None = None, *, wait: bool = True
    ) -> dict[str, Any]:
        answer = self._runner.run(self.scorer.score(lead_id, as_of))
        if wait:
            self.stored()
        return answer

    def stored(self) -> None:
        self._runner.run(self.scorer.stored())


@contextmanager
def running(scorer: OnlineScorer) -> Iterator[Scores]:
    """The scorer, entered and left."""
    with asyncio.Runner() as runner:
        runner.run(scorer.__aenter__())
        try:
            yield Scores(scorer, runner)
        finally:
            runner.run(scorer.__aexit__(None, None, None))
