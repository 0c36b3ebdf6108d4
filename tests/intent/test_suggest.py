from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kefu.inference.encoder.onnx import OnnxEncoder
from kefu.intent import suggest as module
from kefu.intent.suggest import Cluster, Unsure, suggest


def message(text: str, uid: str = "u", label: str = "oos") -> Unsure:
    return Unsure(text, label, 0.4, uid)


def around(*centres: int, spread: float = 0.3, dimensions: int = 64) -> np.ndarray:
    """One row for each number, near the axis of that number."""
    draw = np.random.default_rng(0)
    rows = np.eye(dimensions)[list(centres)]
    rows += draw.normal(0, spread / dimensions**0.5, rows.shape)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_clusters_with_what_is_in_them() -> None:
    messages = [
        message("do you wrap gifts", "ann", "product_info"),
        message("gift paper?", "bob", "oos"),
        message("wrap it please", "cid", "product_info"),
        message("can I rent it", "ann"),
        message("renting", "dan"),
        message("rent for a day", "dan"),
        message("something else", "eve"),
    ]
    found = suggest(messages, around(0, 0, 0, 1, 1, 1, 2))
    assert [(cluster.size, cluster.customers) for cluster in found] == [(3, 3), (3, 2)]
    first = found[0]
    assert first.texts[0] == first.example
    assert set(first.texts) == {"do you wrap gifts", "gift paper?", "wrap it please"}
    assert first.guesses == (("product_info", 2), ("oos", 1))
    assert 0.8 < first.cohesion < 1


def test_nothing_is_nothing() -> None:
    assert suggest([], np.zeros((0, 512), np.float32)) == []


def test_identical_texts_are_one_wording() -> None:
    texts = ["Rent?", "rent", "RENT!!", "rent ?"]
    found = suggest([message(text, str(n)) for n, text in enumerate(texts)], around(0, 0, 0, 0))
    assert found == [Cluster("Rent?", 4, 4, ("Rent?",), (("oos", 4),), 1.0)]


def test_one_customer_writing_fifty_times_is_one_customer() -> None:
    loud = [message("WHERE IS IT", "loud") for _ in range(50)]
    others = [message(f"gift {n}", f"u{n}") for n in range(3)]
    found = suggest([*loud, *others], around(*[0] * 50, 1, 1, 1))
    assert [(cluster.size, cluster.customers) for cluster in found] == [(3, 3), (50, 1)]


def test_fewer_than_asked_for_are_left_out() -> None:
    messages = [message(f"text {n}", str(n)) for n in range(5)]
    vectors = around(0, 0, 0, 1, 1)
    assert [cluster.size for cluster in suggest(messages, vectors)] == [3]
    assert [cluster.size for cluster in suggest(messages, vectors, at_least=2)] == [3, 2]
    assert suggest(messages, vectors, at_least=4) == []
    assert suggest(messages[:1], vectors[:1]) == []
    assert len(suggest(messages[:1], vectors[:1], at_least=1)) == 1


def test_at_most_so_many_and_those_of_most_customers() -> None:
    axes = [axis for axis in range(10) for _ in range(3 + axis)]
    messages = [message(f"text {n}", str(n)) for n in range(len(axes))]
    found = suggest(messages, around(*axes), at_most=4)
    assert [cluster.size for cluster in found] == [12, 11, 10, 9]


def test_far_texts_never_share_a_cluster() -> None:
    draw = np.random.default_rng(1)
    axes = draw.integers(0, 30, 300)
    messages = [message(f"{axis} {n}", str(n)) for n, axis in enumerate(axes)]
    found = suggest(messages, around(*axes), at_least=1, at_most=1000)
    assert sum(cluster.size for cluster in found) == 300
    assert len(found) == len(set(axes.tolist()))
    for cluster in found:
        assert len({text.split()[0] for text in cluster.texts}) == 1


def test_the_example_is_what_the_others_are_like() -> None:
    vectors = np.eye(8, dtype=np.float32)[[0, 0, 0, 0]]
    vectors[[1, 2, 3], [1, 2, 3]] = 0.4
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    texts = ["middle", "left", "right", "below"]
    (found,) = suggest([message(text, text) for text in texts], vectors)
    assert found.example == "middle"
    # What many write weighs more.
    messages = [message(text, text) for text in texts] + [message("left", str(n)) for n in range(9)]
    (found,) = suggest(messages, np.vstack([vectors, *[vectors[1:2]] * 9]))
    assert found.example == "left"


def test_up_to_ten_texts_the_nearest_first() -> None:
    vectors = around(*[0] * 30, spread=0.5)
    (found,) = suggest([message(f"text {n}", str(n)) for n in range(30)], vectors)
    assert len(found.texts) == 10
    numbers = [int(text.split()[1]) for text in found.texts]
    likeness = vectors @ vectors[numbers[0]]
    assert numbers[1:] == [n for n in np.argsort(-likeness) if n != numbers[0]][:9]


def test_the_same_every_time() -> None:
    draw = np.random.default_rng(2)
    vectors = around(*draw.integers(0, 12, 200), spread=1.5)
    messages = [message(f"text {n}", str(n % 40)) for n in range(200)]
    found = suggest(messages, vectors)
    assert found
    assert suggest(messages, vectors.copy()) == found


def test_what_all_have_in_common_does_not_make_them_alike() -> None:
    draw = np.random.default_rng(3)
    vectors = around(*[axis for axis in range(1, 13) for _ in range(20)], spread=0.3)
    vectors[:, 0] += 1.2  # all are about insurance
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert (vectors @ vectors.T).min() > 0.4
    order = draw.permutation(240)
    messages = [message(f"{n // 20} text {n}", str(n)) for n in order]
    found = suggest(messages, vectors[order])
    assert len(found) == 12
    assert all(len({text.split()[0] for text in cluster.texts}) == 1 for cluster in found)


def test_only_the_newest_wordings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WORDINGS", 4)
    messages = [message(f"text {n}", str(n)) for n in range(6)] + [message("text 1", "again")]
    (found,) = suggest(messages, around(*[0] * 7))
    assert (found.size, found.customers, len(found.texts)) == (5, 5, 4)


def test_each_message_needs_its_vector() -> None:
    with pytest.raises(ValueError, match="vector"):
        suggest([message("a")], around(0, 0))


@pytest.mark.models
def test_chinese_and_english_meet(models_dir: Path) -> None:
    encoder = OnnxEncoder(models_dir / "use-multilingual-v3" / "model.onnx", 1)
    wishes = {
        "gift": (
            "能帮忙包装成礼物吗 可以礼品包装吗 有没有礼盒装",
            "do you gift wrap",
            "I'd like it gift wrapped",
        ),
        "pets": (
            "宠物可以带进店里吗 能带狗进来吗 店里让带猫吗",
            "can I bring my dog",
            "are pets allowed",
        ),
        "rent": (
            "可以租吗 你们有租赁服务吗 租一个月多少钱",
            "do you rent out machines",
            "can I rent it",
        ),
        "sky": (
            "今天天气怎么样 明天会下雨吗 外面冷不冷",
            "what is the weather like",
            "will it rain today",
        ),
    }
    of = {text: wish for wish, (zh, *en) in wishes.items() for text in [*zh.split(), *en]}
    messages = [message(text, text) for text in of]
    found = suggest(messages, encoder.encode(list(of)))
    assert {of[cluster.example] for cluster in found} == set(wishes)
    for cluster in found:
        assert len({of[text] for text in cluster.texts}) == 1
        assert len({text.isascii() for text in cluster.texts}) == 2
