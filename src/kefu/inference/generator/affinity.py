"""The same customer, the same server: it has read the beginning of the prompt already."""

from __future__ import annotations

import hashlib
import math

# By these a router in front of several servers finds the one that knows the customer: the first is
# read by vllm-router and, with `--session-key x-session-id`, by production-stack's router; the
# second by smg, SGLang's model gateway (decision 22).
SESSION_HEADERS = ("X-Session-ID", "X-SMG-Routing-Key")
SESSION_BYTES = 3


def session_headers(session: str) -> dict[str, str]:
    """What tells a router of the customer. A hash: a uid may be somebody's number. Of so few bits
    that hundreds of the telephone numbers of a country have the same one, and enough for any number
    of servers."""
    if not session:
        return {}
    digest = hashlib.sha256(_bytes(session)).digest()[:SESSION_BYTES]
    return dict.fromkeys(SESSION_HEADERS, digest.hex())


def score(session: str, name: str, weight: float) -> tuple[float, float]:
    """How much the server `name` is this session's own; the greatest score has it.

    Rendezvous hashing (Thaler and Ravishankar 1998), weighted as -w/ln(h) (Schindelhauer and
    Schomaker 2005): each server gets its share, and one that comes or goes moves nobody else's
    customers. Those of weight 0 come last, in an order of their own.
    """
    digest = hashlib.blake2b(_bytes(f"{session}\0{name}"), digest_size=8).digest()
    # 52 bits and a half: neither 0 nor 1 as a float.
    draw = ((int.from_bytes(digest, "big") >> 12) + 0.5) / 2**52
    return -weight / math.log(draw), draw


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
