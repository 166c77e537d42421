"""The app: it owns the state that the screens show, the one thread that writes, and the navigation.

The first frame appears only after `import screens.app`, so nothing heavy is imported here: screens, dialogs and the
engine are imported when they are opened.
"""

from __future__ import annotations

import contextvars
import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events
from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.command import Provider
from textual.screen import Screen

from screens import themes
from screens.base_app import Answer
from screens.base_screen import Page
from screens.engine_client.client import EngineClient
from screens.home.screen import HomePage
from screens.interface import Wizard
from screens.messages import EventsWaiting, Progress, WorkDone
from screens.state import ErrorMessage, Notices

if TYPE_CHECKING:
    from rich.console import RenderableType

    from screens.base_app import Subject
    from screens.controllers.credential_prompts import CredentialPrompts
    from screens.controllers.host_list import HostList
    from screens.controllers.run_controller import RunController
    from screens.controllers.stack_session import StackSession
    from screens.controllers.workspace_watch import WorkspaceWatch
    from screens.routes import Route
    from screens.run_state import RunState
    from wizard.engine import Engine
    from wizard.model import RunRecord, Stack

SMALLEST = (80, 24)


def _palette() -> type[Provider]:
    from screens.command_palette import Palette

    return Palette


class FirescreenApp(Wizard):
    """The wizard.

    Args:
        stack: a stack file to open, or None.
        practice: whether to start on the practice stack.
        client: calls the engine.
    """

    TITLE = "Firescreen"
    CSS_PATH = "app.tcss"
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {_palette}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "Quit", show=False, priority=True),
        Binding("ctrl+p", "command_palette", "Commands", show=False),
    ]

    def __init__(self, *, stack: Path | None, practice: bool, client: EngineClient) -> None:
        super().__init__()
        self._first_stack, self._first_practice = stack, practice
        self.client = client
        self._small_accepted = False
        for theme in themes.OWN:
            self.register_theme(theme)
        remembered = client.remembered_theme()
        self.theme = remembered if remembered in self.available_themes else themes.preferred_theme(os.environ)

    @cached_property
    def stack_session(self) -> StackSession:
        """The current stack: opens another one and scans it."""
        from screens.controllers.stack_session import StackSession

        return StackSession(self)

    @cached_property
    def runs(self) -> RunController:
        """Starts and stops runs."""
        from screens.controllers.run_controller import RunController

        return RunController(self, self._run_ended)

    @cached_property
    def workspace_watch(self) -> WorkspaceWatch:
        """Keeps the notices up to date."""
        from screens.controllers.workspace_watch import WorkspaceWatch

        return WorkspaceWatch(self, lambda: self.runs.working, self.stack_session.rescan)

    @cached_property
    def credential_prompts(self) -> CredentialPrompts:
        """Prompts for what connections need."""
        from screens.controllers.credential_prompts import CredentialPrompts

        return CredentialPrompts(self)

    @cached_property
    def host_list(self) -> HostList:
        """The hosts to choose from."""
        from screens.controllers.host_list import HostList

        return HostList(self, self.stack_session)

    def exit(
        self, result: int | None = None, return_code: int = 0, message: RenderableType | None = None
    ) -> None:
        """Ends the wizard."""
        self.leaving = True
        super().exit(result, return_code, message)

    def get_css_variables(self) -> dict[str, str]:
        """Returns the theme's variables and our own."""
        return super().get_css_variables() | themes.extra_variables(self.current_theme)

    def use_theme(self, name: str) -> None:
        """Switches to another theme and remembers it for the next start."""
        self.theme = name
        self.ask(lambda: self.client.remember_theme(name), lambda _: None)

    def search_themes(self) -> None:
        """Lists all themes to choose from."""
        from screens.command_palette import theme_commands

        self.search_commands(list(theme_commands(self)), placeholder="Search for themes…")

    def get_default_screen(self) -> Screen[None]:
        """Returns the Home page, which opens immediately."""
        return HomePage()

    def watch_app_focus(self, focus: bool) -> None:
        """Restores the focus that the top screen wants when the window gets the focus back.

        Textual does not do so for a screen that opened meanwhile; in a browser, that is the very first screen.
        """
        if not focus or not self.screen_stack or self.screen.focused is not None:
            return
        wanted = self.AUTO_FOCUS if self.screen.AUTO_FOCUS is None else self.screen.AUTO_FOCUS
        for widget in self.screen.query(wanted) if wanted else ():
            if widget.focusable:
                self.screen.set_focus(widget)
                return

    def on_ready(self) -> None:
        """Starts the slow work once the first frame is drawn."""
        if self.is_web:
            # A closed terminal ends the programs in it; a killed server cannot, so its process is watched.
            server = os.getppid()
            self.set_interval(1.0, lambda: None if os.getppid() == server else self.stop_and_leave())
        self.when_drawn(self._begin)

    def _begin(self) -> None:
        self.read_running_styles()
        self._check_size(self.size.width, self.size.height)
        if self._first_practice:
            self.stack_session.practise()
        elif self._first_stack is not None:
            self.stack_session.open_file(self._first_stack)
        else:
            self.stack_session.scan()
        self.ask(self.client.interrupted_run, self._offer_recovery)
        if not self.is_headless:
            from screens.controllers import terminal_watch

            terminal_watch.TerminalWatch(self.runs)

    # -- threads -------------------------------------------------------------------------------------------

    def ask(
        self,
        work: Callable[[], Answer],
        then: Callable[[Answer], None],
        otherwise: Callable[[ErrorMessage], None] | None = None,
        *,
        wanted: Callable[[], bool] | None = None,
    ) -> None:
        """Runs `work` in a thread, see `BaseApp.ask`."""

        def deliver(what: Callable[[], None]) -> None:
            if not self.is_running:
                return  # Firescreen was left meanwhile
            self.post_message(WorkDone(lambda: what() if wanted is None or wanted() else None))

        refuse = otherwise or self.show_error
        # The work may begin after its screen has closed, and a screen without a parent finds the app by the context only.
        context = contextvars.copy_context()

        def thread() -> None:
            from wizard.errors import CredentialNeededError, FirescreenError

            try:
                answer = context.run(self.client.do, work)
            except FirescreenError as error:
                message = ErrorMessage.of(error)
                if isinstance(error, CredentialNeededError) and error.kind:
                    needed = error
                    deliver(
                        lambda: self.credential_prompts.ask(
                            needed,
                            wanted=wanted or (lambda: True),
                            again=lambda: self.ask(work, then, otherwise, wanted=wanted),
                            refused=lambda: refuse(message),
                        )
                    )
                else:
                    deliver(lambda: refuse(message))
            except Exception as error:  # noqa: BLE001 - the boundary: a person never sees a traceback, a bug is still told
                fault = ErrorMessage.of_bug(error)
                deliver(lambda: refuse(fault))
            else:
                deliver(lambda: then(answer))

        if wanted is None:
            self.run_worker(thread, thread=True, exit_on_error=True)
        else:
            threading.Thread(target=thread, daemon=True, name="look").start()

    def on_work_done(self, message: WorkDone) -> None:
        """Handles the result of a thread."""
        message.deliver()

    def on_events_waiting(self, message: EventsWaiting) -> None:
        """Takes the events that the engine has emitted."""
        self.runs.drain_soon()

    def on_progress(self, message: Progress) -> None:
        """Shows the progress of slow work."""
        self.stack_session.show_progress(message.line)

    def _fatal_error(self) -> None:
        """Ends Firescreen after a bug on the screen's own thread with three lines: no traceback and no values."""
        from rich.text import Text

        fault = (
            ErrorMessage.of_bug(self._exception) if self._exception else ErrorMessage("Firescreen ended", "")
        )
        lines = (fault.title, f"  {fault.what}", f"  {fault.where}", f"  {fault.todo}")
        self._exit_renderables.append(Text("\n".join(lines)))
        self._close_messages_no_wait()

    # -- navigation ----------------------------------------------------------------------------------------

    def show_error(self, error: ErrorMessage) -> None:
        """Shows an error in a dialog, once."""
        from screens.dialogs.error import ErrorDialog

        if isinstance(self.screen, ErrorDialog) and self.screen.error == error:
            return
        self.key_queue.drop()
        self.push_screen(ErrorDialog(error))

    def open_page(self, route: Route, subject: Subject = None, *, replace: bool = False) -> None:
        """Opens a page above the current screen, or with `replace` in its place."""
        from screens.page_registry import make_page

        page = make_page(self, route, subject)
        show = self.switch_screen if replace else self.push_screen
        show(page)

    def prepare_run(self) -> None:
        """Imports the pages that open while the engine works, because they must not wait; call it in a thread."""
        from screens.run import screen as run
        from screens.verification import screen as verification

        del run, verification

    def open_menu_entry(self, name: str) -> None:
        """Opens a part of the wizard by the name of its entry in Home's menu."""
        from screens.navigation.menu import open_entry

        open_entry(self, name)

    def _run_ended(self, state: RunState) -> None:
        """Rescans what a run has changed: the plan made before the run is out of date."""
        if state.kind != "verify":
            self.session = replace(self.session, plan=None, renew=frozenset(), logins=None, login_draft=None)
        self.stack_session.scan()
        self.workspace_watch.refresh()

    def _offer_recovery(self, record: RunRecord | None) -> None:
        self.workspace_watch.start(Notices(interrupted=record))
        if record is not None:
            from screens.navigation.recovery import offer_recovery

            offer_recovery(self, record)
        elif not self._first_practice and self._first_stack is None:
            self.ask(self.client.remembered_stack, self._offer_hosts)

    def _offer_hosts(self, stack: Stack | None) -> None:
        # A person who has started something else meanwhile is not interrupted.
        if stack is not None and self.session.place == "here" and len(self.screen_stack) == 1:
            from screens.navigation.recovery import offer_hosts

            offer_hosts(self, stack)

    # -- size, leaving, commands ---------------------------------------------------------------------------

    def on_resize(self, event: events.Resize) -> None:
        """Warns once each time the terminal becomes too small."""
        self._check_size(event.size.width, event.size.height)

    def _check_size(self, width: int, height: int) -> None:
        small = width < SMALLEST[0] or height < SMALLEST[1]
        if not small:
            self._small_accepted = False
        elif not self._small_accepted:
            from screens.dialogs.terminal_size import TerminalSizeDialog

            self._small_accepted = True
            self.push_screen(TerminalSizeDialog(*SMALLEST))

    async def action_quit(self) -> None:
        """Closes the wizard; during a run it asks first and then waits for the engine."""
        if not self.runs.working:
            self.exit(0)
        elif not (isinstance(self.screen, Page) and self.screen.ask_to_leave()):
            from screens.navigation.runs import ask_to_stop

            ask_to_stop(self)

    def action_dialog_help(self) -> None:
        """Shows the keys of every dialog, for the top dialog."""
        from screens.dialogs.help import open_dialog_help

        open_dialog_help(self)

    def action_help_quit(self) -> None:
        """Handles Ctrl+C."""
        from screens.navigation.runs import say_how_to_stop

        say_how_to_stop(self)

    def stop_and_leave(self) -> None:
        """Stops the current run and closes the wizard when the engine has finished."""
        if self.runs.working:
            self.runs.cancel_then(lambda: self.exit(0))
        else:
            self.exit(0)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Yields the commands of Ctrl+P: all parts from any screen, the themes, and quitting."""
        from screens.command_palette import commands

        yield from commands(self)


def make_app(
    *,
    stack: Path | None = None,
    practice: bool = False,
    workspace: Path | None = None,
    build: Callable[[], Engine] | None = None,
) -> FirescreenApp:
    """Makes the app, for the command line and for tests.

    Args:
        stack: a stack file to open.
        practice: start on the practice stack.
        workspace: the folder of CA, journal and practice stack; None for the user's own.
        build: makes the engine, for tests that need a different one.
    """
    return FirescreenApp(stack=stack, practice=practice, client=EngineClient(workspace, build))


def run(*, stack: Path | None, practice: bool, workspace: Path | None) -> int:
    """Opens the wizard on this terminal and returns the exit code."""
    app = make_app(stack=stack, practice=practice, workspace=workspace)
    themes.fit_terminal(app)
    code = app.run()
    return app.return_code or code or 0
