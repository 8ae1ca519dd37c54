"""The hidden process: probabilities that hold, and events that let a model find them."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections import defaultdict
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from leadengine.errors import LeadEngineError
from providers.sandbox.simulation import Brokerage, chain, generate
from tests.providers.sandbox.simulation_views import (
    ANCHOR,
    HORIZON,
    instant,
    last_versions,
    midnight,
    visible_conversions,
    whole,
)

Matrix = npt.NDArray[np.float64]


@cache
def _brokerage(seed: int) -> Brokerage:
    return generate(seed, 3000, ANCHOR)


@pytest.fixture(scope="module")
def brokerage() -> Brokerage:
    return _brokerage(7)


def _labels(
    conversions: dict[str, dt.datetime], contacts: list[str], as_of: dt.datetime
) -> npt.NDArray[np.bool_]:
    never = as_of - dt.timedelta(days=1)
    return np.array([as_of < conversions.get(c, never) <= as_of + HORIZON for c in contacts])


def test_true_probabilities_hold(brokerage: Brokerage) -> None:
    """Within each decile of truth, outcomes differ from it by no more than chance allows."""
    pooled: list[tuple[float, bool]] = []
    for seed in (7, 8, 9):
        sample = _brokerage(seed)
        seen = visible_conversions(sample)
        for days in (400, 330, 260, 190, 120, 60):  # further apart than the horizon
            as_of = midnight(days) + dt.timedelta(hours=15 * (days % 20 == 0))
            truth = sample.truth.propensities(as_of)
            labels = _labels(seen, list(truth), as_of)
            pooled += zip(truth.values(), labels.tolist(), strict=True)
    p = np.array([truth for truth, _ in pooled])
    y = np.array([label for _, label in pooled])
    edges = np.quantile(p, np.linspace(0, 1, 11))
    bins = np.clip(np.searchsorted(edges, p, side="right") - 1, 0, 9)
    for b in range(10):
        inside = bins == b
        error = np.sqrt((p[inside] * (1 - p[inside])).sum())
        assert abs(y[inside].sum() - p[inside].sum()) < 3.5 * error, b
    whole_error = np.sqrt((p * (1 - p)).sum())
    assert abs(y.sum() - p.sum()) < 3 * whole_error


def test_base_rate_and_separation_are_as_promised(brokerage: Brokerage) -> None:
    rates, scores, weights = [], [], []
    for days in range(60, 420, 60):
        p = np.array(list(brokerage.truth.propensities(midnight(days)).values()))
        rates.append(p.mean())
        scores += [p, p]
        weights += [np.stack([np.ones(len(p)), p]), np.stack([np.zeros(len(p)), 1 - p])]
    assert all(0.07 < rate < 0.13 for rate in rates), rates
    score, (label, weight) = np.concatenate(scores), np.concatenate(weights, axis=1)
    expected_auc = roc_auc_score(label, score, sample_weight=weight)
    assert 0.85 < expected_auc < 0.91


def test_visible_outcomes_are_the_hidden_conversions(brokerage: Brokerage) -> None:
    hidden, seen = brokerage.truth.conversions(), visible_conversions(brokerage)
    settled = {
        contact: at for contact, at in hidden.items() if at < midnight(-14) - dt.timedelta(days=5)
    }
    assert len(settled) > 300
    assert {contact: seen[contact] for contact in settled} == settled
    assert seen.keys() <= hidden.keys()


def test_only_the_known_and_open_have_a_probability(brokerage: Brokerage) -> None:
    as_of = midnight(90) + dt.timedelta(hours=19)
    truth = brokerage.truth.propensities(as_of)
    states = brokerage.truth.states(as_of)
    assert truth.keys() == states.keys()
    conversions = brokerage.truth.conversions()
    closed = {
        record.payload["contactId"]
        for record in whole(brokerage, "opportunity")
        if record.payload is not None
        and record.known_at <= as_of
        and record.payload["status"] != "open"
    }
    created = {
        record.id: record.known_at
        for record in reversed(whole(brokerage, "contact"))
        if record.payload is not None
    }
    assert truth
    for contact in truth:
        assert created[contact] <= as_of
        assert contact not in closed
        assert contact not in conversions or conversions[contact] > as_of
    assert set(states.values()) <= set(chain.STATE_NAMES[: chain.TRANSIENT])


def test_probabilities_are_the_chain_multiplied_out() -> None:
    """Against a plain simulation of one class, state by state."""
    classes = chain.build_classes(np.array([0.3]), np.array([1]))
    exact = chain.daily_conversions(classes)[: chain.HORIZON_DAYS, 0].sum(axis=0)
    rng = np.random.default_rng(0)
    people = 40_000
    for state in (chain.NEW, chain.ACTIVE, chain.HOT, chain.DORMANT, chain.BOOKED_1 + 3):
        at = np.full(people, state)
        for _ in range(chain.HORIZON_DAYS):
            moving = np.flatnonzero(at < chain.TRANSIENT)
            steps = classes.steps[0, at[moving]]
            at[moving] = (rng.random(len(moving))[:, None] >= steps).sum(axis=1)
        share = (at == chain.CONVERTED).mean()
        tolerance = 4 * np.sqrt(exact[state] * (1 - exact[state]) / people)
        assert abs(share - exact[state]) < tolerance


def test_fast_answers_raise_the_chance() -> None:
    speeds = np.arange(len(chain.SPEED_FACTOR))
    classes = chain.build_classes(np.zeros(len(speeds)), speeds)
    chances = chain.daily_conversions(classes)[:60, :, chain.NEW].sum(axis=0)
    assert list(chances) == sorted(chances, reverse=True)
    assert chances[0] > 1.5 * chances[-1]


@pytest.mark.parametrize(
    ("as_of", "said"),
    [
        (dt.datetime(2025, 6, 1), "no time zone"),  # noqa: DTZ001 - that is the point
        (midnight(600), "outside of the simulated period"),
        (midnight(-20), "outside of the simulated period"),
    ],
)
def test_impossible_instants_are_named(brokerage: Brokerage, as_of: dt.datetime, said: str) -> None:
    with pytest.raises(LeadEngineError, match=said):
        brokerage.truth.propensities(as_of)
    with pytest.raises(LeadEngineError, match=said):
        brokerage.truth.states(as_of)


class _History:
    """Everything visible of a brokerage, by contact and kind of event, in days."""

    KINDS = (
        "text or mail in",
        "call in",
        "talked",
        "not reached",
        "clicked",
        "opened",
        "unopened",
        "out",
    )

    def __init__(self, brokerage: Brokerage, codes: dict[str, dict[str, int]]) -> None:
        self.events: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for message in last_versions(brokerage, "message").values():
            for kind in self._kinds(message):
                late = kind in ("clicked", "opened")
                at = instant(message["dateUpdated" if late else "dateAdded"])
                self.events[message["contactId"]][kind].append(at.timestamp() / 86400)
        self.contacts = last_versions(brokerage, "contact")
        self.appointments: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for appointment in last_versions(brokerage, "appointment").values():
            end = instant(appointment["startTime"])
            if appointment["appointmentStatus"] == "cancelled":
                end = min(end, instant(appointment["dateUpdated"]))
            booked = instant(appointment["dateAdded"]).timestamp() / 86400
            self.appointments[appointment["contactId"]].append((booked, end.timestamp() / 86400))
        for kinds in self.events.values():
            for times in kinds.values():
                times.sort()
        self.codes = codes
        self.intake = {id_: self._intake(contact) for id_, contact in self.contacts.items()}
        self.added = {
            id_: instant(contact["dateAdded"]).timestamp() / 86400
            for id_, contact in self.contacts.items()
        }

    @staticmethod
    def _kinds(message: dict[str, Any]) -> list[str]:
        if message["type"] not in (1, 2, 3):
            return []
        if message["direction"] == "inbound":
            return ["call in" if message["type"] == 1 else "text or mail in"]
        if message["type"] == 1:
            return ["talked" if message["status"] == "connected" else "not reached", "out"]
        status = str(message["status"])
        if message["type"] == 3:
            return [status if status in ("clicked", "opened") else "unopened", "out"]
        return ["out"]

    def _intake(self, contact: dict[str, Any]) -> list[float]:
        """What was known at arrival, as numbers."""
        values = [value["value"] for value in contact["customFields"]]
        row = [
            float(self.codes[field].setdefault(contact[field], len(self.codes[field])))
            for field in ("source", "assignedTo")
        ]
        answers = ("0-3 months", "3-6 months", "6-12 months", "12+ months", "sell", "both")
        row += [float(answer in values) for answer in answers]
        prices = [float(value) for value in values if value.isdigit() and len(value) > 4]
        return [*row, max(prices, default=0.0)]

    def features(self, contact_id: str, day: float) -> list[float]:
        row = list(self.intake[contact_id])
        for kind in self.KINDS:
            times = self.events[contact_id][kind]
            until = bisect_right(times, day)
            row.append(min(day - times[until - 1], 365.0) if until else 400.0)
            row += [float(until - bisect_right(times, day - window)) for window in (7, 14, 30, 90)]
        row.append(day - self.added[contact_id])
        pending = [end - day for made, end in self.appointments[contact_id] if made <= day < end]
        row.append(min(pending, default=-1.0))
        return row


def _dataset(
    brokerage: Brokerage, history: _History, days: range
) -> tuple[Matrix, npt.NDArray[np.bool_], Matrix]:
    seen = visible_conversions(brokerage)
    rows, labels, truths = [], [], []
    for back in days:
        as_of = midnight(back)
        truth = {
            c: p
            for c, p in brokerage.truth.propensities(as_of).items()
            if c in history.contacts  # the deleted cannot be looked at afterwards
        }
        labels.append(_labels(seen, list(truth), as_of))
        truths.append(np.array(list(truth.values())))
        rows += [history.features(c, as_of.timestamp() / 86400) for c in truth]
    return np.array(rows), np.concatenate(labels), np.concatenate(truths)


def test_a_plain_model_on_visible_events_comes_near_the_truth() -> None:
    train, test = _brokerage(8), _brokerage(9)
    codes: dict[str, dict[str, int]] = defaultdict(dict)
    x, y, _ = _dataset(train, _History(train, codes), range(60, 420, 24))
    x_new, y_new, truth = _dataset(test, _History(test, codes), range(60, 420, 60))
    model = HistGradientBoostingClassifier(
        max_iter=200,
        learning_rate=0.03,
        max_leaf_nodes=8,
        min_samples_leaf=100,
        l2_regularization=20,
        random_state=0,
    )
    score = model.fit(x, y).predict_proba(x_new)[:, 1]
    assert roc_auc_score(y_new, score) > roc_auc_score(y_new, truth) - 0.035
    # Expected Brier score above that of the truth itself, relative to it.
    excess = ((score - truth) ** 2).mean() / (truth * (1 - truth)).mean()
    assert excess < 0.08
