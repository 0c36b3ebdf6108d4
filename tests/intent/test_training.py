"""A whole training on a toy shop, with an encoder that only knows pairs of characters."""

from __future__ import annotations

import itertools
import random
from collections import defaultdict

import numpy as np
import pytest

from kefu.errors import InvalidInput
from kefu.intent.classifier import Prediction
from kefu.intent.dataset import Example
from kefu.intent.training import FOLDS, Trained, train
from tests.fakes import HashingEncoder

ENCODER = HashingEncoder()

ASKING = {
    "order_status": (["my parcel", "my order", "the package"], ["我的包裹", "我的订单", "快递"]),
    "refund": (["a refund", "my money back", "the refund"], ["退款", "退钱", "把钱退回来"]),
    "invoice": (["an invoice", "the invoice", "a tax receipt"], ["发票", "开发票", "电子发票"]),
    "coupon": (["a coupon", "the discount code", "a voucher"], ["优惠券", "折扣码", "代金券"]),
}
FRAMES = (
    ["where is {}", "how do i get {}", "please tell me about {}", "i have a question about {}"],
    ["{}在哪", "请问{}怎么弄", "我想问一下{}", "麻烦帮我看看{}"],
)
FOREIGN = [
    f"{what} {place}"
    for what in ("weather", "population", "history", "football", "president", "天气")
    for place in ("in Peru", "of Wales", "near Oslo", "of Quebec", "on Jupiter")
]


def toy(*, foreign: int = 0) -> list[Example]:
    found = [
        Example(frame.format(thing), label)
        for label, things in ASKING.items()
        for language, frames in enumerate(FRAMES)
        for frame, thing in itertools.product(frames, things[language])
    ]
    found += [Example(text, "oos") for text in FOREIGN[:foreign]]
    random.Random(0).shuffle(found)
    return [Example(e.text, e.label, line) for line, e in enumerate(found, 2)]


def learn(examples: list[Example], **options: object) -> Trained:
    return train(examples, ENCODER.encode, ENCODER.id, **options)


def ask(trained: Trained, *texts: str) -> list[Prediction]:
    return trained.classifier.classify(texts, ENCODER.encode(texts))


@pytest.fixture(scope="module")
def trained() -> Trained:
    return learn(toy(foreign=30))


def test_it_learns_both_languages(trained: Trained) -> None:
    assert trained.classifier.labels == ("coupon", "invoice", "order_status", "refund")
    guesses = ask(trained, "where's my parcel please", "帮我看看退款", "invoice", "优惠券怎么弄")
    assert [guess.ranking[0][0] for guess in guesses] == [
        "order_status",
        "refund",
        "invoice",
        "coupon",
    ]
    assert trained.figures.in_scope_accuracy_unrejected is not None
    assert trained.figures.in_scope_accuracy_unrejected > 0.95
    assert trained.examples == len(toy(foreign=30))
    assert trained.classifier.encoder_id == ENCODER.id


def test_out_of_scope_is_learnt_and_is_no_label(trained: Trained) -> None:
    assert "oos" not in trained.classifier.labels
    guesses = ask(trained, "weather in Oslo", "football of Peru")
    assert [guess.label for guess in guesses] == ["oos", "oos"]
    for guess in guesses:
        assert guess.score == guess.out_of_scope
        assert all(label != "oos" for label, _ in guess.ranking)
    assert trained.figures.oos_recall is not None
    assert trained.figures.oos_recall > 0.8


def test_probabilities_add_up(trained: Trained) -> None:
    for guess in ask(trained, "where is my parcel", "天气", "", "😀", "x" * 5000):
        assert sum(share for _, share in guess.ranking) + guess.out_of_scope == pytest.approx(1)
        shares = [share for _, share in guess.ranking]
        assert shares == sorted(shares, reverse=True)


def test_no_texts_no_predictions(trained: Trained) -> None:
    assert trained.classifier.classify([], np.zeros((0, 128), np.float32)) == []


def test_texts_need_their_vectors(trained: Trained) -> None:
    for vectors in (None, np.zeros((1, 128), np.float32), np.zeros((2, 64), np.float32)):
        with pytest.raises(ValueError, match="vector"):
            trained.classifier.classify(["a", "b"], vectors)


def test_alone_or_together_a_text_is_the_same(trained: Trained) -> None:
    texts = ["where is my parcel", "退款在哪", "football in Peru"]
    for text, together in zip(texts, ask(trained, *texts), strict=True):
        (alone,) = ask(trained, text)
        assert alone.label == together.label
        assert alone.score == pytest.approx(together.score, abs=1e-5)


def test_a_label_is_found_by_its_name() -> None:
    few = [Example(text, "gift_wrapping") for text in ("Box it up nicely", "包好看点", "ribbon??")]
    examples = [*toy(), *few]
    (named,) = ask(learn(examples), "gift wrapping")
    assert named.ranking[0][0] == "gift_wrapping"
    # The same without a name that says something.
    (nameless,) = ask(learn([*toy(), *(Example(e.text, "q7") for e in few)]), "gift wrapping")
    assert named.ranking[0][1] > dict(nameless.ranking)["q7"]


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (["a"], "only one intent"),
        (["a", "oos"], "only one intent"),
        (["oos"], "no intent"),
        ([], "no intent"),
    ],
)
def test_one_intent_is_nothing_to_tell_apart(labels: list[str], says: str) -> None:
    examples = [Example(f"{label} {n}", label) for label in labels for n in range(5)]
    with pytest.raises(InvalidInput, match=says):
        learn(examples)


def test_few_examples_still_give_figures() -> None:
    examples = [Example(f"{word} {n}", word) for word in ("refund", "parcel") for n in range(3)]
    found = learn([*examples, Example("weather", "oos")])
    assert found.figures.n == 7
    assert np.isfinite(list(found.classifier.calibration.weights)).all()


def test_the_same_data_in_another_order() -> None:
    examples = toy(foreign=30)
    one, other = learn(examples), learn(examples[::-1])
    assert one.data_sha256 == other.data_sha256
    assert one.figures.accuracy == pytest.approx(other.figures.accuracy, abs=1e-6)
    texts = ["where is my parcel", "退款在哪", "football in Peru", "coupon or invoice", "hm"]
    for first, second in zip(ask(one, *texts), ask(other, *texts), strict=True):
        assert first.label == second.label
        assert first.score == pytest.approx(second.score, abs=1e-3)


def test_writings_of_the_same_words_are_held_out_together() -> None:
    # Random labels cannot be guessed. They could if a twin were left behind.
    draw = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyz"
    examples = []
    for _ in range(60):
        text, label = "".join(draw.choices(letters, k=9)), draw.choice(["yes", "no", "so"])
        examples += [Example(text, label), Example(f"{text.upper()}!", label)]
    accuracy = learn(examples).figures.in_scope_accuracy_unrejected
    assert accuracy is not None
    assert accuracy < 0.6


def test_progress_reaches_its_ends_and_never_goes_back() -> None:
    seen: dict[str, list[tuple[int, int]]] = defaultdict(list)
    stages: list[str] = []

    def note(done: int, total: int, what: str) -> None:
        seen[what].append((done, total))
        stages.append(what)

    learn(toy(foreign=30) * 2, on_progress=note)
    assert len(seen) >= 3
    # One stage after another.
    assert [stage for stage, _ in itertools.groupby(stages)] == list(seen)
    for steps in seen.values():
        assert len({total for _, total in steps}) == 1
        assert [done for done, _ in steps] == sorted(done for done, _ in steps)
        assert steps[-1][0] == steps[-1][1]


@pytest.mark.parametrize("rate", [0.0, 0.02, 0.3])
@pytest.mark.parametrize("foreign", [0, 30])
def test_false_rejections_are_as_few_as_was_asked(rate: float, foreign: int) -> None:
    found = learn(toy(foreign=foreign), false_rejections=rate)
    assert found.false_rejections == rate
    figures = found.figures
    assert figures.in_scope_accuracy is not None
    assert figures.in_scope_accuracy_unrejected is not None
    lost = figures.in_scope_accuracy_unrejected - figures.in_scope_accuracy
    assert lost <= rate * figures.in_scope_accuracy_unrejected + 1e-9


@pytest.mark.parametrize("rate", [-0.1, 1.5, float("nan")])
def test_a_rate_that_is_no_share(rate: float) -> None:
    with pytest.raises(InvalidInput, match="no share of messages"):
        learn(toy(), false_rejections=rate)


def test_more_may_be_sent_away_when_out_of_scope_is_taught() -> None:
    taught, untaught = learn(toy(foreign=30)), learn(toy(foreign=5))
    assert taught.false_rejections > untaught.false_rejections
    assert FOLDS > 1
