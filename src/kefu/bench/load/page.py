"""The report as one HTML file, pictures and all: nothing is loaded from anywhere."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from kefu.bench.load.figures import Figures, Latency, Moment
from kefu.bench.load.report import Report
from kefu.bench.load.watching import Load
from kefu.bert.optional import require_matplotlib

# Okabe and Ito's colours, told apart by nearly everybody.
_COLOURS = {
    "faq": "#0072b2",
    "cache": "#56b4e9",
    "canned": "#009e73",
    "model": "#d55e00",
    "handoff": "#999999",
    "held": "#cc79a7",
    "blocked": "#e69f00",
    "desk": "#0072b2",
    "llama.cpp": "#d55e00",
    "customers": "#999999",
}
_OTHER = "#000000"

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2rem}
.said{font-size:1.25rem;padding:.8rem 1rem;background:#eef4fa;border-left:4px solid #0072b2}
table{border-collapse:collapse}td,th{padding:.25rem .8rem;text-align:right;border-bottom:1px solid #ddd}
td:first-child,th:first-child{text-align:left}svg{max-width:100%;height:auto}
small,.note{color:#666}
"""


def page(report: Report) -> str:
    """Raises `NotInstalled` without matplotlib."""
    found, loads = report.figures, report.figures.loads
    parts = [
        f"<h1>kefu bench serve</h1><p class='said'>{escape(report.statement)}</p>",
        f"<p>{escape(_described(report))}</p>",
        "<h2>What customers waited for</h2>",
        _latency_table(found),
        _svg(_draw_bars, found),
        "<h2>Over the test</h2>",
        _svg(_draw_times, found.moments),
        _svg(_draw_rates, found.moments),
    ]
    if loads:
        parts += [
            "<h2>What the processes took</h2>",
            _process_table(found),
            _svg(_draw_loads, loads),
        ]
    if report.capacity:
        parts += ["<h2>The way to the capacity</h2>", _capacity_table(report)]
    parts += ["<h2>Which message was answered from where</h2>", _sources_table(found)]
    if found.errors:
        rows = ((reason, f"{count:,}") for reason, count in found.errors.items())
        parts += ["<h2>Errors</h2>", _table(("what", "how many"), rows)]
    parts.append(f"<h2>The machine</h2><p class='note'>{escape(_machine(report.machine))}</p>")
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'><title>kefu bench serve</title>"
        f"<style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _described(report: Report) -> str:
    test, mix = report.test, report.mix
    shares = ", ".join(f"{100 * share:g}% {kind}" for kind, share in mix.by_kind.items() if share)
    return (
        f"{test.users:,} customers, {test.rate:g} messages a second for {test.seconds:g} s, at random "
        f"moments (seed {test.seed}): {shares}; {100 * mix.streamed:g}% streamed. Times count from "
        "when a message was due, whether or not the customer was still waiting for the one before."
    )


def _latency_table(found: Figures) -> str:
    rows = [
        (source, f"{100 * found.shares[source]:.1f}%", *_row(latency))
        for source, latency in found.by_source.items()
    ]
    if found.quick:
        rows.append(("all but model", "", *_row(found.quick)))
    head = ("source", "share", "replies", "p50 ms", "p90 ms", "p99 ms", "longest ms")
    return _table(head, rows)


def _row(latency: Latency) -> tuple[str, ...]:
    times = (latency.p50, latency.p90, latency.p99, latency.longest)
    return (f"{latency.n:,}", *(_ms(time) for time in times))


def _process_table(found: Figures) -> str:
    head = ("process", "cores, mean", "at most", "MiB at the end", "at most", "MiB a minute")
    rows = (
        (
            name,
            f"{p.mean_cpu:.2f}",
            f"{p.most_cpu:.2f}",
            f"{p.memory_mib:.0f}",
            f"{p.most_memory_mib:.0f}",
            f"{p.growth_mib_per_minute:+.2f}",
        )
        for name, p in found.processes.items()
    )
    return _table(head, rows)


def _capacity_table(report: Report) -> str:
    assert report.capacity
    rows = (
        (
            f"{rate:.0f}",
            _ms(found.quick.p99) if found.quick else "-",
            _ms(found.written.p99) if found.written else "-",
            f"{100 * found.share_written:.1f}%",
            f"{found.error_count:,}",
            "yes" if is_held else "no",
        )
        for rate, is_held, found in report.capacity.steps
    )
    head = ("messages/s", "p99 ms", "generated, p99 ms", "generated", "errors", "held")
    return _table(head, rows)


def _sources_table(found: Figures) -> str:
    sources = list(found.by_source)
    rows = (
        (kind.replace("_", "-"), *(f"{counts.get(source, 0):,}" for source in sources))
        for kind, counts in found.sources_of.items()
    )
    return _table(("message", *sources), rows)


def _machine(machine: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"{machine['cpu']}, {machine['usable_cpus']} CPUs, {machine['memory_gib']} GiB, "
        f"{machine['system']}; {versions}. Other programs took {machine['busy_percent']:.0f}% of the "
        "processors at the start."
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return f"<table><tr>{cells}</tr>{body}</table>"


def _svg(draw: Any, data: Any) -> str:
    matplotlib = require_matplotlib()
    figure = matplotlib.figure.Figure(figsize=(9, 3.4), layout="constrained")
    draw(figure, data)
    out = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "kefu"}):  # the same figures, the same bytes
        figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()[out.getvalue().index("<svg") :]


def _draw_bars(figure: Any, found: Figures) -> None:
    panel = figure.subplots()
    names = list(found.by_source)
    for shift, (percentile, alpha) in enumerate((("p50", 0.45), ("p90", 0.7), ("p99", 1.0))):
        values = [getattr(found.by_source[name], percentile) for name in names]
        places = [number + (shift - 1) * 0.27 for number in range(len(names))]
        colours = [_COLOURS.get(name, _OTHER) for name in names]
        panel.bar(places, values, 0.25, color=colours, alpha=alpha)
        for place, value in zip(places, values, strict=True):
            panel.annotate(_ms(value), (place, value), ha="center", va="bottom", fontsize=7)
    panel.set_xticks(range(len(names)), names)
    _logarithmic(panel)
    _plain(panel, "ms: p50, p90, p99")


def _draw_times(figure: Any, moments: Sequence[Moment]) -> None:
    panel = figure.subplots()
    lines = (
        ("not generated, p50", "quick", "p50", "#56b4e9"),
        ("not generated, p99", "quick", "p99", "#0072b2"),
        ("generated, p50", "written", "p50", "#e69f00"),
        ("generated, p99", "written", "p99", "#d55e00"),
    )
    for label, group, percentile, colour in lines:
        known = [(m.at, getattr(m, group)) for m in moments if getattr(m, group)]
        if known:
            times = [at for at, _ in known]
            panel.plot(times, [getattr(x, percentile) for _, x in known], label=label, color=colour)
    _logarithmic(panel)
    _plain(panel, "ms", "seconds")
    panel.legend(frameon=False, fontsize=8, ncols=2)


def _draw_rates(figure: Any, moments: Sequence[Moment]) -> None:
    panel = figure.subplots()
    sources = list(dict.fromkeys(source for m in moments for source in m.replies))
    times = [moment.at for moment in moments]
    stacks = [[m.replies.get(source, 0) / m.seconds for m in moments] for source in sources]
    if sources:
        colours = [_COLOURS.get(source, _OTHER) for source in sources]
        panel.stackplot(times, stacks, labels=sources, colors=colours)
    panel.plot(times, [m.errors / m.seconds for m in moments], color="red", label="errors")
    _plain(panel, "replies a second", "seconds")
    panel.legend(frameon=False, fontsize=8, ncols=4)


def _draw_loads(figure: Any, loads: Mapping[str, Sequence[Load]]) -> None:
    left, right = figure.subplots(1, 2)
    begun = min(load.at for looks in loads.values() for load in looks)
    for name, looks in loads.items():
        times = [load.at - begun for load in looks]
        colour = _COLOURS.get(name, _OTHER)
        left.plot(times, [load.cpu for load in looks], label=name, color=colour)
        right.plot(times, [load.memory_mib for load in looks], label=name, color=colour)
    left.set_ylim(bottom=0)
    right.set_ylim(bottom=0)
    _plain(left, "cores in use", "seconds")
    _plain(right, "MiB resident", "seconds")
    left.legend(frameon=False, fontsize=8)


def _logarithmic(panel: Any) -> None:
    panel.set_yscale("log")
    for axis_ticks in (panel.yaxis.set_major_formatter, panel.yaxis.set_minor_formatter):
        axis_ticks(lambda value, _: f"{value:g}")
    panel.tick_params(axis="y", which="minor", labelsize=7)


def _plain(panel: Any, what: str, below: str = "") -> None:
    panel.set_ylabel(what)
    panel.set_xlabel(below)
    panel.grid(axis="y", color="#dddddd", linewidth=0.7)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:,.0f}" if milliseconds >= 10 else f"{milliseconds:.1f}"
