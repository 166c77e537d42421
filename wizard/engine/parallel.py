"""Runs work on several hosts at once: each is waited for most of the time, and not too many are worked on."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_T = TypeVar("_T")
_R = TypeVar("_R")

AT_ONCE = 32
"""Hosts that are worked on at once."""


def run_parallel(work: Callable[[_T], _R], items: Collection[_T]) -> list[_R]:
    """What `work` gives for each item, in their order; one by itself is done in this thread.

    Every one is finished, or has failed, before this returns or raises what the first of them raised.
    """
    if len(items) < 2:
        return list(map(work, items))
    with ThreadPoolExecutor(max_workers=min(len(items), AT_ONCE), thread_name_prefix="host") as pool:
        found = pool.map(work, items)
    return list(found)
