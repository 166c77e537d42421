"""Which stack is in hand (this machine, a file's hosts, or practice) and what the last look at it found."""

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
    """Moves between places and looks at the one in hand; the App's `session` is what the screens read.

    Args:
        app: whose session it is.
    """

    def __init__(self, app: BaseApp) -> None:
        self._app = app
        self._round = 0
        self._when_scanned: Callable[[], None] | None = None

    def open_file(self, path: Path) -> None:
        """Takes the hosts of a stack file in hand; a file that cannot be used is explained in a dialog."""
        self._app.session = Session(place="file", busy=f"reading {path.name}…")
        self._app.ask(lambda: self._app.client.load(path), self._take, self._bad_file)

    def take_hosts(self, stack: Stack) -> None:
        """Takes hosts in hand that were chosen, and remembers them for the next start."""
        self._app.session = Session(place="hosts", stack=stack)
        self.remember(stack)
        self.scan()

    def remember(self, stack: Stack) -> None:
        """Keeps the chosen hosts, and how they are to be protected."""
        self._app.ask(lambda: self._app.client.remember(stack), lambda _: None)

    def forget(self) -> None:
        """Offers no hosts at the next start."""
        self._app.ask(self._app.client.forget, lambda _: None)

    def use_sudo(self, names: tuple[str, ...]) -> None:
        """From now on root by way of sudo on those hosts of the stack in hand."""
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
        """Takes this machine in hand."""
        self._app.session = Session()
        self.scan()

    def practise(self, *, whole: bool = False) -> None:
        """Starts the practice stack, fetching the programs if need be, and takes it in hand.

        Args:
            whole: with all five components, instead of a Prometheus and a node_exporter.
        """
        self._app.session = Session(place="practice", busy="getting the practice stack ready…")

        def say(line: str) -> None:
            self._app.post_message(Progress(line))

        self._app.ask(lambda: self._app.client.practice(say, whole=whole), self._take, self._no_practice)

    def begin_lab(self, lab: str, then: Callable[[LabSession], None], *, anew: bool = False) -> None:
        """Makes the practice stack ready for a lab, takes it in hand, and calls `then`.

        Args:
            lab: its id.
            then: gets the lab.
            anew: whether what is in hand on the practice stack may be ended.
        """
        self._app.session = Session(place="practice", busy="getting the lab ready…")

        def say(line: str) -> None:
            self._app.post_message(Progress(line))

        def opened(session: LabSession) -> None:
            if session.on_real_hosts:
                self._app.session = Session(place="file")
            self._take(session.stack)
            then(session)

        self._app.ask(lambda: self._app.client.lab(lab, say, anew=anew), opened, self._no_practice)

    def stop_practice(self) -> None:
        """Ends the practice programs and goes back to this machine."""
        self._app.session = Session(place="practice", busy="stopping the practice programs…")
        self._app.ask(self._app.client.stop_practice, lambda _: self.here())

    def show_progress(self, line: str) -> None:
        """Something slow said how far it is."""
        session = self._app.session
        self._app.session = replace(session, told=(*session.told[-20:], line))

    def rescan(self) -> None:
        """Scans the current stack again, unless a scan is under way."""
        if not self._app.session.busy:
            self.scan()

    def after_scan(self, then: Callable[[], None]) -> None:
        """Scans the current stack again and calls `then` with the result there."""
        self._when_scanned = then
        self.scan()

    def scan(self) -> None:
        """Scans the current stack; answers that were given are kept."""
        session = self._app.session
        words = "looking at this machine…" if session.place == "here" else "looking at the hosts…"
        self._app.session = replace(session, busy=words, told=(), error=None)
        self._round += 1
        this = self._round
        stack = session.stack
        self._app.ask(
            lambda: self._app.client.engine.scan(stack),
            lambda scan: self._seen(scan, this),
            lambda error: self._unseen(error, this),
            wanted=lambda: this == self._round,
        )

    def become_root(self) -> ErrorMessage | None:
        """Lets sudo itself ask on the terminal, Firescreen set aside; we never see the password."""
        try:
            with self._app.suspend():
                print("Firescreen stands aside: sudo asks for your password itself.", flush=True)
                done = subprocess.run(["sudo", "-v"], check=False, timeout=180)
        except SuspendNotSupported:
            return ErrorMessage(
                "sudo cannot ask here",
                "This terminal cannot be lent to sudo",
                "",
                "Start Firescreen as root instead.",
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return ErrorMessage("sudo did not answer", str(error), "", "Start Firescreen as root instead.")
        if done.returncode != 0:
            return ErrorMessage(
                "sudo said no",
                "sudo did not grant root's rights",
                "this machine",
                "Ask whoever looks after it, or use Practise: it needs no rights at all.",
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

    def _seen(self, scan: Scan, this: int) -> None:
        if this != self._round:
            return
        session = self._app.session
        stack = session.stack if session.touched and session.stack else scan.stack
        self._app.session = replace(session, stack=stack, scan=scan, busy="", told=())
        waiting, self._when_scanned = self._when_scanned, None
        if waiting:
            waiting()

    def _unseen(self, error: ErrorMessage, this: int) -> None:
        if this != self._round:
            return
        self._app.session = replace(self._app.session, busy="", told=(), error=error)
        self._app.show_error(error)

    def _no_practice(self, error: ErrorMessage) -> None:
        self.here()
        self._app.show_error(error)

    def _bad_file(self, error: ErrorMessage) -> None:
        self.here()
        self._app.show_error(error)
