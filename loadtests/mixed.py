"""A desk under a constant rate of messages of which some must be written; and what comes after.

    python -m loadtests.mixed [--rate 200] [--users 500] [--seconds 600] [--new 0.02]
                              [--calm 50:20] [--json]

The sample shop's questions with Zipf's frequencies, and `--new` of questions to a document, which the
generator answers each time anew: nothing that it writes is kept. `--calm RATE:SECONDS` goes on at
a lower rate right after the last message was due and says from when on the desk was as quick as
before. Latencies count from when a message was due. Customers, desk and llama.cpp share the machine.

Needs `kefu[bench]` and the models that `make test` fetches.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from loadtests.crash import import_disputed
from prometheus_client.parser import text_string_to_metric_families
from tests.e2e.desk_process import DeskProcess
from tests.e2e.folders import DISPUTED_QUESTIONS, link_models

from kefu.bench.load.figures import Figures, Latency
from kefu.bench.load.questions import words_of
from kefu.bench.load.running import Test, run_test
from kefu.bench.load.traffic import Mix, Words
from kefu.bench.machine import describe_machine
from kefu.knowledge.sample_shop import sample_entries
from kefu.settings import default_data_dir

WRITTEN_ANEW = {"KEFU_ANSWERS__MAX_ENTRIES": "0"}
WARM_UP = Test("", "", users=50, spawn_rate=50, rate=50, seconds=15, seed=11)
MOST_WRITTEN_FOR_SURE = 40
# So much slower than before the load is as quick as before.
AS_QUICK = 2.0


@dataclass(frozen=True)
class Outcome:
    """`calm_after`: seconds until the desk was as quick as in the warm-up, "never" where it was not;
    None where nobody looked. `loop_lag_p99_ms` is at most that: the border of the histogram's bucket."""

    warm_up: Figures
    loaded: Figures
    calm_after: float | str | None
    loop_lag_p99_ms: float


def written_questions(desk: DeskProcess) -> list[str]:
    """Questions to the document whose answers are really written, in random order."""
    found = []
    for question in DISPUTED_QUESTIONS:
        if desk.ask(question, uid=f"try-{question}")["source"] == "model":
            found.append(question)
        if len(found) == MOST_WRITTEN_FOR_SURE:
            break
    if not found:
        raise RuntimeError("The generator writes none of the answers.")
    return found


def measure(desk: DeskProcess, given: argparse.Namespace) -> Outcome:
    import_disputed(desk)
    times = 1 + int(2 * given.rate * given.seconds * given.new) // MOST_WRITTEN_FOR_SURE
    asked = words_of(sample_entries())
    words = Words(known=asked.known, new=written_questions(desk) * times, blocked=asked.blocked)
    mix = Mix(1 - given.new, 0.0, given.new, 0.0, 0.0, streamed=given.streamed)
    warm_up = run(desk, WARM_UP.rate, WARM_UP.seconds, words, mix, WARM_UP.users)
    before = lags(desk)
    loaded = run(desk, given.rate, given.seconds, words, mix, given.users)
    calm_after = None
    if given.calm:
        rate, seconds = given.calm
        calm_after = quick_again(run(desk, rate, seconds, words, mix, given.users), warm_up)
    return Outcome(warm_up, loaded, calm_after, p99_of(before, lags(desk)))


def run(
    desk: DeskProcess, rate: float, seconds: float, words: Words, mix: Mix, users: int
) -> Figures:
    test = Test(desk.origin, "", users, users, rate, seconds, seed=int(rate))

    def progress(done: float, total: float) -> None:
        if sys.stderr.isatty():
            print(
                f"\r{rate:g}/s: {done:.0f} of {total:.0f} s ", end="", file=sys.stderr, flush=True
            )

    return run_test(test, words, mix, progress)


def quick_again(after: Figures, before: Figures) -> float | str:
    # Not p99: of the fifty messages of a second that is the longest, and may have waited to be written.
    limit = AS_QUICK * (before.quick.p90 if before.quick else 0.0)
    slow = [m.at + m.seconds for m in after.moments if m.quick and m.quick.p90 > limit]
    if not slow:
        return 0.0
    return max(slow) if max(slow) < after.seconds - after.moments[-1].seconds else "never"


def lags(desk: DeskProcess) -> dict[float, float]:
    """How often the event loop was no later than so many seconds."""
    return {
        float(sample.labels["le"]): sample.value
        for family in text_string_to_metric_families(desk.get("/metrics").text)
        for sample in family.samples
        if sample.name == "kefu_event_loop_lag_seconds_bucket"
    }


def p99_of(before: dict[float, float], after: dict[float, float]) -> float:
    counts = {border: after[border] - before.get(border, 0.0) for border in after}
    total = max(counts.values())
    return 1000 * min(border for border, count in counts.items() if count >= 0.99 * total)


def _line(name: str, latency: Latency | None) -> str:
    if latency is None:
        return f"{name:22} none"
    return (f"{name:22} {latency.n:7} replies  p50 {latency.p50:8.1f}  p90 {latency.p90:8.1f}  "
            f"p99 {latency.p99:8.1f}  longest {latency.longest:8.1f} ms")  # fmt: skip


def table(outcome: Outcome) -> str:
    found = outcome.loaded
    lines = [
        f"{found.sent} messages, {found.rate:.1f} replies/s, errors {found.errors or 'none'}; "
        f"of all replies {', '.join(f'{k} {v:.1%}' for k, v in found.shares.items())}",
        _line("not written", found.quick),
        _line("written", found.written),
        *(_line(f"  {source}", latency) for source, latency in found.by_source.items()),
        *(_line(f"  first of {name}", each) for name, each in found.first_piece.items()),
        f"new questions were answered from {found.sources_of.get('new', {})}",
        *(
            f"{name:22} {p.mean_cpu:.2f} cores, {p.memory_mib:.0f} MiB, "
            f"{p.growth_mib_per_minute:+.2f} MiB/min"
            for name, p in found.processes.items()
        ),
        f"event loop late          p99 <= {outcome.loop_lag_p99_ms:g} ms",
        f"before                   {_line('', outcome.warm_up.quick).strip()}",
    ]
    if outcome.calm_after is not None:
        lines.append(f"as quick as before after {outcome.calm_after} s")
    return "\n".join(lines)


def _calm(text: str) -> tuple[float, float]:
    rate, _, seconds = text.partition(":")
    return float(rate), float(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rate", type=float, default=200)
    parser.add_argument("--users", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--new", type=float, default=0.02)
    parser.add_argument("--streamed", type=float, default=0.2)
    parser.add_argument("--calm", type=_calm, help="RATE:SECONDS after it")
    parser.add_argument("--models", type=Path, default=default_data_dir() / "models")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    machine = describe_machine()
    with tempfile.TemporaryDirectory() as folder:
        data = link_models(Path(folder) / "data", given.models)
        desk = DeskProcess(data, settings=WRITTEN_ANEW)
        try:
            outcome = measure(desk.start(), given)
        finally:
            desk.close()
    if given.json:
        print(json.dumps({"machine": machine, **asdict(outcome)}, indent=1))
    else:
        print(table(outcome))


if __name__ == "__main__":
    main()
