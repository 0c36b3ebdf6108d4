"""Examples come from files people keep: what is wrong is said by line, and nothing else is raised."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kefu.errors import InvalidFile
from kefu.intent import dataset
from kefu.intent.dataset import (
    MAX_LABEL,
    MAX_TEXT,
    Example,
    digest,
    folded,
    label_in_words,
    read_examples,
    read_files,
    read_labelled,
    split,
)

FILLER = "hi,greeting\nhello,greeting\nhey,greeting\n"


def read(
    text: str | bytes, name: str = "x.csv", *, lenient: bool = False
) -> tuple[list[Example], list[str]]:
    notes: list[str] = []
    content = text.encode() if isinstance(text, str) else text
    return read_examples(content, name, note=notes.append, lenient=lenient), notes


def problems(text: str | bytes, name: str = "x.csv") -> list[str]:
    with pytest.raises(InvalidFile) as caught:
        read(text, name)
    return [str(problem) for problem in caught.value.problems]


def pairs(examples: Sequence[Example]) -> list[tuple[str, str]]:
    return [(example.text, example.label) for example in examples]


# What is read.


def test_rows_with_their_lines() -> None:
    found, notes = read('label,text\ngreeting,"hi,\nthere"\ngreeting, hello \ngreeting,hey\n')
    assert found == [
        Example("hi,\nthere", "greeting", 2),
        Example("hello", "greeting", 4),
        Example("hey", "greeting", 5),
    ]
    assert notes == []


@pytest.mark.parametrize(
    "header",
    ["text,label", "utterance,intent", "Query,LABEL", "文本,标签", "用户说法,意图", "问题,类别"],
)
def test_headers_people_have(header: str) -> None:
    found, _ = read(f"\ufeff{header}\n{FILLER}")
    assert [example.text for example in found] == ["hi", "hello", "hey"]


def test_json_lines() -> None:
    rows = [{"utterance": "几点开门", "intent": "hours"}, {"text": 24, "label": "hours", "id": 1}]
    rows.append({"sentence": "开门时间", "意图": "hours"})
    found, _ = read("\n\n".join(json.dumps(row) for row in rows), "x.jsonl")
    assert pairs(found) == [("几点开门", "hours"), ("24", "hours"), ("开门时间", "hours")]
    assert [example.line for example in found] == [1, 3, 5]


def test_yaml_rows_and_texts_under_labels() -> None:
    rows = (
        "# ours\n- text: 你好\n  label: greeting\n- {utterance: hi, intent: greeting}\n"
        "- label: greeting\n  text: |\n    hey\n    you\n"
    )
    found, _ = read(rows, "x.yaml")
    assert found == [
        Example("你好", "greeting", 2),
        Example("hi", "greeting", 4),
        Example("hey\nyou", "greeting", 5),
    ]
    found, _ = read("greeting:\n- hi\n- 'yes'\n- 1.0\noos:\n  - no\n", "x.yml")
    assert found == [
        Example("hi", "greeting", 2),
        Example("yes", "greeting", 3),
        Example("1.0", "greeting", 4),
        Example("no", "oos", 6),
    ]


def test_yaml_constructs_nothing(tmp_path: Path) -> None:
    made = tmp_path / "made"
    evil = f"!!python/object/apply:pathlib.Path.touch [!!python/object:pathlib.Path {made}]"
    assert problems(f"greeting: [hi, hello, hey, {evil}]\n", "x.yaml") == [
        "line 1, text: is not a text"
    ]
    assert problems(f"- {evil}\n", "x.yaml") == ["line 1, row: has no text and label"]
    found, _ = read("a: [!!python/name:os.system hi, !!binary aGk=, !!int 7]\n", "x.yaml")
    assert {example.text for example in found} == {"hi", "aGk=", "7"}
    assert not made.exists()


def test_yaml_that_goes_in_circles_or_grows() -> None:
    assert problems("a: &a [*a, hi]\n", "x.yaml")[0] == "line 1, text: is not a text"
    laughs = "a: &a [lol, lol, lol]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join([f'*{chr(97 + i)}'] * 9)}]\n" for i in range(20)
    )
    assert problems(laughs, "x.yaml").count("line 2, text: is not a text") == 9


def test_yaml_that_makes_too_many_rows_of_few_bytes() -> None:
    texts = ", ".join(f"q{number}" for number in range(500))
    labels = "".join(f"l{number}: *a\n" for number in range(500))
    with pytest.raises(InvalidFile, match="more than 200,000 rows"):
        read_labelled(f"base: &a [{texts}]\n{labels}".encode(), "x.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "a: [hi",
        "\t- a",
        "- *nowhere",
        "--- a\n--- b",
        "[" * 5000,
        '- "\\UFFFFFFFF"',
        '- "\\U00110000"',
        f"%YAML {'9' * 5000}.1\n--- a",
    ],
)
def test_not_yaml(text: str) -> None:
    with pytest.raises(InvalidFile, match="is not YAML"):
        read(text, "x.yaml")


@pytest.mark.parametrize("text", ["hello", "# only a comment", "42", "--- !!set"])
def test_yaml_of_another_kind(text: str) -> None:
    with pytest.raises(InvalidFile, match="neither a list of rows nor texts under labels"):
        read(text, "x.yaml")


def test_yaml_nested_wrongly() -> None:
    text = "a:\n- [hi, ho]\n- x: y\nb: text\n? [c]\n: [d]\n"
    assert problems(text, "x.yaml") == [
        "line 2, text: is not a text",
        "line 3, text: is not a text",
        "line 4, label: has no list of texts under it",
        "line 5, label: has no list of texts under it",
    ]
    text = "- [hi, a]\n- text: [hi]\n  label: a\n- label: a\n"
    assert problems(text, "x.yaml") == [
        "line 1, row: has no text and label",
        "line 2, row: has something that is not a text",
        "line 4, text: is empty",
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.csv", "文本,标签\n你好,问候\n您好,问候\n在吗,问候\n"),
        ("x.yaml", "问候: [你好, 您好, 在吗]\n"),
    ],
)
def test_gb18030_is_read_with_a_note(name: str, text: str) -> None:
    found, notes = read(text.encode("gb18030"), name)
    assert {example.text for example in found} == {"你好", "您好", "在吗"}
    assert any("GB18030" in note for note in notes)


def test_from_a_path(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("greeting: [hi, hello, hey]\n", "utf-8")
    assert len(read_examples(path, note=print)) == 3
    with pytest.raises(InvalidFile, match="cannot be read"):
        read_examples(tmp_path / "none.csv", note=print)


# What is wrong.


def test_every_bad_row_is_named_by_its_first_line() -> None:
    text = (
        "text,label\n"
        f"{FILLER}"
        '" ",greeting\n'
        '"two\nlines",\n'
        f"{'x' * (MAX_TEXT + 1)},greeting\n"
        f"long label,{'y' * (MAX_LABEL + 1)}\n"
        'bell,"gree\x07ting"\n'
        "too,many,cells\n"
        "too few\n"
        "\n"
        "lonely,refund\n"
    )
    assert problems(text) == [
        "line 5, text: is empty",
        "line 6, label: is empty",
        "line 8, text: has 4001 characters; 4000 are allowed",
        "line 9, label: has 65 characters; 64 are allowed",
        "line 10, label: has a character that is not text (U+0007)",
        "line 11, row: has 3 cells; the header has 2",
        "line 12, row: has 1 cells; the header has 2",
        "line 14, label: 'refund' has 1 of at least 3 texts",
    ]


def test_a_text_with_two_labels_names_the_other_line() -> None:
    text = f"text,label\n{FILLER}who,greeting\nbye,goodbye\nbb,goodbye\nciao,goodbye\nwho,goodbye\n"
    assert problems(text) == [
        "line 5, label: 'greeting', but the same text is also 'goodbye' (line 9)",
        "line 9, label: 'goodbye', but the same text is also 'greeting' (line 5)",
    ]


def test_a_text_with_many_labels_names_a_few_of_them() -> None:
    rows = "".join(f"same,l{number}\n" for number in range(300))
    assert max(map(len, problems(f"text,label\n{rows}"))) < 1000


@pytest.mark.parametrize("sign", ["\x00", "\x7f", "\x85", "\ud800"])
def test_labels_that_could_not_be_shown(sign: str) -> None:
    rows = [{"text": text, "label": f"a{sign}b"} for text in ("one", "two", "three")]
    found = problems("\n".join(map(json.dumps, rows)), "x.jsonl")
    assert [problem.split(":")[0] for problem in found] == [f"line {n}, label" for n in (1, 2, 3)]


def test_half_a_character_is_no_text() -> None:
    rows = [{"text": text, "label": "a"} for text in ("one", "two", "three", "\ud800")]
    assert problems("\n".join(map(json.dumps, rows)), "x.jsonl")[0].startswith("line 4, text")


@pytest.mark.parametrize("rows", ["hi,a\n", "hi,a\nhi,b,c\n"])
def test_a_missing_column_is_named(rows: str) -> None:
    assert problems(f"text,foo\n{rows}")[0] == "line 1, label: column is missing"


def test_a_column_given_twice_by_its_alias() -> None:
    assert "line 1, text: column is given twice" in problems("text,query,label\na,b,c\n")


def test_bad_json_lines() -> None:
    text = '{"text": 1\n[1]\n{"text": ["q"], "label": "a"}\n{"text": {"b": 1}, "label": "a"}\n'
    found = problems(text, "x.jsonl")
    assert found[0].startswith("line 1, row: is not JSON")
    assert found[1:] == [
        "line 2, row: is not a JSON object",
        "line 3, text: is empty",
        "line 4, row: 'text' is neither a text nor a list of texts",
    ]


def test_a_label_has_three_texts_or_none_but_oos_may_have_one() -> None:
    found, _ = read(f"text,label\n{FILLER}what is the capital of Peru,oos\n")
    assert found[-1].label == "oos"
    # Three times the same text is one text.
    assert len(problems(f"text,label\n{FILLER}a,b\na,b\na,b\n")) == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"text,label\n", "has no examples"),
        (b"PK\x03\x04rest", "Excel workbook"),
        (b'[{"text": 1}]', "one object a line"),
        (b"text,label\na,\n", "1 line cannot be taken"),
    ],
)
def test_what_is_no_data_set(content: bytes, says: str) -> None:
    with pytest.raises(InvalidFile, match=says):
        read(content)


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.text(max_size=100).map(lambda text: b"text,label\n" + text.encode("utf-8", "replace")),
        st.text('ab,"\n{}[]:-&*!#|>\\U0 ', max_size=60).map(str.encode),
    ),
    st.sampled_from(["x.csv", "x.jsonl", "x.yaml"]),
    st.booleans(),
)
def test_nothing_but_invalid_file_is_raised(content: bytes, name: str, lenient: bool) -> None:
    try:
        found, _ = read(content, name, lenient=lenient)
    except InvalidFile:
        return
    assert found
    assert len(set(pairs(found))) == len(found)


# What is left out, and what is only noted.


def test_lenient_leaves_out_what_it_notes() -> None:
    text = f"text,label\n{FILLER},greeting\nx,y,z\nwho,greeting\nwho,goodbye\nlonely,refund\n"
    found, notes = read(text, lenient=True)
    assert [example.line for example in found] == [2, 3, 4]
    assert notes[0] == "5 rows were left out:"
    assert notes[1:] == [
        "  line 6, row: has 3 cells; the header has 2",
        "  line 5, text: is empty",
        "  line 7, label: 'greeting', but the same text is also 'goodbye' (line 8)",
        "  line 8, label: 'goodbye', but the same text is also 'greeting' (line 7)",
        "  line 9, label: 'refund' has 1 of at least 3 texts",
    ]


def test_lenient_leaves_out_a_label_that_contradictions_made_rare() -> None:
    found, _ = read("text,label\n" + FILLER + "a,b\nc,b\nhey,b\n1,d\n2,d\n3,d\n", lenient=True)
    assert {example.label for example in found} == {"d"}


def test_lenient_leaves_out_a_row_and_not_its_line() -> None:
    text = "a: [same, one, two, three]\nb: [same, four, five, six]\n"
    found, _ = read(text, "x.yaml", lenient=True)
    assert {example.text for example in found} == {"one", "two", "three", "four", "five", "six"}


def test_nothing_left_is_no_data_set() -> None:
    with pytest.raises(InvalidFile, match="has no examples"):
        read("text,label\nhi,greeting\n", lenient=True)


def test_repetitions_count_once() -> None:
    found, notes = read(f"text,label\n{FILLER}hi,greeting\n hi ,greeting\n")
    assert [example.line for example in found] == [2, 3, 4]
    assert notes == ["2 repeated rows count once."]


def test_a_slip_into_another_language() -> None:
    rows = "".join(f"english number {number},greeting\n" for number in range(30))
    found, notes = read(f"text,label\n{rows}你好,greeting\n")
    assert len(found) == 31
    assert notes == ["Languages are mixed: 1 of 31 texts look zh (line 32)."]
    rows = "".join(f"你好{number},greeting\n" for number in range(200))
    more = "".join(f"hello {number},greeting\n" for number in range(6))
    _, notes = read(f"text,label\n{rows}{more}")
    assert "6 of 206 texts look en (line 202, 203, 204, 205, 206, …)" in notes[0]


def test_labels_that_lack_a_language() -> None:
    both = f"text,label\n{FILLER}你好,greeting\n"
    assert read(both)[1] == []
    _, notes = read(
        f"{both}bye,goodbye\nbb,goodbye\nciao,goodbye\n谢谢,thanks\n多谢,thanks\n谢啦,thanks\n"
    )
    assert notes == ["Languages are mixed, and 2 labels have texts in only one: goodbye, thanks."]


def test_languages_are_counted_by_text_and_not_by_line() -> None:
    english = ", ".join(f"english {number}" for number in range(30))
    _, notes = read(f"greeting: [{english}, 你好]\n", "x.yaml")
    assert notes == ["Languages are mixed: 1 of 31 texts look zh (line 1)."]


def test_a_test_file_is_read_as_it_is() -> None:
    found = read_labelled(b"text,label\nhi,a\nhi,a\nhi,b\n")
    assert pairs(found) == [("hi", "a"), ("hi", "a"), ("hi", "b")]
    with pytest.raises(InvalidFile, match="2 lines"):
        read_labelled(b"text,label\n,a\nhi,\nho,a\n")
    with pytest.raises(InvalidFile, match="no examples"):
        read_labelled(b"text,label\n")


def test_several_files_are_one_set_and_must_agree(tmp_path: Path) -> None:
    one, other, third = (tmp_path / name for name in ("1.csv", "2.yaml", "3.csv"))
    one.write_text(f"text,label\n{FILLER}")
    other.write_text("greeting: [hey, yo, hiya]\n")
    third.write_text("text,label\nciao,goodbye\nhey,goodbye\nbye,goodbye\n")
    found = read_files([one, other], note=print)
    assert [example.text for example in found] == ["hi", "hello", "hey", "yo", "hiya"]
    with pytest.raises(InvalidFile, match="do not agree") as caught:
        read_files([one, other, third], note=print)
    assert str(caught.value.problems[0]) == (
        f"line 3, label: 'goodbye', but the same text is 'greeting' in {one} (line 4)"
    )


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_sample_shops_examples_are_in_order(language: str) -> None:
    path = Path(dataset.__file__).parent / "sample_shop" / f"examples.{language}.csv"
    notes: list[str] = []
    assert len(read_examples(path, note=notes.append)) > 1000
    # A brand or "OK" may look like the other language; nothing else is to be said.
    assert [note for note in notes if not note.startswith("Languages")] == []


# Splitting.

LABELLED = [Example(f"text {n} of {label}", label, n) for label in "abc" for n in range(20)]


def test_a_split_takes_the_share_of_every_label() -> None:
    kept, out = split(LABELLED, 0.2)
    assert [sum(e.label == label for e in out) for label in "abc"] == [4, 4, 4]
    assert len(kept) == 48
    assert split(LABELLED, 0.2) == (kept, out)
    assert split(LABELLED, 0.2, seed=1)[1] != out
    assert split(LABELLED, 0.2, seed=0)[1] == out
    assert split(LABELLED, 0) == (LABELLED, [])


def test_twins_stay_together_and_the_only_text_stays_in_training() -> None:
    twins = [
        Example(text, "a", n) for n, text in enumerate(["How much?", "how  much", "HOW-MUCH!"])
    ]
    lonely = [Example("Hi", "b", 9), Example("hi!", "b", 10)]
    others = [Example(f"other {n}", "a", 20 + n) for n in range(3)]
    sides = set()
    for seed in range(20):
        kept, out = split([*twins, *lonely, *others], 0.5, seed)
        assert set(lonely) <= set(kept)
        assert set(twins) <= set(kept) or set(twins) <= set(out)
        sides.add(twins[0] in out)
    assert sides == {True, False}


@given(
    st.lists(
        st.builds(Example, st.text("aA b!", min_size=1, max_size=4), st.sampled_from("xyz")),
        max_size=30,
    ),
    st.floats(0, 1),
    st.integers(0, 5),
)
def test_a_split_is_a_partition(examples: list[Example], share: float, seed: int) -> None:
    kept, out = split(examples, share, seed)
    assert sorted(pairs([*kept, *out])) == sorted(pairs(examples))
    assert {e.label for e in kept} == {e.label for e in examples}
    twins = {(folded(e.text), e.label) for e in kept} & {(folded(e.text), e.label) for e in out}
    assert not twins


# Words.


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How MUCH?", "how much"),
        ("怎么 退货？", "怎么退货"),
        ("snake_case", "snake case"),
        ("ß", "ss"),
    ],
)
def test_what_folds_together(one: str, other: str) -> None:
    assert folded(one) == folded(other)


def test_signs_alone_are_not_all_the_same() -> None:
    assert folded("？？") == "？？"
    assert folded("👍") != folded("👎")


@given(st.permutations(LABELLED[:6]))
def test_the_digest_is_of_the_set(examples: list[Example]) -> None:
    moved = [Example(e.text, e.label, 1000 + n) for n, e in enumerate(examples)]
    assert digest(moved) == digest(LABELLED[:6])


def test_other_data_have_another_digest() -> None:
    assert digest([Example("x", "a")]) != digest([Example("x", "b")])
    assert digest([Example("x", "a")]) != digest([Example("x", "a")] * 2)
    assert digest([Example("x\nb\ty", "a")]) != digest([Example("x", "a"), Example("y", "b")])
    assert digest([Example("\ud800", "a")])


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("refund_status", "refund status"),
        ("refundStatus", "refund status"),
        ("REFUND-STATUS", "refund status"),
        ("shipping.cost/abroad", "shipping cost abroad"),
        ("退款_状态", "退款 状态"),
        ("__", ""),
    ],
)
def test_a_label_as_a_person_would_say_it(label: str, words: str) -> None:
    assert label_in_words(label) == words
