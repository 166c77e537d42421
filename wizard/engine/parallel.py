"""Runs work on several hosts in a thread pool: most of the time is spent waiting for them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_T = TypeVar("_T")
_R = TypeVar("_R")

AT_ONCE = 32
"""Maximum number of threads."""


def run_parallel(work: Callable[[_T], _R], items: Collection[_T]) -> list[_R]:
    """Calls `work` with each item and returns the results in order; a single item is handled in the calling thread.

    Returns after all calls have ended. If calls raised, raises the exception of the first item that failed.
    """
    if len(items) < 2:
        return list(map(work, items))
    with ThreadPoolExecutor(max_workers=min(len(items), AT_ONCE), thread_name_prefix="host") as pool:
        found = pool.map(work, items)
    return list(found)
