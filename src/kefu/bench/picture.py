"""The figures of `kefu bench encoder` as bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kefu.bench.encoder import Report, Row
from kefu.bert.optional import require_matplotlib
from kefu.errors import InvalidInput

SUFFIXES = (".png", ".svg")

# Okabe and Ito's colours, told apart by nearly everybody: PyTorch blue, ONNX red, others grey.
_COLOURS = ("#9ecae1", "#4292c6", "#08519c", "#f4a582", "#d6604d", "#999999")


def check_picture_name(path: Path) -> None:
    """Raises `InvalidInput`: better before minutes of measuring than after."""
    if path.suffix.lower() not in SUFFIXES:
        raise InvalidInput(f"{path}: name a picture that ends in {' or '.join(SUFFIXES)}.")


def draw(report: Report, path: Path) -> None:
    """One panel for each length, one group for each batch, one bar for each row that has figures.

    Raises `NotInstalled` without matplotlib, `InvalidInput` where the file cannot be written.
    """
    matplotlib = require_matplotlib()
    rows = [row for row in report.rows if row.cells]
    lengths = sorted({cell.tokens for row in rows for cell in row.cells})
    figure = matplotlib.figure.Figure(figsize=(2 + 4 * len(lengths), 5.4), layout="constrained")
    panels = figure.subplots(1, len(lengths), squeeze=False, sharey=True)[0]
    for panel, tokens in zip(panels, lengths, strict=True):
        _draw_panel(panel, rows, _colours(report), tokens)
    panels[0].set_ylabel("one call, milliseconds (median; line: 95th percentile)")
    columns = min(len(rows), 2 * len(lengths))
    legend = panels[0].get_legend_handles_labels()
    figure.legend(*legend, loc="outside lower center", ncols=columns, frameon=False)
    figure.suptitle(_title(report), fontsize=12)
    try:
        figure.savefig(str(path), dpi=150)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror or error}.") from error


def _draw_panel(panel: Any, rows: Sequence[Row], colours: Mapping[str, str], tokens: int) -> None:
    width = 0.86 / len(rows)
    batches = sorted({cell.batch for cell in rows[0].cells})
    for number, row in enumerate(rows):
        cells = [cell for cell in row.cells if cell.tokens == tokens]
        cells.sort(key=lambda cell: cell.batch)
        medians = [cell.median_ms for cell in cells]
        places = [group + (number - (len(rows) - 1) / 2) * width for group in range(len(cells))]
        slower = [max(0.0, cell.p95_ms - cell.median_ms) for cell in cells]
        panel.bar(
            places,
            medians,
            width * 0.94,
            yerr=([0.0] * len(cells), slower),
            error_kw={"elinewidth": 0.8, "ecolor": "#333333"},
            color=colours[row.name],
            hatch=None if row.same_weights else "///",
            edgecolor="white",
            linewidth=0.0,
            label=row.name if row.same_weights else f"{row.name} (another model)",
        )
        for place, cell in zip(places, cells, strict=True):
            panel.annotate(
                _short(cell.median_ms),
                (place, max(cell.median_ms, cell.p95_ms)),
                xytext=(0, 3),
                textcoords="offset points",
                ha="center",
                va="bottom",
                rotation=90,
                fontsize=7.5,
            )
    panel.set_yscale("log")
    panel.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    panel.margins(y=0.12)
    panel.set_xticks(range(len(batches)), [str(batch) for batch in batches])
    panel.set_xlabel("texts in one call")
    panel.set_title(f"{tokens} tokens", fontsize=11)
    panel.grid(axis="y", color="#dddddd", linewidth=0.7)
    panel.set_axisbelow(True)
    panel.tick_params(axis="x", length=0)
    panel.spines[["top", "right"]].set_visible(False)


def _colours(report: Report) -> dict[str, str]:
    """By the row's place in the whole table, so that a row that is missing shifts nothing."""
    return {row.name: _COLOURS[number % len(_COLOURS)] for number, row in enumerate(report.rows)}


def _title(report: Report) -> str:
    model = f"One BERT ({report.model}) in several runtimes" if report.model else "Encoders"
    threads = f"{report.threads} thread{'s' if report.threads > 1 else ''}"
    return f"{model}\n{report.machine['cpu']}, {threads}"


def _short(milliseconds: float) -> str:
    return f"{milliseconds:.0f}" if milliseconds >= 10 else f"{milliseconds:.1f}"
