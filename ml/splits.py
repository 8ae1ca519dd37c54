"""Which rows train and which judge."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from ml.fitting import LEAST_OUTCOMES, TooFewOutcomesError
from ml.schema import Matrix

Mask = np.ndarray[Any, np.dtype[np.bool_]]

FLAT_TEST_SHARE = 0.2
HELD_OUT_LEADS = 0.25
_LEAST_TEST_OUTCOMES = 5


@dataclass(frozen=True)
class Split:
    """Training and judging rows.

    Attributes:
        train, test: masks over the rows; rows in neither are left out (purged).
        kind: ``time``, ``lead`` or ``random``.
        test_from: where the judging period begins, for a time split.
    """

    train: Mask
    test: Mask
    kind: str
    test_from: pd.Timestamp | None = None

    def describe(self) -> dict[str, Any]:
        """For reports: kind, rows and the start of the judging period."""
        return {
            "kind": self.kind,
            "rows_train": int(self.train.sum()),
            "rows_test": int(self.test.sum()),
            "test_from": None if self.test_from is None else self.test_from.isoformat(),
        }


def held_out(leads: "np.ndarray[Any, Any]", share: float = HELD_OUT_LEADS) -> Mask:
    """Which rows belong to leads that no model is ever trained on.

    Decided by a digest of the lead's id alone, so that champion and challenger, trained months
    apart, can be judged on the same leads and neither has seen them.
    """
    names, place = np.unique(leads.astype(str), return_inverse=True)
    digests = (hashlib.blake2b(n.encode(), digest_size=8).digest() for n in names)
    part = np.array([int.from_bytes(d, "big") / 2**64 for d in digests])
    return np.asarray((part < share)[place])


def split_by_time(
    times: "pd.Series[Any]",
    label: Matrix,
    leads: "np.ndarray[Any, Any]",
    *,
    window: timedelta = timedelta(0),
    test_share: float = 0.25,
    hold_out_leads: bool | None = None,
) -> Split:
    """The latest rows judge; earlier ones train if their outcome was known by then.

    A training row's label looks ``window`` ahead of its time, so rows whose window reaches into
    the judging period are purged. Held-out leads judge and only the others train, so that no
    lead is on both sides.

    Args:
        times: aware or naive timestamp per row, none missing.
        label: 0 or 1 per row.
        leads: the lead per row.
        window: how far the label looks ahead.
        test_share: share of rows, by time, from which the judging period is taken.
        hold_out_leads: whether leads are held out; None means where a lead has several rows.

    Raises:
        TooFewOutcomesError: no cut leaves enough outcomes on both sides.
    """
    stamps = times.reset_index(drop=True)
    ordered = stamps.sort_values()
    if hold_out_leads is None:
        hold_out_leads = len(np.unique(leads.astype(str))) < len(leads)
    outside = held_out(leads) if hold_out_leads else None
    # A short history may leave too few outcomes after the usual cut; earlier cuts are tried.
    for share in (test_share, 0.35, 0.5, 0.65):
        cut = pd.Timestamp(ordered.iloc[min(int((1 - share) * len(ordered)), len(ordered) - 1)])
        late = np.asarray(stamps >= cut)
        early = np.asarray(stamps + window < cut) if window else ~late
        test = late & outside if outside is not None else late
        train = early & ~outside if outside is not None else early
        if _enough(label[train], LEAST_OUTCOMES) and _enough(label[test], _LEAST_TEST_OUTCOMES):
            return Split(train, test, "time", cut)
    raise TooFewOutcomesError(
        "The rows cannot be split by time: the earlier part or the later one has too few of "
        f"either outcome (of {len(label)} rows {int(label.sum())} converted).",
        remedy="Give a longer history with more outcomes.",
    )


def split_by_lead(label: Matrix, leads: "np.ndarray[Any, Any]") -> Split:
    """Held-out leads judge, whenever their rows are; the fallback where time is too short.

    Raises:
        TooFewOutcomesError: too few of either outcome on one side.
    """
    test = held_out(leads)
    if not (_enough(label[~test], LEAST_OUTCOMES) and _enough(label[test], 1)):
        raise _too_few(label)
    return Split(~test, test, "lead")


def split_at_random(
    label: Matrix, leads: "np.ndarray[Any, Any]", seed: int, share: float = FLAT_TEST_SHARE
) -> Split:
    """A stratified hold-out; a lead's rows stay together.

    Raises:
        TooFewOutcomesError: too few of either outcome on one side.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    parts = round(1 / share)
    target = label.astype(np.int64)
    if min(target.sum(), len(target) - target.sum()) < LEAST_OUTCOMES + 1:
        raise _too_few(label)
    _, place = np.unique(leads.astype(str), return_inverse=True)
    if place.max() + 1 == len(label):
        splitter = StratifiedKFold(parts, shuffle=True, random_state=seed)
        _, rows = next(iter(splitter.split(target, target)))
    else:
        grouped = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
        _, rows = next(iter(grouped.split(target, target, place)))
    test = np.zeros(len(label), dtype=np.bool_)
    test[rows] = True
    if not (_enough(label[~test], LEAST_OUTCOMES) and _enough(label[test], 1)):
        raise _too_few(label)
    return Split(~test, test, "random")


def _enough(label: Matrix, least: int) -> bool:
    return bool(min(label.sum(), len(label) - label.sum()) >= least)


def _too_few(label: Matrix) -> TooFewOutcomesError:
    return TooFewOutcomesError(
        f"Of {len(label)} rows {int(label.sum())} converted: too few of one outcome to train on "
        "some and judge on others.",
        remedy=f"Give at least {2 * LEAST_OUTCOMES} rows of each outcome.",
    )
