"""Keeps keys in order: each is handled once whatever the key before it opened can handle it.

Experienced users type on while a page is still being built. Textual sends such keys to a page that has no focus yet, or
to the page below it, and they are lost; here they wait.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakSet

from textual.events import Key, Paste
from textual.message import Message

if TYPE_CHECKING:
    from textual.app import App
    from textual.message_pump import MessagePump
    from textual.screen import Screen

Typed: TypeAlias = "Key | Paste"

AT_ONCE = ("escape", "question_mark", "f1", "ctrl+p", "ctrl+q", "ctrl+c")
"""Keys that a page handles while its content is still being read; keys typed before them are dropped."""
KEPT = 15.0
"""Seconds after which a key that waits for a page's content is dropped: nobody expects its effect any more."""
LOOK, PATIENCE = 0.1, 5.0
"""Seconds between two checks whether a key's target has closed, and until a key counts as handled anyway.

A closed target cannot report that it has handled the key.
"""


class KeyHandled(Message):
    """Follows a key through the same widgets, so that all messages posted by the key arrive first.

    Args:
        turn: number of the key.
    """

    def __init__(self, turn: int) -> None:
        super().__init__()
        self.turn = turn


class KeyQueue:
    """Holds keys back while the top screen cannot handle them.

    Args:
        app: the app that receives the keys.
        dispatch: Textual's own handling of a key.
    """

    def __init__(self, app: App[Any], dispatch: Callable[[Typed], Awaitable[None]]) -> None:
        self._app, self._dispatch = app, dispatch
        self._waiting: deque[tuple[float, Typed]] = deque()
        self._loading: WeakSet[Screen[Any]] = WeakSet()
        self._turn = 0
        self._busy = False
        self._acts = False
        self._target: MessagePump | None = None

    def hold(self, screen: Screen[Any]) -> None:
        """Holds keys back for a screen whose content is still being read, until `release`."""
        self._loading.add(screen)

    def release(self, screen: Screen[Any]) -> None:
        """Sends the held keys to the screen, which has its content and its focus now."""
        if screen in self._loading:
            self._loading.discard(screen)
            oldest = time.monotonic() - KEPT
            while self._waiting and self._waiting[0][0] < oldest:
                self._waiting.popleft()
            # After the focus that the screen requested, and after the layout of its content.
            screen.call_after_refresh(self._app.call_later, self._go_on)

    def drop(self) -> None:
        """Drops the held keys after a failed reading, because they have no meaning now; no screen waits any more."""
        self._loading.clear()
        self._waiting.clear()

    async def take(self, event: Typed) -> None:
        """Handles a key now, or queues it."""
        screen = self._app.screen
        if isinstance(event, Key) and event.key in AT_ONCE and screen.is_mounted and screen in self._loading:
            self._waiting.clear()
            await self._hand(event)
        elif self._busy or self._waiting or not self._is_ready():
            self._waiting.append((time.monotonic(), event))
            if self._busy:
                self._look(self._turn, time.monotonic())
            else:
                await self._go_on()
        else:
            await self._hand(event)

    def _is_ready(self) -> bool:
        return self._app.screen.is_mounted and self._app.screen not in self._loading

    async def _hand(self, event: Typed) -> None:
        self._turn += 1
        self._busy, self._acts = True, False
        await self._dispatch(event)
        self._acts = self._acts or not event.is_forwarded  # the app itself handled the key
        await self._follow()

    async def _follow(self) -> None:
        self._target = self._app.focused or self._app.screen
        if not self._target.post_message(KeyHandled(self._turn)):
            await self._end_turn()

    def came_back(self) -> None:
        """Notes that no widget handled the key: the app runs the action that is bound to it."""
        self._acts = True

    async def finish_key(self, message: KeyHandled) -> None:
        """Ends a key that has had its effect; if it ran an action, first waits for the messages which that posted."""
        if message.turn != self._turn or not self._busy:
            return
        if self._acts:
            self._acts = False
            await self._follow()
        else:
            await self._end_turn()

    async def _end_turn(self) -> None:
        self._busy = False
        await self._go_on()

    def _look(self, turn: int, since: float) -> None:
        """Ends a key whose effect closed the widget that received it."""

        async def look() -> None:
            if not self._busy or turn != self._turn:
                return
            if self._target is None or not self._target.is_running or time.monotonic() > since + PATIENCE:
                await self._end_turn()
            else:
                self._look(turn, since)

        self._app.set_timer(LOOK, look)

    async def _go_on(self) -> None:
        """Handles the next key, now or as soon as the top screen can."""
        if self._busy or not self._waiting:
            return
        screen = self._app.screen
        if not screen.is_mounted:
            screen.call_later(self._app.call_later, self._go_on)
        elif screen not in self._loading:
            await self._hand(self._waiting.popleft()[1])
