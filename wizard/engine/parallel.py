"""Hosts side by side: each is waited for most of the time, so several are worked on at once, and not too many."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_T = TypeVar("_T")
_R = TypeVar("_R")

AT_ONCE = 16
"""Hosts that are worked on side by side."""


def side_by_side(work: Callable[[_T], _R], items: Collection[_T]) -> list[_R]:
    """What `work` gives for each, in their order; one by itself is done in this thread.

    Every one is finished, or has failed, before this returns or raises what the first of them raised.
    """
    if len(items) < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(max_workers=min(len(items), AT_ONCE), thread_name_prefix="host") as pool:
        done = [pool.submit(work, item) for item in items]
    return [each.result() for each in done]
