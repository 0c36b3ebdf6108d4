"""A run as one picture: how long customers waited, second by second, and when something was away."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from loadtests.cluster.record import Message, Outage

from kefu.bench.load.figures import latency_of
from kefu.bert.optional import require_matplotlib

_WAITS = (("p50", "#56b4e9"), ("p99", "#0072b2"))


def draw(told: Sequence[Message], outages: Sequence[Outage], path: Path) -> None:
    """Of messages that were not written, by when they were due. Raises `NotInstalled`."""
    matplotlib = require_matplotlib()
    figure = matplotlib.figure.Figure(figsize=(14, 5), layout="constrained")
    panel = figure.subplots()
    by_second: defaultdict[int, list[float]] = defaultdict(list)
    for message in told:
        if not message.is_written:
            by_second[int(message.due)].append(message.wait)
    found = {second: latency_of(waits) for second, waits in sorted(by_second.items())}
    for percentile, colour in _WAITS:
        waits = [getattr(latency, percentile) for latency in found.values()]
        panel.plot(list(found), waits, color=colour, label=percentile, linewidth=1)
    for outage in outages:
        panel.axvspan(outage.killed_at, outage.whole_at, color="#d55e00", alpha=0.15, linewidth=0)
        panel.text(outage.killed_at, 1.01, outage.program, transform=panel.get_xaxis_transform(),
                   rotation=60, fontsize=8)  # fmt: skip
    panel.set_yscale("log")
    panel.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    panel.set_ylabel("ms from when a message was due")
    panel.set_xlabel("seconds; coloured: from kill -9 until all was whole again")
    panel.grid(axis="y", color="#dddddd", linewidth=0.7)
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False, loc="lower right")
    figure.savefig(str(path), dpi=150)
