import pytest

from kefu.bench.load.figures import figures
from kefu.bench.load.plan import Sample
from kefu.bench.load.running import held
from kefu.bench.load.watching import Load


def reply(due, seconds, source="faq", **changed):
    told = {
        "begun": due,
        "first": None,
        "ended": due + seconds,
        "kind": "known",
        "is_streamed": False,
        "status": 200,
        "source": source,
    }
    return Sample(due, **{**told, **changed})


def test_percentiles_are_by_source():
    quick = [reply(second / 10, (second + 1) / 1000) for second in range(100)]
    written = [reply(5, 2.0, "model"), reply(6, 4.0, "model")]
    found = figures(quick + written, 0, 10, {})
    assert found.rate == pytest.approx(10.2)
    faq = found.by_source["faq"]
    assert (faq.n, faq.p50, faq.p90, faq.p99, faq.longest) == pytest.approx((100, 50, 90, 99, 100))
    assert found.written.p50 == pytest.approx(2000)
    assert found.written.p99 == pytest.approx(4000)
    assert found.quick == faq
    assert found.share_written == pytest.approx(2 / 102)


def test_what_a_customer_waited_counts_from_when_the_message_was_due():
    late = reply(1.0, 0.0, begun=3.0, ended=3.01)
    assert figures([late], 0, 10, {}).quick.p50 == pytest.approx(2010)


def test_a_message_without_a_reply_is_an_error():
    refused = reply(1, 0.1, "", status=503, error="overloaded")
    found = figures([reply(0, 0.1), refused], 3, 10, {})
    assert found.errors == {"overloaded": 1, "no reply": 3}
    assert found.sent == 5
    assert not held(found, 400)


def test_only_quick_replies_decide_whether_a_rate_is_held():
    assert held(figures([reply(0, 0.1), reply(0, 9, "model")], 0, 10, {}), 400)
    assert not held(figures([reply(0, 0.5)], 0, 10, {}), 400)
    assert not held(figures([], 0, 10, {}), 400)


def test_moments_cover_the_test():
    samples = [reply(second + 0.5, 0.01) for second in range(60)]
    found = figures(samples, 0, 60, {}, moments=6)
    assert [moment.at for moment in found.moments] == [0, 10, 20, 30, 40, 50]
    assert all(moment.replies == {"faq": 10} for moment in found.moments)


def test_first_pieces_are_of_streams():
    streamed = reply(1.0, 2.0, "model", first=1.3, is_streamed=True)
    found = figures([streamed, reply(0, 0.1)], 0, 10, {})
    assert set(found.first_piece) == {"model"}
    assert found.first_piece["model"].p50 == pytest.approx(300)


def test_growth_of_memory_is_that_of_the_second_half():
    flat_after_start = [Load(t, 0.5, min(100 + 10 * t, 400)) for t in range(120)]
    growing = [Load(t, 1.5, 100 + t / 6) for t in range(120)]
    found = figures([], 0, 120, {"desk": flat_after_start, "llama.cpp": growing, "gone": []})
    assert set(found.processes) == {"desk", "llama.cpp"}
    assert found.processes["desk"].growth_mib_per_minute == pytest.approx(0)
    assert found.processes["llama.cpp"].growth_mib_per_minute == pytest.approx(10)
    assert found.processes["llama.cpp"].mean_cpu == pytest.approx(1.5)
