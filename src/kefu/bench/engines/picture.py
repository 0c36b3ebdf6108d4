"""The figures of `kefu bench engines` as lines over the number of answers at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kefu.bench.engines.comparison import Report
from kefu.bert.optional import require_matplotlib
from kefu.errors import InvalidInput

# Okabe and Ito's colours, told apart by nearly everybody.
_COLOURS = {"transformers": "#0072b2", "llama-cpp-python": "#e69f00", "kefu": "#d55e00"}


def draw(report: Report, path: Path) -> None:
    """Raises `NotInstalled` without matplotlib, `InvalidInput` where the file cannot be written."""
    matplotlib = require_matplotlib()
    figure = matplotlib.figure.Figure(figsize=(9, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for row in (row for row in report.rows if row.cells):
        streams = [cell.streams for cell in row.cells]
        style = {"label": row.name, "color": _COLOURS[row.name], "marker": "o"}
        left.plot(streams, [cell.first_token_ms for cell in row.cells], **style)
        right.plot(streams, [cell.tokens_per_second for cell in row.cells], **style)
    left.set_yscale("log")
    left.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    for panel, title in (
        (left, "first token, milliseconds (median)"),
        (right, "tokens a second, all together"),
    ):
        _plain(panel, title, [cell.streams for cell in report.rows[-1].cells])
    right.set_ylim(bottom=0)
    left.legend(frameon=False, fontsize=9)
    figure.suptitle(
        f"{report.model}, {report.tokens} tokens an answer\n"
        f"{report.machine['cpu']}, {report.threads} thread{'s' if report.threads > 1 else ''}",
        fontsize=12,
    )
    try:
        figure.savefig(str(path), dpi=150)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror or error}.") from error


def _plain(panel: Any, title: str, streams: list[int]) -> None:
    panel.set_title(title, fontsize=11)
    panel.set_xlabel("answers at once")
    panel.set_xscale("log", base=2)
    panel.set_xticks(streams, list(map(str, streams)))
    panel.grid(axis="y", color="#dddddd", linewidth=0.7)
    panel.spines[["top", "right"]].set_visible(False)
