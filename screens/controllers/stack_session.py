"""The current stack (this machine, the hosts of a file, chosen hosts, or practice) and its last scan."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import SuspendNotSupported

from screens.messages import Progress
from screens.state import ErrorMessage, Session

if TYPE_CHECKING:
    from screens.base_app import BaseApp
    from wizard.engine import Scan
    from wizard.labs import LabSession
    from wizard.model import Stack


class StackSession:
    """Opens stacks and scans them; the screens read the app's `session`.

    Args:
        app: the app that owns the session.
    """

    def __init__(self, app: BaseApp) -> None:
        self._app = app
        self._round = 0
        self._when_scanned: Callable[[], None] | None = None

    def _replace(self, session: Session) -> None:
        """Switches to another stack: the result of a scan of the former stack is dropped."""
        self._round += 1
        self._app.session = session

    def open_file(self, path: Path) -> None:
        """Opens a stack file; an error in it is shown in a dialog."""
        self._replace(Session(place="file", busy=f"reading {path.name}…"))
        self._app.ask(lambda: self._app.client.load(path), self._take, self._bad_file)

    def take_hosts(self, stack: Stack) -> None:
        """Opens the stack of the chosen hosts, and remembers them for the next start."""
        self._app.session = Session(place="hosts", stack=stack)
        self.remember(stack)
        self.scan()

    def remember(self, stack: Stack) -> None:
        """Remembers the chosen hosts and their protection for the next start."""
        self._app.ask(lambda: self._app.client.remember(stack), lambda _: None)

    def forget(self) -> None:
        """Forgets the chosen hosts: the next start offers none."""
        self._app.ask(self._app.client.forget, lambda _: None)

    def use_sudo(self, names: tuple[str, ...]) -> None:
        """Uses sudo on these hosts of the current stack from now on."""
        session = self._app.session
        if session.stack is None:
            return
        hosts = tuple(
            replace(host, become="sudo") if host.name in names else host for host in session.stack.hosts
        )
        stack = replace(session.stack, hosts=hosts)
        self._app.session = replace(session, stack=stack, scan=None, plan=None)
        if session.place == "hosts":
            self.remember(stack)

    def here(self) -> None:
        """Switches back to this machine."""
        self._app.session = Session()
        self.scan()

    def practise(self, *, whole: bool = False) -> None:
        """Starts the practice stack, downloading the programs if necessary, and opens it.

        Args:
            whole: with all five components, instead of only Prometheus and node_exporter.
        """
        self._replace(Session(place="practice", busy="preparing the practice stack…"))

        def say(line: str) -> None:
            self._app.post_message(Progress(line))

        self._app.ask(
            lambda: self._app.client.practice(say, whole=whole), self._have_practice, self._no_practice
        )

    def _have_practice(self, stack: Stack) -> None:
        """Opens the practice stack, unless the person switched back to this machine meanwhile."""
        if self._app.session.place == "practice":
            self._take(stack)

    def begin_lab(self, lab: str, then: Callable[[LabSession], None], *, anew: bool = False) -> None:
        """Prepares the practice stack for a lab, opens it, and calls `then`.

        Args:
            lab: its id.
            then: gets the lab.
            anew: whether another lab or run on the practice stack may be ended.
        """
        self._replace(Session(place="practice", busy="preparing the lab…"))

        def say(line: str) -> None:
            self._app.post_message(Progress(line))

        def open_stack(session: LabSession) -> None:
            if self._app.session.place != "practice":
                return  # the person switched back to this machine meanwhile
            if session.on_real_hosts or session.lab.docker:
                self._app.session = Session(place="file")
            self._take(session.stack)
            then(session)

        self._app.ask(lambda: self._app.client.lab(lab, say, anew=anew), open_stack, self._no_practice)

    def stop_practice(self) -> None:
        """Stops the practice programs and switches back to this machine."""
        self._replace(Session(place="practice", busy="stopping the practice stack…"))
        self._app.ask(self._app.client.stop_practice, lambda _: self.here())

    def show_progress(self, line: str) -> None:
        """Shows the progress of slow work."""
        session = self._app.session
        self._app.session = replace(session, told=(*session.told[-20:], line))

    def rescan(self) -> None:
        """Scans the current stack again, unless a scan is under way."""
        if not self._app.session.busy:
            self.scan()

    def after_scan(self, then: Callable[[], None]) -> None:
        """Scans the current stack again and calls `then` when the result is there."""
        self._when_scanned = then
        self.scan()

    def scan(self) -> None:
        """Scans the current stack; answers of the person are kept."""
        session = self._app.session
        words = "scanning this machine…" if session.place == "here" else "scanning the hosts…"
        self._app.session = replace(session, busy=words, told=(), error=None)
        self._round += 1
        this = self._round
        stack = session.stack
        self._app.ask(
            lambda: self._app.client.engine.scan(stack),
            lambda scan: self._take_scan(scan, this),
            lambda error: self._take_error(error, this),
            wanted=lambda: this == self._round,
        )

    def become_root(self) -> ErrorMessage | None:
        """Suspends the wizard while sudo prompts for the password, which Firescreen never sees."""
        try:
            with self._app.suspend():
                print("Firescreen is suspended. sudo asks for your password.", flush=True)
                done = subprocess.run(["sudo", "-v"], check=False, timeout=180)
        except SuspendNotSupported:
            return ErrorMessage(
                "sudo cannot ask for a password",
                "Firescreen cannot hand this terminal to sudo",
                "",
                "Start Firescreen as root instead.",
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return ErrorMessage("sudo did not answer", str(error), "", "Start Firescreen as root instead.")
        if done.returncode != 0:
            return ErrorMessage(
                "sudo failed",
                "sudo did not grant root privileges",
                "this machine",
                "Ask the administrator of this machine, or use Practise, which needs no root.",
            )
        session = self._app.session
        if session.stack is not None:
            hosts = tuple(
                replace(host, become="sudo") if host.connect == "local" else host
                for host in session.stack.hosts
            )
            self._app.session = replace(session, stack=replace(session.stack, hosts=hosts), scan=None)
        return None

    def _take(self, stack: Stack) -> None:
        self._app.session = replace(self._app.session, stack=stack, scan=None)
        self.scan()

    def _take_scan(self, scan: Scan, scan_number: int) -> None:
        if scan_number != self._round:
            return
        session = self._app.session
        stack = session.stack if session.touched and session.stack else scan.stack
        self._app.session = replace(session, stack=stack, scan=scan, busy="", told=())
        waiting, self._when_scanned = self._when_scanned, None
        if waiting:
            waiting()

    def _take_error(self, error: ErrorMessage, scan_number: int) -> None:
        if scan_number != self._round:
            return
        self._app.session = replace(self._app.session, busy="", told=(), error=error)
        self._app.show_error(error)

    def _no_practice(self, error: ErrorMessage) -> None:
        self.here()
        self._app.show_error(error)

    def _bad_file(self, error: ErrorMessage) -> None:
        self.here()
        self._app.show_error(error)
