"""What a head's margins deserve: probabilities, and from which of them on a person looks.

All of it from margins of texts that the head was not shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from kefu.errors import InvalidInput
from kefu.learning.figures import Floats, Marks
from kefu.moderation.categories import Category
from kefu.moderation.examples import Example
from kefu.moderation.fitting import fit_scale
from kefu.moderation.policy import Thresholds

FALSE_HOLDS = 0.005
"""Of everyday messages, the share that may be held, for all categories together."""

NEAR_MISSES_HELD = 0.03
"""Of the near misses of a category, the share that may be held for it."""

FEWEST_BAD = 20
# With fewer everyday messages a share of 0.5% is luck: all innocents count then, and a head that is
# only taught further keeps its thresholds. With fewer near misses they have no say.
FEWEST_EVERYDAY = 500
FEWEST_NEAR_MISSES = 100

# Few innocents that are easily told from the bad ones would allow to hold almost anything.
LOWEST_HOLD = 0.2
# By meaning alone nothing is blocked: a person looks. The settings may say otherwise.
_NEVER_BLOCKED = 1.0
_HAIR = 1e-4


def check_rate(false_holds: float) -> None:
    """Raises `InvalidInput`."""
    if not 0 <= false_holds < 1:
        raise InvalidInput(
            f"{false_holds} is no share of messages: give 0 to 1, as 0.005 for 0.5%."
        )


def scale_of(
    examples: Sequence[Example], categories: Sequence[Category], margins: Floats
) -> tuple[Floats, Floats]:
    """(categories,) slopes and offsets that make (n, categories) margins probabilities.

    Each on the bad texts of its category and what is mistaken for them; what is said at desks and
    what is said elsewhere have half a say each.
    """
    here = np.array([not example.elsewhere for example in examples])
    is_bad = np.array([example.is_bad for example in examples])
    found = []
    for number, category in enumerate(categories):
        disputed = _disputed(examples, category)
        own = np.array([example.category is category for example in examples])
        places = here[disputed]
        shares = 1 / np.where(places, max(1, places.sum()), max(1, (~places).sum()))
        found.append(fit_scale(margins[disputed, number], (own & is_bad)[disputed], shares))
    slopes, offsets = zip(*found, strict=True)
    return np.array(slopes), np.array(offsets)


def _disputed(examples: Sequence[Example], category: Category) -> Marks:
    """The bad texts of a category with its near misses; all innocents where it has few of them."""
    own = np.array([example.category is category for example in examples])
    is_bad = np.array([example.is_bad for example in examples])
    enough = (own & ~is_bad).sum() >= FEWEST_BAD
    return np.asarray(own if enough else own | ~is_bad, np.bool_)


def thresholds_of(
    examples: Sequence[Example],
    categories: Sequence[Category],
    probabilities: Floats,
    false_holds: float,
    before: Mapping[Category, Thresholds] | None = None,
) -> Mapping[Category, Thresholds]:
    """From where on a text is held: as low as everyday messages and near misses allow.

    Of `examples` from desks; those of `before` where there are too few to set them anew.
    """
    innocent = np.array([not example.is_bad for example in examples], np.bool_)
    everyday = innocent & np.array([example.category is None for example in examples], np.bool_)
    if everyday.sum() < FEWEST_EVERYDAY:
        if before is not None:
            return before
        everyday = innocent
    holds = _lowest_holds(probabilities[everyday], false_holds)
    found = {}
    for number, category in enumerate(categories):
        own = np.array([example.category is category for example in examples])
        near = probabilities[innocent & own, number]
        hold = max(float(holds[number]), _above_near_misses(near), LOWEST_HOLD)
        found[category] = Thresholds(min(hold, _NEVER_BLOCKED), _NEVER_BLOCKED)
    return found


def _above_near_misses(scores: Floats) -> float:
    if len(scores) < FEWEST_NEAR_MISSES:
        return 0.0
    return float(np.quantile(scores, 1 - NEAR_MISSES_HELD, method="higher")) + _HAIR


def _lowest_holds(scores: Floats, share: float) -> Floats:
    """(categories,) thresholds that as many reach in each, and at most `share` in any."""
    in_order = -np.sort(-scores, axis=0)
    best = in_order[0]
    for reaching in range(1, len(scores)):
        if (scores > in_order[reaching]).any(axis=1).mean() > share:
            break
        best = in_order[reaching]
    # A hair above: the message that sets it must not be held for a rounding.
    return np.asarray(best + _HAIR, np.float64)
