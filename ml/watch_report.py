"""The page that says how scores are doing: one file, no scripts, no personal data."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, select_autoescape

from ml.drift import LARGE, SCORE, Drift
from ml.ripened import Calibration

if TYPE_CHECKING:
    from collections.abc import Mapping

_SHOWN = 25


def render(
    as_of: datetime,
    baseline_as_of: datetime,
    version: str,
    rows: int,
    verdict: str,
    summary: str,
    drifts: Sequence[Drift],
    weights: "Mapping[str, float]",
    calibration: Calibration | None,
) -> str:
    """The report as HTML.

    Args:
        as_of: moment of the scores, UTC.
        baseline_as_of: moment of the scores that they are compared with.
        version: of the model.
        rows: leads looked at.
        verdict: as in ``ml.watch_runs``.
        summary: why.
        drifts: the score first, then the inputs, the most moved first.
        weights: per input its share of what moves scores.
        calibration: None while no label window is over.
    """
    return _template().render(
        as_of=as_of,
        baseline_as_of=baseline_as_of,
        version=version,
        rows=rows,
        verdict=verdict,
        summary=summary,
        drifts=drifts[:_SHOWN],
        left_out=max(0, len(drifts) - _SHOWN),
        weights=weights,
        calibration=calibration,
        large=LARGE,
        score=SCORE,
    )


@cache
def _template() -> Template:
    folder = Path(__file__).parent / "templates"
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("watch.html")
