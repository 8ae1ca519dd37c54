"""What a challenger must pass before it becomes champion; each refusal says why."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ml.evaluation import average_precision, brier, ece, paired_difference
from ml.fairness import PROTECTED, GroupAudit, audit
from ml.leaks import find_leaks
from ml.model import LeadModel
from ml.schema import Matrix

# Expected calibration error that is tolerated beyond what chance explains, overall and in a slice.
ECE_BOUND = 0.02
SLICE_ECE_BOUND = 0.05
LEAST_LEADS = 100
LEAST_SLICE_LEADS = 200
# The registered model and the online form may differ by no more.
PARITY = 1e-6
# How much worse, relative to the champion, a challenger may seem while chance explains it.
_TOLERANCE = 0.05


@dataclass(frozen=True)
class Check:
    """One gate.

    Attributes:
        gate: its name.
        passed: whether it lets the model through.
        said: what was found, in a sentence.
    """

    gate: str
    passed: bool
    said: str


@dataclass(frozen=True)
class Judging:
    """Rows of leads that no model was trained on.

    Attributes:
        frame: features.
        label: 0 or 1 per row.
        leads: who a row is of.
        slices: columns by which calibration is checked (source, agent); not features.
        stand_ins: columns of the fairness audit; not features.
    """

    frame: pd.DataFrame
    label: Matrix
    leads: "np.ndarray[Any, Any]"
    slices: pd.DataFrame = field(default_factory=pd.DataFrame)
    stand_ins: pd.DataFrame = field(default_factory=pd.DataFrame)


@dataclass(frozen=True)
class Verdict:
    """All gates of one challenger."""

    checks: tuple[Check, ...]
    groups: tuple[GroupAudit, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every gate let it through."""
        return all(check.passed for check in self.checks)

    @property
    def decision(self) -> str:
        """The verdict in a sentence or two."""
        if self.passed:
            return "Passed every gate. " + " ".join(check.said for check in self.checks[:2])
        refusals = [check for check in self.checks if not check.passed]
        return "Refused: " + " ".join(f"{check.gate}: {check.said}" for check in refusals)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "passed": self.passed,
            "decision": self.decision,
            "checks": [asdict(check) for check in self.checks],
            "fairness": [asdict(group) for group in self.groups],
        }


def compare(
    judging: Judging, score: Matrix, champion_score: Matrix, champion: str
) -> tuple[Check, ...]:
    """Not worse than the champion in Brier and average precision beyond the paired interval."""
    figures: tuple[tuple[str, Callable[[Matrix, Matrix], float], int], ...] = (
        ("Brier", brier, 1),
        ("average precision", average_precision, -1),
    )
    checks = []
    for name, figure, sign in figures:
        difference, (low, high) = paired_difference(
            judging.label, score, champion_score, figure, groups=judging.leads
        )
        surely = low > 0 if sign > 0 else high < 0
        far = sign * difference > _TOLERANCE * abs(figure(judging.label, champion_score))
        worse = surely or far
        said = (
            f"{'Worse' if worse else 'Not worse'} than {champion} in {name} on the same "
            f"{len(judging.label)} held-out rows: {difference:+.4f} (95 % interval {low:+.4f} to "
            f"{high:+.4f})."
        )
        checks.append(Check(name, not worse, said))
    return tuple(checks)


def calibration(judging: Judging, score: Matrix, seed: int = 7) -> Check:
    """Calibration error within the bound, beyond what chance explains.

    Noise alone gives an error above zero. What it gives is simulated: outcomes drawn from the
    scores themselves, all rows of a lead from one draw, since they share much of their fate. The
    error may exceed the bound by that noise, to two standard deviations. A few leads say nothing
    about it; locations that small go by the rules until their model has shown to be better
    (:mod:`ml.locations`).
    """
    leads = len(np.unique(judging.leads.astype(str)))
    if leads < LEAST_LEADS:
        said = f"Not judged: {leads} held-out leads, {LEAST_LEADS} are needed."
        return Check("calibration", True, said)
    return _calibrated("calibration", judging, score, None, ECE_BOUND, 2.0, seed)


def calibration_by_slice(judging: Judging, score: Matrix, seed: int = 7) -> tuple[Check, ...]:
    """The same per value of each slicing column with enough leads.

    There are many slices, so three standard deviations are chance here.
    """
    checks = []
    for name in judging.slices.columns:
        values = judging.slices[name].astype(object).fillna("").to_numpy()
        broken, seen = [], 0
        for value in sorted({str(v) for v in values if v != ""}):
            rows = values == value
            if len(np.unique(judging.leads[rows])) < LEAST_SLICE_LEADS:
                continue
            seen += 1
            check = _calibrated(value, judging, score, rows, SLICE_ECE_BOUND, 3.0, seed)
            if not check.passed:
                broken.append(f"{value}: {check.said}")
        said = " ".join(broken) or f"Within the bound in {seen} with enough leads."
        checks.append(Check(f"calibration by {name}", not broken, said))
    return tuple(checks)


def _calibrated(
    name: str,
    judging: Judging,
    score: Matrix,
    rows: "np.ndarray[Any, Any] | None",
    bound: float,
    deviations: float,
    seed: int,
) -> Check:
    s = score if rows is None else score[rows]
    y = judging.label if rows is None else judging.label[rows]
    leads = judging.leads if rows is None else judging.leads[rows]
    _, place = np.unique(leads.astype(str), return_inverse=True)
    random = np.random.default_rng(seed)
    noise = [
        ece((random.random(place.max() + 1)[place] < s).astype(np.float64), s) for _ in range(100)
    ]
    limit = bound + float(np.mean(noise) + deviations * np.std(noise))
    error = ece(y, s)
    said = (
        f"ECE {error:.4f} on {len(y)} rows; the limit is {limit:.4f} ({bound} and what chance "
        f"adds). Mean score {s.mean():.3f}, share converted {y.mean():.3f}."
    )
    return Check(name, error <= limit, said)


def fairness(
    judging: Judging, score: Matrix, model: LeadModel
) -> tuple[Check, tuple[GroupAudit, ...]]:
    """No stand-in for a protected trait is a feature, and the score stands for none."""
    used = [
        name
        for name in model.schema.names
        if name.lower().replace(" ", "_") in PROTECTED or name in judging.stand_ins.columns
    ]
    groups = tuple(audit(judging.label, score, judging.leads, judging.stand_ins))
    breaches = [group.breach for group in groups if group.breach]
    if used:
        breaches.insert(0, f"the feature {', '.join(map(repr, used))} is a protected stand-in")
    if breaches:
        return Check("fairness", False, f"{'; '.join(breaches[:3])}."), groups
    return Check("fairness", True, f"{len(groups)} groups are within the bounds."), groups


def leaks(
    frame: pd.DataFrame,
    label: Matrix,
    leads: "np.ndarray[Any, Any]",
    model: LeadModel,
    allow: Sequence[str] = (),
) -> Check:
    """No feature gives the outcome away, unless it is allowed by name.

    Args:
        frame: the training rows, each as of a moment of its own.
        label, leads: of those rows.
        model: only what it uses is looked at.
        allow: features that may.
    """
    found = [
        leak
        for leak in find_leaks(frame[list(model.schema.names)], label, leads, as_of_known=True)
        if leak.column not in allow
    ]
    if found:
        said = " ".join(
            f"{leak.column!r} gives the outcome away. {leak.evidence}" for leak in found[:3]
        )
        return Check("leak guard", False, said)
    return Check("leak guard", True, "No feature gives the outcome away.")


def parity(registered: Matrix, online: Matrix) -> Check:
    """The online form gives what the registered model gives."""
    apart = float(np.max(np.abs(registered - online))) if len(online) else 0.0
    said = f"The online form differs from the registered model by {apart:.1e} at most"
    return Check("online parity", apart <= PARITY, f"{said} on {len(online)} rows.")
