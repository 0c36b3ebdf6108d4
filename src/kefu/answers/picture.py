"""The curve of `kefu answers evaluate` as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kefu.answers.evaluate import Evaluation
from kefu.bert.optional import require_matplotlib
from kefu.errors import InvalidInput

# Told apart by nearly everybody: the judge dark blue, the cosine grey.
_JUDGE, _COSINE, _CHOSEN = "#08519c", "#999999", "#d6604d"


def draw(
    judged: Sequence[Evaluation], cosine: Sequence[Evaluation], chosen: Evaluation, path: Path
) -> None:
    """False hits and precision against recall, for the judge and for the cosine alone.

    Raises `NotInstalled` without matplotlib, `InvalidInput` where the file cannot be written.
    """
    matplotlib = require_matplotlib()
    figure = matplotlib.figure.Figure(figsize=(10, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_panel(left, "false_hit_rate", "look-alikes answered wrongly", judged, cosine, chosen)
    _draw_panel(right, "precision", "precision", judged, cosine, chosen)
    lines = left.get_legend_handles_labels()
    figure.legend(*lines, loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle(f"Answer cache, {chosen.n:,} labelled pairs", fontsize=12)
    try:
        figure.savefig(str(path), dpi=150)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror or error}.") from error


def _draw_panel(
    panel: Any,
    figure: str,
    title: str,
    judged: Sequence[Evaluation],
    cosine: Sequence[Evaluation],
    chosen: Evaluation,
) -> None:
    _draw_line(panel, cosine, figure, color=_COSINE, label="cosine alone")
    _draw_line(panel, judged, figure, color=_JUDGE, label="kefu's rule")
    _draw_line(panel, [chosen], figure, color=_CHOSEN, marker="o", linestyle="none", label="in use")
    panel.set_xlabel("recall: rephrasings answered")
    panel.set_title(title, fontsize=11)
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:.0%}")
    panel.grid(color="#dddddd", linewidth=0.7)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)


def _draw_line(panel: Any, points: Sequence[Evaluation], figure: str, **style: Any) -> None:
    """Points without a hit have no precision and are left out."""
    known = [(p.recall, getattr(p, figure)) for p in points]
    known = [(x, y) for x, y in known if x is not None and y is not None]
    panel.plot([x for x, _ in known], [y for _, y in known], **style)
