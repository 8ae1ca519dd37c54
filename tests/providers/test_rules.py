"""The retry rules and the limits, for every case that hypothesis can think of."""

from __future__ import annotations

import pytest
import stamina
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.breaker import Breaker
from providers.core import NOT_RETRIED, Bucket, Channel, Kind, RetryPolicy, final_error, may_retry
from providers.errors import NotSent, ProviderError, Rejected, Unknown, is_outage
from providers.http import error_code, refusal, wait_asked_for
from providers.limits import DEFAULT_LIMITS, LocalRateLimiter, RateLimit
from tests.providers.clients import EMAIL_ADDRESS

POLICY = RetryPolicy(attempts=4)
REASONS = ["connect", "timeout", "rate_limited", "server_error", "refused", *sorted(NOT_RETRIED)]


def error(kind: type[ProviderError], reason: str, retry_after: float | None) -> ProviderError:
    return kind("m", provider="p", operation="o", reason=reason, retry_after=retry_after)


errors = st.builds(
    error,
    st.sampled_from([NotSent, Rejected, Unknown]),
    st.sampled_from(REASONS),
    st.none() | st.floats(0, 120),
)
kinds = st.sampled_from(Kind)


@settings(deadline=None)
@given(errors, kinds)
def test_only_what_certainly_did_not_happen_is_repeated_if_twice_would_be_twice(
    failed: ProviderError, kind: Kind
) -> None:
    if may_retry(failed, kind, POLICY):
        assert not isinstance(failed, Rejected)
        assert failed.reason not in NOT_RETRIED
        assert failed.retry_after is None or failed.retry_after <= POLICY.longest_wait
        if kind is Kind.ONCE:
            assert isinstance(failed, NotSent)


@settings(deadline=None)
@given(st.lists(errors, min_size=1, max_size=6), kinds)
def test_the_final_error_is_the_most_doubtful_one_and_never_doubtful_for_a_read(
    failed: list[ProviderError], kind: Kind
) -> None:
    final = final_error(failed, kind)
    doubtful = any(isinstance(one, Unknown) for one in failed)
    if kind is Kind.READ:
        assert not isinstance(final, Unknown)
    else:
        assert isinstance(final, Unknown) == doubtful


class Provider:
    """Does or does not do the work, and does or does not say so."""

    def __init__(self, plan: list[str]) -> None:
        self.plan = iter(plan)
        self.effects = 0
        self.attempts = 0

    def attempt(self) -> str:
        self.attempts += 1
        step = next(self.plan, "done")
        if step in ("done", "lost answer"):
            self.effects += 1
        if step == "done":
            return "answer"
        if step in ("lost answer", "failed before the work"):
            raise error(Unknown, "connection_lost", None)
        if step == "too many":
            raise error(NotSent, "rate_limited", 0.0)
        if step == "refused":
            raise error(Rejected, "refused", None)
        raise error(NotSent, "connect", None)


steps = st.sampled_from(
    ["done", "lost answer", "failed before the work", "too many", "no connection", "refused"]
)


@settings(deadline=None)
@given(st.lists(steps, max_size=6), kinds)
def test_the_caller_is_never_told_that_nothing_happened_when_something_did(
    plan: list[str], kind: Kind
) -> None:
    provider = Provider(plan)
    channel = Channel(
        "p",
        limiter=LocalRateLimiter(sleep=lambda _: None),
        buckets=[Bucket("p", RateLimit(100, 1.0))],
        breaker=Breaker("p", threshold=99),
        policy=RetryPolicy(attempts=4, wait_initial=0, wait_max=0, wait_jitter=0),
    )
    try:
        channel.call("o", kind, provider.attempt)
        assert provider.effects >= 1
    except ProviderError as told:
        if kind is not Kind.READ and not isinstance(told, Unknown):
            assert provider.effects == 0
    assert provider.attempts <= 4
    if kind is Kind.ONCE:
        assert provider.effects <= 1


def test_an_error_of_ours_is_neither_repeated_nor_disguised() -> None:
    channel = Channel("p", limiter=LocalRateLimiter(), buckets=[])
    calls: list[int] = []

    def attempt() -> None:
        calls.append(1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        channel.call("o", Kind.READ, attempt)
    assert len(calls) == 1


def test_no_room_under_the_limit_is_not_sent() -> None:
    limit = RateLimit(1, 3600.0)
    channel = Channel(
        "p", limiter=LocalRateLimiter(), buckets=[Bucket("p", limit)], acquire_timeout=0.1
    )
    assert channel.call("o", Kind.ONCE, lambda: "sent") == "sent"
    with pytest.raises(NotSent) as caught:
        channel.call("o", Kind.ONCE, lambda: "sent")
    assert caught.value.reason == "rate_limit_wait"


@settings(deadline=None)
@given(
    st.integers(1, 200),
    st.floats(0.1, 1000),
    st.lists(st.tuples(st.floats(0, 500), st.booleans()), max_size=80),
)
def test_no_window_ever_sees_more_than_the_limit(
    capacity: int, per_seconds: float, pauses: list[tuple[float, bool]]
) -> None:
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    limiter = LocalRateLimiter(monotonic=lambda: clock[0], sleep=sleep)
    limit = RateLimit(capacity, per_seconds)
    passed: list[float] = []
    # As often as possible, with pauses that let the bucket fill up again.
    for pause, rests in [*pauses, *([(0.0, False)] * 300)]:
        clock[0] += pause if rests else 0.0
        limiter.acquire("key", limit)
        passed.append(clock[0])
    for start in passed:
        seen = sum(start <= moment < start + per_seconds * (1 - 1e-6) for moment in passed)
        assert seen <= capacity


def test_a_limiter_that_cannot_wait_takes_nothing() -> None:
    clock = [0.0]
    limiter = LocalRateLimiter(monotonic=lambda: clock[0], sleep=lambda _: None)
    limit = RateLimit(1, 10.0)
    assert limiter.acquire("key", limit) == 0.0
    for _ in range(3):
        with pytest.raises(TimeoutError):
            limiter.acquire("key", limit, timeout=1.0)
    clock[0] = 10.0
    assert limiter.acquire("key", limit, timeout=0.0) == 0.0


@pytest.mark.parametrize(("capacity", "per_seconds"), [(0, 1.0), (5, 0.0), (5, -1.0)])
def test_a_limit_that_lets_nothing_through_is_refused(capacity: int, per_seconds: float) -> None:
    with pytest.raises(ValueError, match="rate limit"):
        RateLimit(capacity, per_seconds)


@settings(deadline=None)
@given(st.integers(1, 10_000), st.floats(0.1, 1000))
def test_a_limit_is_used_and_not_only_kept(capacity: int, per_seconds: float) -> None:
    limit = RateLimit(capacity, per_seconds)
    assert limit.rate * per_seconds >= 0.9 * capacity
    assert limit.burst >= 1


def test_we_stay_below_what_highlevel_allows() -> None:
    assert DEFAULT_LIMITS.ghl.with_margin() == RateLimit(95, 10.0)
    assert DEFAULT_LIMITS.ghl_daily.with_margin() == RateLimit(190_000, 86_400.0)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}, 40.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"x-ratelimit-interval-milliseconds": "10000"}, 10.0),
        ({"x-ratelimit-reset": "75"}, 15.0),
        ({"x-ratelimit-reset": "30"}, 0.0),
        ({}, None),
    ],
)
def test_how_long_the_provider_asks_us_to_wait(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert wait_asked_for(headers, now=60.0) == seconds


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["retry-after", "x-ratelimit-reset"]), st.text()))
def test_no_header_can_trip_the_reading_of_it(headers: dict[str, str]) -> None:
    wait = wait_asked_for(headers, now=60.0)
    assert wait is None or wait >= 0


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"code": 21610, "message": "x"}, "21610"),
        ({"error": {"type": "rate_limit_error", "message": "x"}}, "rate_limit_error"),
        ({"errors": [{"field": "from.email", "message": "x"}]}, "from.email"),
        ({"code": f"no such {EMAIL_ADDRESS}"}, None),
        ({"code": True}, None),
        ({"errors": [None]}, None),
        (["x"], None),
        (None, None),
    ],
)
def test_only_codes_are_taken_from_an_error_body(body: object, code: str | None) -> None:
    assert error_code(body) == code


@settings(deadline=None)
@given(st.integers(300, 599))
def test_every_status_has_a_meaning(status: int) -> None:
    from providers.ghl.transport import GHL

    meaning = refusal(GHL, status, {})
    if status == 429:
        assert isinstance(meaning, NotSent)
    elif status >= 500 or status == 408:
        assert isinstance(meaning, Unknown)
    else:
        assert isinstance(meaning, Rejected)
    assert is_outage(meaning) == isinstance(meaning, Unknown)


def test_a_retry_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert stamina.is_active()
    provider = Provider(["too many", "too many"])
    channel = Channel("p", limiter=LocalRateLimiter(), buckets=[], policy=POLICY)
    channel.call("o", Kind.ONCE, provider.attempt)
    assert provider.attempts == 3
    assert capsys.readouterr().out == ""
