"""kill -9 of one program after another, each started again a moment later."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loadtests.cluster.cluster import Cluster
from loadtests.cluster.program import READY_SECONDS, Program
from loadtests.cluster.record import Outage


@dataclass(frozen=True)
class Plan:
    """Seconds. The first kill comes `first` after the start, the next ones `every` later each, or when
    all was whole for `calm`. A program stays away for `down`. None is killed after `last`, and there
    are `most` kills."""

    first: float
    every: float
    last: float = math.inf
    most: float = math.inf
    calm: float = 5.0
    down: float = 1.0


OnKill = Callable[[str], None]


async def kill_in_turn(
    cluster: Cluster,
    victims: Sequence[Program],
    plan: Plan,
    now: Callable[[], float],
    say: OnKill = lambda _: None,
) -> list[Outage]:
    """Round and round. Raises `TimeoutError` where something does not come back."""
    outages: list[Outage] = []
    due = plan.first
    while victims and len(outages) < plan.most and (due := max(due, now())) <= plan.last:
        await asyncio.sleep(due - now())
        victim = victims[len(outages) % len(victims)]
        say(f"{now():6.1f} s  kill -9 {victim.name}")
        outage = await _kill(cluster, victim, plan.down, now)
        say(
            f"{now():6.1f} s  {victim.name} is back after {outage.back_at - outage.killed_at:.1f} s, "
            f"all is whole after {outage.whole_at - outage.killed_at:.1f} s"
        )
        outages.append(outage)
        due = max(due + plan.every, outage.whole_at + plan.calm)
    return outages


async def _kill(cluster: Cluster, victim: Program, down: float, now: Callable[[], float]) -> Outage:
    killed_at = now()
    await asyncio.to_thread(victim.kill)
    gone_at = now()
    await asyncio.sleep(down)
    await asyncio.to_thread(victim.launch)
    await asyncio.to_thread(victim.wait_ready)
    back_at = now()
    await asyncio.to_thread(cluster.wait_whole, READY_SECONDS)
    return Outage(victim.name, killed_at, gone_at, back_at, now())
