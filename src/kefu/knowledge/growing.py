"""Arrays that only grow, so that old snapshots go on reading their part while rows are added."""

from __future__ import annotations

from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", bound=np.generic)


class Growing(Generic[Number]):
    """Rows of equal shape. What `view` gave stays as it was, whatever is added later."""

    def __init__(self, dtype: type[Number], width: int | None = None) -> None:
        self._rows: NDArray[Number] = np.empty((0,) if width is None else (0, width), dtype)
        self._used = 0

    def __len__(self) -> int:
        return self._used

    def extend(self, rows: NDArray[Number]) -> None:
        """Add rows, behind those that any view shows."""
        needed = self._used + len(rows)
        if needed > len(self._rows):
            # An eighth to spare: memory that is not written to is not taken from the machine.
            grown = np.empty((needed + needed // 8, *self._rows.shape[1:]), self._rows.dtype)
            grown[: self._used] = self._rows[: self._used]
            self._rows = grown
        self._rows[self._used : needed] = rows
        self._used = needed

    def view(self) -> NDArray[Number]:
        """All rows added so far, read-only."""
        shown = self._rows[: self._used]
        shown.flags.writeable = False
        return shown


def ranges(starts: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """start, start + 1, ... of each range, `sizes` many, one range after another."""
    shifts: NDArray[np.int64] = starts - np.cumsum(sizes) + sizes
    indices: NDArray[np.int64] = np.repeat(shifts, sizes)
    return indices + np.arange(len(indices))
