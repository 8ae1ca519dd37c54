"""Few outcomes: rates of locations that are held towards a prior, and the rules score.

A location's rate of conversion is a draw from what rates locations have at all. That distribution
is learnt from all locations together (a beta-binomial hierarchy, its two figures integrated over a
grid rather than fixed at their best guess), on top of the documented prior of ``rules_score.yml``
which alone speaks while there is no data. Intervals are the 90 % ones of the posterior.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from scipy import special, stats

from leadengine.errors import LeadEngineError
from ml.calibration import logit, sigmoid
from ml.schema import Matrix, normalise

LEVEL = 0.90
_FILE = Path(__file__).with_name("rules_score.yml")
_MEANS, _STRENGTHS, _RATES = 31, 13, 250
# Chosen on generated brokerages, whose accounts differ in mix and size: 90 % then hold 90 %.
_OF_SPREAD = 0.06
_RULE_KEYS = {"feature", "from", "upto", "values", "missing", "points"}


@dataclass(frozen=True)
class Prior:
    """What is believed before any outcome.

    Attributes:
        rate: share of leads that convert.
        rate_sd: its uncertainty, in log-odds.
        strength: how many leads other locations are worth to one.
        strength_factor: the uncertainty of that, as a factor.
        offset_sd: how far a location's scores are off as a whole, in log-odds.
    """

    rate: float
    rate_sd: float
    strength: float
    strength_factor: float
    offset_sd: float


@dataclass(frozen=True)
class RuleScore:
    """One rule of the rules score."""

    feature: str
    points: float
    least: float | None = None
    most: float | None = None
    values: tuple[str, ...] = ()
    missing: bool = False

    def holds(self, column: "pd.Series[Any]") -> "np.ndarray[Any, np.dtype[np.bool_]]":
        """Where the rule holds."""
        if self.missing:
            return np.asarray(column.isna())
        if self.values:
            texts = column.map(normalise, na_action="ignore")
            return np.asarray(texts.isin(self.values))
        numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
        inside = ~np.isnan(numbers)
        if self.least is not None:
            inside &= numbers >= self.least
        if self.most is not None:
            inside &= numbers <= self.most
        return np.asarray(inside, dtype=np.bool_)


@dataclass(frozen=True)
class RulesFile:
    """The prior and the rules, as the file has them."""

    prior: Prior
    rules: tuple[RuleScore, ...]

    def points(self, features: pd.DataFrame) -> Matrix:
        """Points per row, in log-odds; a rule on a feature that is not there does not hold."""
        total = np.zeros(len(features))
        for rule in self.rules:
            if rule.feature in features.columns:
                total += rule.points * rule.holds(features[rule.feature])
        return total


@cache
def rules_file(path: Path = _FILE) -> RulesFile:
    """Reads the file.

    Raises:
        LeadEngineError: it cannot be read, or a rule is not one.
    """
    try:
        data = yaml.safe_load(path.read_text("utf-8"))
        prior = Prior(**{name: float(value) for name, value in data["prior"].items()})
        rules = tuple(_rule(entry) for entry in data["rules"])
        _check_kinds(rules)
    except (OSError, KeyError, TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise LeadEngineError(
            f"{path.name} is not a rules score: {error}.",
            remedy="Each rule has a feature, points, and from, upto, values or missing.",
        ) from error
    return RulesFile(prior, rules)


def _rule(entry: Mapping[str, Any]) -> RuleScore:
    unknown = entry.keys() - _RULE_KEYS
    tests = entry.keys() & {"from", "upto", "values", "missing"}
    if unknown or not tests:
        raise ValueError(f"rule {dict(entry)} has {sorted(unknown) or 'no test'}")
    return RuleScore(
        feature=str(entry["feature"]),
        points=float(entry["points"]),
        least=None if entry.get("from") is None else float(entry["from"]),
        most=None if entry.get("upto") is None else float(entry["upto"]),
        values=tuple(normalise(value) for value in entry.get("values", ())),
        missing=bool(entry.get("missing", False)),
    )


def _check_kinds(rules: Sequence[RuleScore]) -> None:
    """A feature is a number or a category, not both."""
    categories = {rule.feature for rule in rules if rule.values}
    for rule in rules:
        if rule.feature in categories and not (rule.values or rule.missing):
            raise ValueError(f"{rule.feature} is compared both with values and with numbers")


@dataclass(frozen=True)
class Rates:
    """Rates of locations with their 90 % intervals, in the order given.

    Attributes:
        rate: posterior mean.
        low, high: ends of the interval.
        prior_rate, prior_strength: what the locations together say of a new one: its expected
            rate, and as how many leads' outcomes that counts.
    """

    rate: Matrix
    low: Matrix
    high: Matrix
    prior_rate: float
    prior_strength: float


def location_rates(outcomes: Matrix, leads: Matrix, prior: Prior | None = None) -> Rates:
    """Rates of conversion, each location's held towards those of all.

    Args:
        outcomes: leads that converted, per location; need not be whole.
        leads: leads in all, per location; 0 for one that has none yet.
        prior: of ``rules_score.yml`` by default.
    """
    prior = prior or rules_file().prior
    centre = float(logit(np.array([prior.rate]))[0])
    means = sigmoid(centre + prior.rate_sd * np.linspace(-3, 3, _MEANS))
    spread = np.linspace(-2.5, 2.5, _STRENGTHS)
    strengths = prior.strength * prior.strength_factor**spread
    a = (means[:, None] * strengths[None, :]).ravel()
    b = ((1 - means)[:, None] * strengths[None, :]).ravel()
    weight = (
        stats.norm.logpdf(np.linspace(-3, 3, _MEANS))[:, None] + stats.norm.logpdf(spread)[None, :]
    ).ravel()
    likelihood = (
        special.betaln(a[:, None] + outcomes[None, :], b[:, None] + (leads - outcomes)[None, :])
        - special.betaln(a, b)[:, None]
    )
    weight = weight + likelihood.sum(axis=1)
    weight = _less_sure_of_spread(weight.reshape(_MEANS, _STRENGTHS), stats.norm.logpdf(spread))
    weight = np.exp(weight - weight.max())
    # Points of the grid that add nothing cost time.
    kept = weight > 1e-4
    a, b, weight = a[kept], b[kept], weight[kept] / weight[kept].sum()
    grid = np.concatenate([[0.0], np.logspace(-4, np.log10(0.98), _RATES), [1.0]])
    rate, low, high = (np.empty(len(leads)) for _ in range(3))
    tail = (1 - LEVEL) / 2
    for i, (k, n) in enumerate(zip(outcomes, leads, strict=True)):
        one, other = a + k, b + n - k
        rate[i] = float(weight @ (one / (one + other)))
        below = weight @ special.betainc(one[:, None], other[:, None], grid[None, :])
        low[i], high[i] = np.interp([tail, 1 - tail], below, grid)
    mean = float(weight @ (a / (a + b)))
    variance = float(weight @ (a * b / (a + b) ** 2 / (a + b + 1) + (a / (a + b)) ** 2) - mean**2)
    return Rates(rate, low, high, mean, mean * (1 - mean) / variance - 1)


def _less_sure_of_spread(weight: Matrix, prior: Matrix) -> Matrix:
    """Log weights of the grid, with less said by the data on how far locations differ.

    Rates are no draws from a beta distribution, and small locations differ more than large ones, so
    the likelihood is surer of the spread than it may be, and intervals would be too narrow. Of what
    it says of the spread a part is taken (a coarsened posterior, Miller and Dunson, 2019); what it
    says of the mean, given the spread, is taken whole.

    Args:
        weight: log weights, means by strengths.
        prior: log prior of the strengths.
    """
    said = special.logsumexp(weight, axis=0)
    told = prior + _OF_SPREAD * (said - prior)
    return np.asarray((weight - said + told).ravel(), dtype=np.float64)


def level_to(points: Matrix, rate: float) -> Matrix:
    """Probabilities from points in log-odds, shifted so that their mean is ``rate``."""
    return sigmoid(points + level_shift(points, rate))


def level_shift(points: Matrix, rate: float) -> float:
    """What to add to points in log-odds so that the mean probability is ``rate``."""
    low, high = -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        if float(sigmoid(points + middle).mean()) < rate:
            low = middle
        else:
            high = middle
    return (low + high) / 2


@dataclass(frozen=True)
class Offset:
    """By how much a location's scores are off as a whole, in log-odds, held towards none."""

    value: float
    error: float


def location_offset(
    score: Matrix, label: Matrix, sd: float, weight: Matrix | None = None
) -> Offset:
    """The offset by maximum a posteriori, with a normal prior around none.

    Args:
        score: probabilities for rows that the model was not trained on.
        label: 0 or 1 per row.
        sd: of the prior, in log-odds.
        weight: per row; rows of one lead share one.
    """
    weights = np.ones(len(label)) if weight is None else weight
    place, value = logit(score), 0.0
    information = 1 / sd**2
    for _ in range(30):
        p = sigmoid(place + value)
        gradient = float((weights * (label - p)).sum()) - value / sd**2
        information = float((weights * p * (1 - p)).sum()) + 1 / sd**2
        step = float(np.clip(gradient / information, -1, 1))
        value += step
        if abs(step) < 1e-9:
            break
    return Offset(value, float(information**-0.5))


def lead_weights(leads: "np.ndarray[Any, Any]") -> Matrix:
    """One lead's rows together count as one row."""
    _, place, counts = np.unique(
        np.asarray(leads).astype(str), return_inverse=True, return_counts=True
    )
    return np.asarray(1.0 / counts[place], dtype=np.float64)
