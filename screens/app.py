"""The App: it owns the state that the screens draw, the one thread that writes, and the way between screens.

`import screens.app` is what stands between a person and the first frame, so nothing heavy is imported here:
screens, dialogs and the engine are imported when they open.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from textual import events
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.reactive import reactive
from textual.screen import Screen

from screens import themes
from screens.controllers.engine_client import Desk
from screens.home import Home
from screens.messages import Answered, Drain, Told
from screens.state import HostEntry, RunState, Session, Trouble

if TYPE_CHECKING:
    from rich.console import RenderableType

    from screens.controllers.credential_prompts import Needs
    from screens.controllers.host_list import Roster
    from screens.controllers.run_controller import Runs
    from screens.controllers.stack_session import Places
    from wizard.engine import Engine
    from wizard.model import RunRecord, Stack

Answer = TypeVar("Answer")
SMALLEST = (80, 24)


class FirescreenApp(App[int]):
    """The wizard.

    Args:
        stack: a stack file to open, or None.
        practice: whether to start on the practice stack.
        desk: the engine's door.
    """

    TITLE = "Firescreen"
    CSS_PATH = "app.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "Quit", show=False, priority=True),
        Binding("ctrl+p", "command_palette", "All commands", show=False),
    ]

    session: reactive[Session] = reactive(Session(busy="looking at this machine…"), always_update=True)
    run_state: reactive[RunState] = reactive(RunState())
    hosts: reactive[tuple[HostEntry, ...]] = reactive(())

    def __init__(self, *, stack: Path | None, practice: bool, desk: Desk) -> None:
        super().__init__()
        self._first_stack, self._first_practice = stack, practice
        self.desk = desk
        self._places: Places | None = None
        self._runs: Runs | None = None
        self._needs: Needs | None = None
        self._roster: Roster | None = None
        self._small_accepted = False
        self._when_seen: Callable[[], None] | None = None
        self.leaving = False
        """Whether it ends: the pages lose their parts one after the other."""
        self.register_theme(themes.DARK)
        self.register_theme(themes.LIGHT)
        self.theme = themes.preferred(os.environ)

    @property
    def places(self) -> Places:
        """Which stack is in hand."""
        if self._places is None:
            from screens.controllers.stack_session import Places

            self._places = Places(self)
        return self._places

    @property
    def runs(self) -> Runs:
        """What writes."""
        if self._runs is None:
            from screens.controllers.run_controller import Runs

            self._runs = Runs(self)
        return self._runs

    @property
    def needs(self) -> Needs:
        """What connections ask for."""
        if self._needs is None:
            from screens.controllers.credential_prompts import Needs

            self._needs = Needs(self)
        return self._needs

    @property
    def roster(self) -> Roster:
        """The hosts to choose from."""
        if self._roster is None:
            from screens.controllers.host_list import Roster

            self._roster = Roster(self)
        return self._roster

    def exit(
        self, result: int | None = None, return_code: int = 0, message: RenderableType | None = None
    ) -> None:
        """Ends the wizard."""
        self.leaving = True
        super().exit(result, return_code, message)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Our own two colours, for a theme that is not ours."""
        return {"quiet": "#8f8f8f", "faint": "#6f6f6f"}

    def get_default_screen(self) -> Screen[None]:
        """Home is the first screen, at once."""
        return Home()

    def watch_app_focus(self, focus: bool) -> None:
        """Who comes back to the window finds the focus where the screen on top wants it.

        Textual leaves that out for a screen that opened meanwhile; in a browser, that is the very first one.
        """
        if not focus or not self.screen_stack or self.screen.focused is not None:
            return
        wanted = self.AUTO_FOCUS if self.screen.AUTO_FOCUS is None else self.screen.AUTO_FOCUS
        for widget in self.screen.query(wanted) if wanted else ():
            if widget.focusable:
                self.screen.set_focus(widget)
                return

    def on_ready(self) -> None:
        """The first frame stands; now the slow things may begin."""
        if self.is_web:
            # A terminal that goes away ends what is in it; a server that was killed cannot.
            server = os.getppid()
            self.set_interval(1.0, lambda: None if os.getppid() == server else self.stop_and_leave())
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        self._check_size(self.size.width, self.size.height)
        if self._first_practice:
            self.places.practise()
        elif self._first_stack is not None:
            self.places.open_file(self._first_stack)
        else:
            self.places.look()
        self.ask(self.desk.cut_off, self._offer_recovery)
        if not self.is_headless and sys.__stdin__ is not None and sys.__stdin__.isatty():
            self.set_interval(3, self._end_with_terminal)

    def _end_with_terminal(self) -> None:
        """Ends as SIGHUP does where the terminal is gone and nobody said so: nobody could end it any more.

        A run is cut off then, as its journal knows; `recover` settles it.
        """
        import signal
        import termios

        try:
            termios.tcgetattr(0)
        except termios.error as gone:
            if gone.args[0] == errno.EIO:
                signal.signal(signal.SIGHUP, signal.SIG_DFL)
                os.kill(os.getpid(), signal.SIGHUP)

    # -- threads -------------------------------------------------------------------------------------------

    def ask(
        self,
        work: Callable[[], Answer],
        then: Callable[[Answer], None],
        otherwise: Callable[[Trouble], None] | None = None,
        *,
        wanted: Callable[[], bool] | None = None,
    ) -> None:
        """Runs `work` in a thread and hands its answer to `then`, or its error to `otherwise`, on this thread.

        Without `otherwise` the error is shown in a dialog. The App owns the thread: a screen that closes
        meanwhile cancels nothing. Where a connection asks for something, the person is asked, and `work` is
        done again.

        Args:
            work: what to do; it may be done several times.
            then: takes its answer.
            otherwise: takes its error.
            wanted: whether anybody still waits for it: if not, whatever comes is dropped. For what only looks:
                leaving Firescreen does not wait for it either.
        """

        def deliver(what: Callable[[], None]) -> None:
            if not self.is_running:
                return  # Firescreen was left meanwhile
            self.post_message(Answered(lambda: what() if wanted is None or wanted() else None))

        refuse = otherwise or self.complain

        def thread() -> None:
            from wizard.errors import FirescreenError, NeededError

            try:
                answer = work()
            except FirescreenError as error:
                trouble = Trouble.of(error)
                if isinstance(error, NeededError) and error.kind:
                    needed = error
                    deliver(
                        lambda: self.needs.ask(
                            needed,
                            wanted=wanted or (lambda: True),
                            again=lambda: self.ask(work, then, otherwise, wanted=wanted),
                            refused=lambda: refuse(trouble),
                        )
                    )
                else:
                    deliver(lambda: refuse(trouble))
            except Exception as error:  # noqa: BLE001 - the boundary: a person never sees a traceback, a bug is still told
                fault = _own_fault(error)
                deliver(lambda: refuse(fault))
            else:
                deliver(lambda: then(answer))

        if wanted is None:
            self.run_worker(thread, thread=True, exit_on_error=True)
        else:
            threading.Thread(target=thread, daemon=True, name="look").start()

    def on_answered(self, message: Answered) -> None:
        """A thread has an answer."""
        message.deliver()

    def on_drain(self, message: Drain) -> None:
        """The engine said something."""
        self.runs.drain_soon()

    def on_told(self, message: Told) -> None:
        """Something slow said how far it is."""
        self.places.told(message.line)

    def _fatal_error(self) -> None:
        """A bug on the screen's own thread ends Firescreen with three lines: no traceback, and no value of it."""
        from rich.text import Text

        fault = _own_fault(self._exception) if self._exception else Trouble("Firescreen ended", "")
        lines = (fault.title, f"  {fault.what}", f"  {fault.where}", f"  {fault.todo}")
        self._exit_renderables.append(Text("\n".join(lines)))
        self._close_messages_no_wait()

    # -- ways ----------------------------------------------------------------------------------------------

    def complain(self, trouble: Trouble) -> None:
        """Shows an error."""
        from screens.dialogs.error import TroubleDialog

        if isinstance(self.screen, TroubleDialog) and self.screen.trouble == trouble:
            return
        self.push_screen(TroubleDialog(trouble))

    def go_home(self) -> None:
        """Closes everything above Home."""
        while len(self.screen_stack) > 1:
            self.pop_screen()

    def look(self) -> None:
        """Looks at the hosts again."""
        if not self.session.busy:
            self.places.look()

    def seen(self) -> None:
        """A look has ended; goes on with what waited for it."""
        waiting, self._when_seen = self._when_seen, None
        if waiting:
            waiting()

    def open_part(self, name: str) -> None:
        """Opens a part by its name in Home's menu."""
        from screens import navigation

        navigation.open_part(self, name)

    def after_look(self, then: Callable[[], None]) -> None:
        """Looks again and calls `then` when the result is there."""
        self._when_seen = then
        self.places.look()

    def _offer_recovery(self, record: RunRecord | None) -> None:
        if record is not None:
            from screens import navigation

            navigation.offer_recovery(self, record)
        elif not self._first_practice and self._first_stack is None:
            self.ask(self.desk.remembered, self._offer_hosts)

    def _offer_hosts(self, stack: Stack | None) -> None:
        # Who has begun with something else meanwhile is not interrupted.
        if stack is not None and self.session.place == "here" and len(self.screen_stack) == 1:
            from screens import navigation

            navigation.offer_hosts(self, stack)

    # -- size, leaving, commands ---------------------------------------------------------------------------

    def on_resize(self, event: events.Resize) -> None:
        """Says so when the terminal is too small, once for each time it becomes so."""
        self._check_size(event.size.width, event.size.height)

    def _check_size(self, width: int, height: int) -> None:
        small = width < SMALLEST[0] or height < SMALLEST[1]
        if not small:
            self._small_accepted = False
        elif not self._small_accepted:
            from screens.dialogs.terminal_size import SmallDialog

            self._small_accepted = True
            self.push_screen(SmallDialog(*SMALLEST))

    async def action_quit(self) -> None:
        """Leaves; while a run is at work it asks first, and then waits for the engine."""
        if self._runs is None or not self._runs.working:
            self.exit(0)
            return
        from screens.navigation import ask_to_stop

        ask_to_stop(self)

    def stop_and_leave(self) -> None:
        """Stops the run in hand and leaves when the engine has come back."""
        if self.runs.working:
            self.runs.cancel_then(lambda: self.exit(0))
        else:
            self.exit(0)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """What Ctrl+P offers: all the parts from anywhere, the colours, and leaving."""
        from screens.command_palette import commands

        yield from commands(self)


def _own_fault(error: Exception) -> Trouble:
    """An error that nobody foresaw, told so that it can be reported and without any value in it."""
    from wizard.redact import plain, redact

    frame = traceback.extract_tb(error.__traceback__)[-1]
    return Trouble(
        "Firescreen made a mistake",
        redact(plain(f"{type(error).__name__}: {error}", 400)),
        f"{Path(frame.filename).name}, line {frame.lineno}",
        "Please report these lines. History shows what was changed, and undoes it.",
    )


def make_app(
    *,
    stack: Path | None = None,
    practice: bool = False,
    workspace: Path | None = None,
    build: Callable[[], Engine] | None = None,
) -> FirescreenApp:
    """The App, for the command line and for tests alike.

    Args:
        stack: a stack file to open.
        practice: start on the practice stack.
        workspace: where CA, journal and practice stack live; None for the user's own.
        build: makes the engine, for tests that need another.
    """
    return FirescreenApp(stack=stack, practice=practice, desk=Desk(workspace, build))


def run(*, stack: Path | None, practice: bool, workspace: Path | None) -> int:
    """Opens the wizard on this terminal and returns the exit code."""
    app = make_app(stack=stack, practice=practice, workspace=workspace)
    code = app.run()
    return app.return_code or code or 0
