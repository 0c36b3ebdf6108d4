"""The circuit breaker, on a clock that stands still until it is told otherwise."""

import pytest

from kefu.inference.generator.breaker import BACKOFF_SECONDS, FAILURES, Breaker


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(clock)


def fail(breaker: Breaker, times: int = 1) -> None:
    for _ in range(times):
        with breaker.request() as is_trial:
            breaker.fail(is_trial=is_trial)


def succeed(breaker: Breaker) -> None:
    with breaker.request():
        breaker.succeed()


def test_only_failures_in_a_row_open_it(breaker):
    fail(breaker, FAILURES - 1)
    succeed(breaker)
    fail(breaker, FAILURES - 1)
    assert breaker.state == "closed"
    assert breaker.admits
    fail(breaker)
    assert breaker.state == "open"
    assert not breaker.admits


def test_after_the_pause_one_may_try_and_closes_it(breaker, clock):
    fail(breaker, FAILURES)
    clock.now += BACKOFF_SECONDS[0]
    assert breaker.state == "half_open"
    with breaker.request() as is_trial:
        assert is_trial
        assert not breaker.admits
        breaker.succeed()
        assert breaker.admits
    assert breaker.state == "closed"
    fail(breaker, FAILURES - 1)
    assert breaker.state == "closed"


def test_a_trial_that_fails_makes_the_next_pause_longer(breaker, clock):
    fail(breaker, FAILURES)
    for seconds in (*BACKOFF_SECONDS, BACKOFF_SECONDS[-1]):
        clock.now += seconds - 0.01
        assert breaker.state == "open"
        clock.now += 0.01
        assert breaker.state == "half_open"
        fail(breaker)


def test_who_leaves_lets_the_next_one_try(breaker, clock):
    fail(breaker, FAILURES)
    clock.now += BACKOFF_SECONDS[0]
    with breaker.request():
        pass
    assert breaker.state == "half_open"
    assert breaker.admits


def test_failures_that_come_in_late_make_no_pause_longer(breaker, clock):
    """Ten answers that a kill ended at once are one death."""
    for _ in range(10):
        breaker.fail(is_trial=False)
    clock.now += BACKOFF_SECONDS[0]
    assert breaker.state == "half_open"


def test_a_trial_that_breaks_after_it_succeeded_is_one_failure_of_several(breaker, clock):
    fail(breaker, FAILURES)
    clock.now += BACKOFF_SECONDS[0]
    with breaker.request() as is_trial:
        breaker.succeed()
        breaker.fail(is_trial=is_trial)
    assert breaker.state == "closed"


def test_a_sign_of_life_ends_the_pause(breaker):
    fail(breaker, FAILURES)
    breaker.try_now()
    assert breaker.state == "half_open"
