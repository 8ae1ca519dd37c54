"""The learning curve of the simulated brokerage, as the documentation gets it."""

from typing import Any

import pytest

from benchmarks.simulation import Line, limit_of, markdown


def _point(contacts: int, brier: float) -> dict[str, Any]:
    return {
        "contacts": contacts,
        "rows_train": 2 * contacts,
        "expected_brier": brier,
        "ece": 0.01,
        "top_fifth": 0.65,
        "train_seconds": 1.0,
    }


def test_what_no_number_of_leads_can_tell_is_where_the_line_ends() -> None:
    curve = [_point(n, 1.02 + 300 / n) for n in (5_000, 10_000, 20_000, 40_000)]
    assert limit_of(curve) == pytest.approx(1.02)


def test_the_page_says_what_a_smaller_brokerage_can_expect() -> None:
    facts = {
        "contacts": 40_000, "rows_train": 80_000, "rows_judged": 10_000, "outcomes_judged": 900,
        "learning_curve": [_point(20_000, 1.035), _point(40_000, 1.0275)],
        "expected_brier_without_end": 1.02,
        "accounts": 200, "draws": 10, "leads_median": 78.0, "outcomes_median": 7.0,
        "coverage_of_the_draws": [0.885, 0.94], "chance_error_of_a_draw": 0.021,
    }  # fmt: skip
    page = markdown([Line("ECE, time split", 0.018, 0.011, "<= 0.02")], facts)
    assert "| 20,000 | 40,000 | 1.0350 | 0.0100 | 0.6500 |" in page
    assert "40,000 contacts: trained on 80,000 moments" in page
    assert "ends at 1.0200" in page
