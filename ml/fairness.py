"""The fairness audit: scores beside what no score may stand for.

The audit set holds stand-ins for protected traits (postal area for descent, first name for descent
and sex). They are never features; here they are held against the scores of leads that no model was
trained on. Two things are asked of each group that is large enough: can the score tell its members
from all others, and does the score mean for them what it means for all?

Sources: the four-fifths rule of 29 CFR 1607.4(D) for shares among the chosen; calibration within
groups after Kleinberg, Mullainathan and Raghavan (2016).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ml.evaluation import roc_auc
from ml.schema import Matrix, is_empty, normalise

# Whose members a score tells apart with an area beyond these stands for the group.
MOST_PREDICTABLE = 0.10
# Mean score less share converted, in one group beside all the others.
LARGEST_GAP = 0.05
LEAST_LEADS = 100
# Chance must not refuse a model: a breach counts beyond so many standard errors.
_ERRORS = 3.5

# Column names that stand for a protected trait, wherever they turn up as features.
PROTECTED = frozenset(
    {
        "first_name", "last_name", "full_name", "postal_code", "postcode", "zip", "zip_code",
        "postal_area", "gender", "sex", "age", "date_of_birth", "race", "ethnicity", "religion",
        "nationality", "national_origin", "marital_status", "familial_status", "disability",
        "language",
    }
)  # fmt: skip


@dataclass(frozen=True)
class GroupAudit:
    """One group of one stand-in.

    Attributes:
        stand_in: the column of the audit set.
        group: its value.
        leads: members among the judged leads.
        area: how well the score tells members from the others; 0.5 is not at all.
        top_share_ratio: members' share in the top fifth relative to all leads' (four-fifths rule);
            reported, and no gate: groups may convert differently.
        gap: mean score less share converted, less the same of the others.
        breach: what is out of bounds, or None.
    """

    stand_in: str
    group: str
    leads: int
    area: float
    top_share_ratio: float
    gap: float
    breach: str | None = None


def audit_groups(stand_in: str, column: "pd.Series[Any]") -> "np.ndarray[Any, Any]":
    """The group per row, empty where unknown; postal codes by their first three characters."""
    texts = ["" if is_empty(value) else normalise(value) for value in column]
    if "postal" in stand_in or "zip" in stand_in:
        texts = [text[:3] for text in texts]
    return np.array(texts, dtype=object)


def audit(
    label: Matrix, score: Matrix, leads: "np.ndarray[Any, Any]", stand_ins: pd.DataFrame
) -> list[GroupAudit]:
    """Audits every group with at least ``LEAST_LEADS`` judged leads, and as many others.

    Args:
        label: 0 or 1 per row.
        score: probability per row.
        leads: who a row is of; of each the last row counts.
        stand_ins: a row per row, one column per stand-in.
    """
    _, place = np.unique(leads.astype(str), return_inverse=True)
    last = np.full(place.max() + 1, -1)
    last[place] = np.arange(len(place))
    y, s = label[last], score[last]
    top = s >= np.quantile(s, 0.8)
    found = []
    for name in stand_ins.columns:
        groups = audit_groups(str(name), stand_ins[name].iloc[last])
        known = groups != ""
        for group, count in zip(*np.unique(groups[known], return_counts=True), strict=True):
            inside = (groups == group)[known]
            if count < LEAST_LEADS or len(inside) - count < LEAST_LEADS:
                continue
            found.append(_audit(str(name), str(group), inside, y[known], s[known], top[known]))
    return found


def _audit(
    stand_in: str,
    group: str,
    inside: "np.ndarray[Any, Any]",
    label: Matrix,
    score: Matrix,
    top: "np.ndarray[Any, Any]",
) -> GroupAudit:
    members, others = float(inside.sum()), float((~inside).sum())
    area = roc_auc(inside.astype(np.float64), score)
    area_error = np.sqrt((members + others + 1) / (12 * members * others))
    off = score - label
    gap = float(off[inside].mean() - off[~inside].mean())
    gap_error = np.sqrt(off[inside].var() / members + off[~inside].var() / others)
    breach = None
    if abs(area - 0.5) - _ERRORS * area_error > MOST_PREDICTABLE:
        breach = (
            f"the score predicts {stand_in}: it tells {group!r} from the others with a ROC AUC of "
            f"{area:.3f}, and {0.5 - MOST_PREDICTABLE:.1f} to {0.5 + MOST_PREDICTABLE:.1f} is the "
            "bound"
        )
    elif abs(gap) - _ERRORS * gap_error > LARGEST_GAP:
        breach = (
            f"for {group!r} of {stand_in} the score is off by {gap:+.3f} beside the others, and "
            f"{LARGEST_GAP} is the bound"
        )
    return GroupAudit(
        stand_in=stand_in,
        group=group,
        leads=int(members),
        area=float(area),
        top_share_ratio=float(top[inside].mean() / max(top.mean(), 1e-9)),
        gap=gap,
        breach=breach,
    )
