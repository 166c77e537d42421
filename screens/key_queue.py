"""Keys in their order: each is handled once what the key before it opened can take it.

Who knows the way types on while a page is still being built. Textual gives such keys to a page that has no focus yet,
or to the one below it, and they are lost; here they wait.
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
"""Keys that a page takes while its content is still being read; what was typed before them is dropped."""
KEPT = 15.0
"""Seconds after which a key that waits for a page's content is dropped: nobody expects its effect any more."""
LOOK, PATIENCE = 0.1, 5.0
"""Seconds between two looks whether what took a key was closed by it and cannot say so; and after which it counts as handled."""


class KeyHandled(Message):
    """Follows a key through the same widgets: what the key itself posted arrives before.

    Args:
        turn: of which key.
    """

    def __init__(self, turn: int) -> None:
        super().__init__()
        self.turn = turn


class KeyQueue:
    """Holds keys back while the screen on top cannot take them.

    Args:
        app: whose keys they are.
        dispatch: does with a key what Textual does.
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
        """Keeps the keys for a screen whose content is still being read, until `release`."""
        self._loading.add(screen)

    def release(self, screen: Screen[Any]) -> None:
        """The screen has its content and its focus: it takes what was typed meanwhile."""
        if screen in self._loading:
            self._loading.discard(screen)
            oldest = time.monotonic() - KEPT
            while self._waiting and self._waiting[0][0] < oldest:
                self._waiting.popleft()
            # Behind the focus that the screen asked for, and the layout of what it shows.
            screen.call_after_refresh(self._app.call_later, self._go_on)

    def drop(self) -> None:
        """Something could not be read: what was typed for it has no meaning, and no screen waits any more."""
        self._loading.clear()
        self._waiting.clear()

    async def take(self, event: Typed) -> None:
        """Handles a key now, or keeps it."""
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
        self._acts = self._acts or not event.is_forwarded  # it was a key of the app itself
        await self._follow()

    async def _follow(self) -> None:
        self._target = self._app.focused or self._app.screen
        if not self._target.post_message(KeyHandled(self._turn)):
            await self._end_turn()

    def came_back(self) -> None:
        """No widget wanted the key: the app runs the action that is bound to it."""
        self._acts = True

    async def finish_key(self, message: KeyHandled) -> None:
        """A key has had its effect; an action that it ran may have posted something, which is waited for too."""
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
        """Ends the turn of a key that closed what took it."""

        async def look() -> None:
            if not self._busy or turn != self._turn:
                return
            if self._target is None or not self._target.is_running or time.monotonic() > since + PATIENCE:
                await self._end_turn()
            else:
                self._look(turn, since)

        self._app.set_timer(LOOK, look)

    async def _go_on(self) -> None:
        """The next key, if the screen on top can take it; otherwise when it can."""
        if self._busy or not self._waiting:
            return
        screen = self._app.screen
        if not screen.is_mounted:
            screen.call_later(self._app.call_later, self._go_on)
        elif screen not in self._loading:
            await self._hand(self._waiting.popleft()[1])
