import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kefu.errors import GeneratorUnavailable
from kefu.inference.generator.sse import MAX_EVENT_BYTES, EventReader

STREAM = (
    ": hello\n\nevent: delta\nid: 7\ndata: 退货\r\n\r\ndata:a\ndata: b\n\n"
    'error: {"message": 1}\n\ndata: \u2028\n\ndata: [DONE]\n\n'
).encode()
EVENTS = ["退货".encode(), b"a\nb", b'{"message": 1}', "\u2028".encode(), b"[DONE]"]


@given(cuts=st.lists(st.integers(0, len(STREAM)), max_size=30))
def test_events_come_out_the_same_wherever_the_stream_is_cut(cuts):
    reader = EventReader()
    bounds = [0, *sorted(cuts), len(STREAM)]
    chunks = [STREAM[a:b] for a, b in itertools.pairwise(bounds)]

    assert [e for chunk in chunks for e in reader.feed(chunk)] == EVENTS


def test_an_event_without_its_blank_line_is_given_at_the_end():
    reader = EventReader()

    assert reader.feed(b"data: last\n") == []
    assert reader.finish() == [b"last"]
    assert reader.finish() == []


@pytest.mark.parametrize("line", [b"data: " + b"x" * 1000, b"data: " + b"x" * 1000 + b"\n"])
def test_a_stream_without_an_end_of_event_is_given_up(line):
    reader = EventReader()
    lines = itertools.repeat(line, MAX_EVENT_BYTES // 1000 + 2)

    with pytest.raises(GeneratorUnavailable, match="bytes"):
        list(map(reader.feed, lines))
