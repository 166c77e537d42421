"""The app as controllers and dialogs see it: the state they read, the engine, and navigation to other pages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeAlias, TypeVar

from textual.app import App
from textual.binding import Binding, BindingType
from textual.events import Event, Key, Paste
from textual.reactive import reactive

from screens.key_queue import KeyHandled, KeyQueue
from screens.run_state import RunState
from screens.state import ClassState, ErrorMessage, HostEntry, Notices, Session
from screens.widgets.key_footer import KeyFooter

if TYPE_CHECKING:
    from screens.engine_client.client import EngineClient
    from screens.routes import MapView, Route
    from wizard.labs import LabSession
    from wizard.labs.board.board import Board
    from wizard.model import Probe

Answer = TypeVar("Answer")
Subject: TypeAlias = "MapView | Probe | LabSession | Board | str | None"
"""The object that a page shows, if the route alone does not say so."""


class BaseApp(App[int]):
    """The part of the wizard's app that everything below the pages uses."""

    # With priority: without it, Tab is first handled by the focused widget, and a person who types on immediately types
    # into that widget.
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "focus_next", show=False, priority=True),
        Binding("shift+tab", "focus_previous", show=False, priority=True),
    ]

    session: reactive[Session] = reactive(Session(busy="scanning this machine…"), always_update=True)
    run_state: reactive[RunState] = reactive(RunState())
    hosts: reactive[tuple[HostEntry, ...]] = reactive(())
    notices: reactive[Notices] = reactive(Notices())
    class_state: reactive[ClassState] = reactive(ClassState())
    client: EngineClient
    leaving: bool = False
    """Whether the wizard is being closed: the pages then lose their widgets one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.key_queue = KeyQueue(self, super().on_event)

    async def on_event(self, event: Event) -> None:
        """Sends keys to the top screen once it can handle them."""
        if isinstance(event, Key | Paste) and not event.is_forwarded:
            await self.key_queue.take(event)
            return
        if isinstance(event, Key):
            self.key_queue.came_back()
        await super().on_event(event)

    async def on_key_handled(self, message: KeyHandled) -> None:
        """Handles the next key, because the one before has had its effect."""
        await self.key_queue.finish_key(message)

    def ask(
        self,
        work: Callable[[], Answer],
        then: Callable[[Answer], None],
        otherwise: Callable[[ErrorMessage], None] | None = None,
        *,
        wanted: Callable[[], bool] | None = None,
    ) -> None:
        """Runs `work` in a thread and passes its result to `then`, or its error to `otherwise`, on this thread.

        Without `otherwise` the error is shown in a dialog. The app owns the thread: a screen that closes meanwhile
        cancels nothing. If a connection needs a password or a host key, the person is prompted, and `work` is run
        again.

        Args:
            work: the work; it may be run several times.
            then: takes the result.
            otherwise: takes the error.
            wanted: whether the result is still needed; if not, it is dropped. For work that only reads: closing the
                wizard does not wait for it either.
        """
        raise NotImplementedError

    def when_drawn(self, then: Callable[[], None]) -> None:
        """Calls `then` once when Home is drawn with its keys, which Textual adds last."""
        # A dialog may already cover Home, because the terminal may be too small.
        self.screen_stack[0].query_one(KeyFooter).when_drawn(then)

    def read_running_styles(self) -> None:
        """Reads the styles of the pages that open while the engine works: reading them later would delay keys."""
        self.stylesheet.read(Path(__file__).with_name("running.tcss"))
        self.stylesheet.parse()

    def show_error(self, error: ErrorMessage) -> None:
        """Shows an error in a dialog."""
        raise NotImplementedError

    def open_page(self, route: Route, subject: Subject = None, *, replace: bool = False) -> None:
        """Opens a page above the current screen, or with `replace` in its place."""
        raise NotImplementedError

    def open_menu_entry(self, name: str) -> None:
        """Opens a part of the wizard by the name of its entry in Home's menu."""
        raise NotImplementedError

    def go_home(self) -> None:
        """Closes all screens above Home."""
        while len(self.screen_stack) > 1:
            self.pop_screen()
