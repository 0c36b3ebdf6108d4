from collections import Counter
from itertools import pairwise

import pytest

from kefu.bench.load.traffic import Mix, Words, schedule
from kefu.errors import InvalidInput

QUESTIONS = (
    *(f"第{number}种帐篷怎么安装？" for number in range(50)),
    "How do I return a tent?",
    "Do you ship abroad?",
)
WORDS = Words(known=QUESTIONS, blocked=("坏词",))
ONLY_KNOWN = Mix(known=1, rephrased=0, new=0, follow_up=0, blocked=0)


def planned(mix=Mix(), words=WORDS, **changed):  # noqa: B008 - frozen
    chosen = {"users": 40, "spawn_rate": 1000, "rate": 100, "seconds": 60, "seed": 3, **changed}
    return schedule(words, mix, **chosen)


def test_one_seed_is_one_schedule():
    assert planned() == planned()
    assert planned() != planned(seed=4)


def test_messages_come_at_the_rate_and_in_order():
    arrivals = planned()
    assert all(before.due <= after.due for before, after in pairwise(arrivals))
    assert arrivals[-1].due < 60
    assert abs(len(arrivals) - 6000) < 4 * 6000**0.5  # a Poisson process: four standard deviations
    gaps = [after.due - before.due for before, after in pairwise(arrivals)]
    mean = sum(gaps) / len(gaps)
    spread = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert 0.9 < spread / mean < 1.1  # exponential gaps, not a metronome's


def test_every_kind_has_its_share():
    mix = Mix(known=0.5, rephrased=0.2, new=0.1, follow_up=0.15, blocked=0.05, streamed=0.3)
    arrivals = planned(mix)
    counts = Counter(arrival.kind for arrival in arrivals)
    for kind, share in mix.by_kind.items():
        assert abs(counts[kind] / len(arrivals) - share) < 0.03
    assert abs(sum(a.is_streamed for a in arrivals) / len(arrivals) - 0.3) < 0.03


def test_customers_come_one_by_one():
    arrivals = planned(users=100, spawn_rate=10, seconds=20)
    assert all(arrival.user <= 10 * arrival.due + 1 for arrival in arrivals)
    early = sum(arrival.due < 5 for arrival in arrivals)
    late = sum(arrival.due >= 15 for arrival in arrivals)
    assert early < late / 2  # few customers send few messages
    assert {arrival.user for arrival in arrivals} == set(range(100))


def test_a_follow_up_follows_something():
    asked = set()
    mix = Mix(known=0.4, rephrased=0, new=0, follow_up=0.3, blocked=0.3)
    for arrival in planned(mix, users=500):
        assert arrival.kind != "follow_up" or arrival.user in asked
        if arrival.kind != "blocked":
            asked.add(arrival.user)


def test_known_questions_follow_zipf():
    counts = Counter(a.message for a in planned(ONLY_KNOWN, seconds=200))
    (_, first), (_, second), *_ = counts.most_common()
    assert 1.5 < first / second < 2.6
    even = Counter(a.message for a in planned(Mix(1, 0, 0, 0, 0, zipf=0), seconds=200))
    assert max(even.values()) < 1.4 * min(even.values())


def test_rephrased_questions_are_never_those_words_again():
    arrivals = planned(Mix(known=0, rephrased=1, new=0, follow_up=0, blocked=0))
    messages = [arrival.message for arrival in arrivals]
    assert len(set(messages)) > 0.98 * len(messages)
    assert not set(messages) & set(QUESTIONS)


def test_new_questions_are_given_ones_first():
    given = ("你们招人吗？", "老板是谁？")
    mix = Mix(known=0, rephrased=0, new=1, follow_up=0, blocked=0)
    messages = [a.message for a in planned(mix, Words(QUESTIONS, new=given))]
    assert set(messages[:2]) == set(given)
    assert not set(messages[2:]) & {*given, *QUESTIONS}


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ({"known": 0.9}, "1.18"),
        ({"known": 0.73, "new": 0.03, "blocked": -0.01}, "not to 1"),
        ({"streamed": 1.1}, "0 to 1"),
        ({"zipf": -1}, "Zipf"),
    ],
)
def test_impossible_mixes_are_refused(shares, said):
    with pytest.raises(InvalidInput, match=said):
        Mix(**shares)


def test_words_must_be_there():
    with pytest.raises(InvalidInput, match="--questions"):
        planned(words=Words(known=()))
    with pytest.raises(InvalidInput, match="--blocked 0"):
        planned(words=Words(known=QUESTIONS))
