"""Passes events to a listener (screen or command line) without letting its failure break the run."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from wizard.model import Event


class Listener:
    """Passes events on until the listener raises; that exception is raised again when the `with` block ends.

    A closed pipe or a fault in a screen must never leave files half written.
    """

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self._fault: Exception | None = None

    def __call__(self, event: Event) -> None:
        """Passes one event on."""
        if self._fault is not None:
            return
        try:
            self._emit(event)
        except Exception as fault:  # noqa: BLE001 - raised again in __exit__
            self._fault = fault

    def __enter__(self) -> Listener:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fault is not None and fault is None:
            raise self._fault
