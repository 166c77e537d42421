"""The hosts to choose from: their origin, the result of their test, and which are chosen.

The app's `hosts` is what the page draws. Several hosts can be tested at once, each in its own thread; a result that is
no longer needed is dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from screens.dialogs.base import ConfirmDialog
from screens.state import ErrorMessage, HostEntry, Session
from screens.state_styles import inline

if TYPE_CHECKING:
    from screens.base_app import BaseApp
    from screens.controllers.stack_session import StackSession
    from wizard.engine import Scan
    from wizard.inventory.sources import Instance
    from wizard.model import ComponentSpec, HostFacts, HostSpec, Stack

PRACTICE = "practice"
"""Name of the entry for the whole practice stack."""


class HostList:
    """Keeps the app's `hosts` up to date.

    Args:
        app: the app that owns the hosts.
        stack_session: opens the chosen hosts.
    """

    def __init__(self, app: BaseApp, stack_session: StackSession) -> None:
        self._app, self._stack_session = app, stack_session
        self._asked = False
        self.error = ""
        """Why the containers of this machine cannot be listed; '' if they can."""

    def entry(self, name: str) -> HostEntry | None:
        """Returns the host with that name."""
        return next((entry for entry in self._app.hosts if entry.name == name), None)

    @property
    def taken(self) -> tuple[HostEntry, ...]:
        """Returns the chosen hosts in the order in which they were chosen."""
        return tuple(
            sorted((entry for entry in self._app.hosts if entry.taken), key=lambda entry: entry.taken)
        )

    # -- listing -------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Fills the list: the current stack, this machine, and the offered hosts."""
        from wizard.model import HostSpec

        if not self._app.hosts:
            here = HostSpec(name="here", connect="local")
            practice = HostSpec(name=PRACTICE, connect="practice")
            self._app.hosts = (
                HostEntry(spec=here, source="here"),
                HostEntry(spec=practice, source="practice"),
            )
        self._in_hand(self._app.session)
        if not self._asked:
            self._asked = True
            self._app.ask(
                self._app.client.offered_hosts, lambda found: self._list_offered(*found), wanted=lambda: True
            )

    def _in_hand(self, session: Session) -> None:
        """Lists what the last scan of the current stack found, without testing again."""
        if session.stack is None or session.place == "practice":
            return
        facts = session.scan.facts.hosts if session.scan else {}
        exposures = session.scan.exposures if session.scan else ()
        for number, spec in enumerate(session.stack.hosts, start=1):
            before = self.entry(spec.name)
            source = before.source if before else "here" if spec.connect == "local" else "stack"
            host_facts = facts.get(spec.name)
            self._put(
                HostEntry(
                    spec=spec,
                    source=source,
                    round=before.round + 1 if before else 0,
                    state="known" if host_facts else "",
                    user=host_facts.user if host_facts else "",
                    rights=_rights(spec, host_facts) if host_facts else "",
                    taken=0 if session.place == "here" else number,
                    components=tuple(one for one in session.stack.components if one.host == spec.name),
                    exposures=tuple(one for one in exposures if one.host == spec.name),
                )
            )

    def _list_offered(self, names: tuple[str, ...], instances: tuple[Instance, ...], error: str) -> None:
        from wizard.inventory.sources import free_name
        from wizard.model import HostSpec

        self.error = error
        for name in names:
            listed_names = {entry.spec.address or entry.name for entry in self._app.hosts}
            if name not in listed_names:
                free = free_name(name, self._names())
                address = "" if free == name else name
                self._put(HostEntry(spec=HostSpec(name=free, connect="ssh", address=address), source="ssh"))
        for one in instances:
            listed_names = {
                entry.spec.instance or entry.name
                for entry in self._app.hosts
                if entry.spec.connect == "incus"
            }
            if one.name not in listed_names:
                spec = HostSpec(name=free_name(one.name, self._names()), connect="incus", instance=one.name)
                note = "" if one.running else "stopped"
                self._put(HostEntry(spec=spec, source="incus", note=note))

    def _names(self) -> tuple[str, ...]:
        return tuple(entry.name for entry in self._app.hosts)

    def add(
        self, text: str, then: Callable[[tuple[str, ...]], None], otherwise: Callable[[ErrorMessage], None]
    ) -> None:
        """Adds the typed host, or the hosts of the named file; `then` gets the names of the new ones."""

        def list_added(hosts_and_file: tuple[tuple[HostSpec, ...], str]) -> None:
            specs, file = hosts_and_file
            listed_logins = {_login(entry.spec) for entry in self._app.hosts} if file else set()
            new = tuple(spec for spec in specs if _login(spec) not in listed_logins)
            note = f"from {inline(file.rpartition('/')[2], 24)}" if file else ""
            for spec in new:
                self._put(HostEntry(spec=spec, source="added", note=note))
            if not new:
                self._app.notify(f"All {len(specs)} hosts of {inline(file, 80)} are already in the list.")
            then(tuple(spec.name for spec in new))

        names = self._names()
        self._app.ask(lambda: self._app.client.typed_hosts(text, names), list_added, otherwise)

    def remove(self, name: str) -> None:
        """Removes an added host from the list."""
        self._app.hosts = tuple(entry for entry in self._app.hosts if entry.name != name)

    def _put(self, entry: HostEntry) -> None:
        """Replaces the host with that name, or adds it before the practice stack."""
        hosts = list(self._app.hosts)
        names = [each.name for each in hosts]
        if entry.name in names:
            hosts[names.index(entry.name)] = entry
        else:
            hosts.insert(len(hosts) - 1, entry)
        self._app.hosts = tuple(hosts)

    # -- testing -------------------------------------------------------------------------------------------

    def test(self, name: str) -> None:
        """Connects to the host and scans it; does nothing if it is already being tested."""
        entry = self.entry(name)
        if entry is None or entry.state == "connecting":
            return
        self._put(
            replace(
                entry, state="connecting", note="connecting…", round=entry.round + 1, error=None, advice=()
            )
        )
        self._connect(name, entry.spec, self._note_failure)

    def test_all(self) -> None:
        """Tests every added host that was not tested yet."""
        waiting = [
            entry for entry in self._app.hosts if entry.source == "added" and entry.state in ("", "failed")
        ]
        if not waiting:
            self._app.notify("All added hosts were tested.")
        for entry in waiting:
            self.test(entry.name)

    def stop(self) -> bool:
        """Stops all tests; returns whether there were any."""
        busy = [entry for entry in self._app.hosts if entry.state == "connecting"]
        for entry in busy:
            self._put(replace(entry, state="", note="test stopped", round=entry.round + 1))
        return bool(busy)

    def _test_validity(self, name: str) -> Callable[[], bool]:
        """Returns a function that tells whether the present test's result is still needed."""
        entry = self.entry(name)
        this = entry.round if entry else -1

        def still() -> bool:
            now = self.entry(name)
            return now is not None and now.round == this and now.state == "connecting"

        return still

    def _change(self, name: str, **fields: object) -> None:
        entry = self.entry(name)
        if entry is not None:
            self._put(replace(entry, **fields))  # type: ignore[arg-type]

    def _connect(self, name: str, spec: HostSpec, otherwise: Callable[[str, ErrorMessage], None]) -> None:
        client, through = self._app.client, self._through(spec)
        self._app.ask(
            lambda: client.reach(spec, through),
            lambda facts: self._note_login(name, facts),
            lambda error: otherwise(name, error),
            wanted=self._test_validity(name),
        )

    def _through(self, spec: HostSpec) -> tuple[HostSpec, ...]:
        """Returns the host that runs the container, if that is not this machine."""
        holder = self.entry(spec.via) if spec.via else None
        return (holder.spec,) if holder else ()

    def _note_login(self, name: str, facts: HostFacts) -> None:
        spec = facts.spec
        rights = _rights(spec, facts)
        self._change(name, spec=spec, user=facts.user, rights=rights)
        if rights == "none" and spec.connect == "ssh" and not spec.become:
            self._offer_sudo(name, facts)
        else:
            self._look(name, facts)

    def _offer_sudo(self, name: str, facts: HostFacts) -> None:
        user, wanted = inline(facts.user, 60), self._test_validity(name)
        self._change(name, note=f"logged in as {user}, not root")

        def no_root(_: str, error: ErrorMessage) -> None:
            self._change(name, error=error)
            self._look(name, facts)

        def try_sudo(yes: bool | None) -> None:
            if not wanted():
                return
            if not yes:
                self._look(name, facts)
                return
            self._change(name, note="trying sudo…")
            self._connect(name, replace(facts.spec, become="sudo"), no_root)

        self._app.push_screen(
            ConfirmDialog(
                f"Use sudo on {name}?",
                f"You are logged in as {user}, not as root. Configuration files and services belong to root. Firescreen "
                "can use sudo, and asks you for the password if sudo needs one.",
                yes="Use sudo",
                no="Skip sudo",
            ),
            try_sudo,
        )

    def _look(self, name: str, facts: HostFacts) -> None:
        self._change(name, note="scanning…")
        client, through = self._app.client, self._through(facts.spec)
        self._app.ask(
            lambda: client.scan_host(facts, through),
            lambda scan: self._note_scan(name, scan),
            lambda error: self._note_failure(name, error),
            wanted=self._test_validity(name),
        )

    def _note_scan(self, name: str, scan: Scan) -> None:
        entry = self.entry(name)
        if entry is None:
            return
        chosen = {one.name: one for one in entry.components}
        found = tuple(chosen.get(one.name, one) for one in scan.stack.components if one.host == name)
        entry = replace(
            entry,
            state="known",
            note="",
            components=found,
            exposures=tuple(one for one in scan.exposures if one.host == name),
        )
        self._put(entry)
        if found and not entry.taken and (entry.rights != "none" or entry.spec.connect == "local"):
            self.toggle(name)

    def _note_failure(self, name: str, error: ErrorMessage) -> None:
        self._change(name, state="failed", note="", error=error)

        def have(advice: tuple[str, ...]) -> None:
            entry = self.entry(name)
            if entry is not None and entry.error == error:
                self._put(replace(entry, advice=advice))

        self._app.ask(lambda: self._app.client.explain_text(error.what), have, wanted=lambda: True)

    # -- choosing ------------------------------------------------------------------------------------------

    def toggle(self, name: str) -> None:
        """Chooses or unchooses a host; a host that was never tested is tested first."""
        entry = self.entry(name)
        if entry is None or entry.state == "connecting":
            return
        if entry.taken:
            other_names = [each.name for each in self.taken if each.name != name]
            self._put(replace(entry, taken=0))
            for number, each in enumerate(other_names, start=1):
                self._change(each, taken=number)
        elif entry.state != "known":
            self.test(name)
        elif not entry.components:
            self._app.notify("No Prometheus component was found on this host, so there is nothing to secure.")
        else:
            self._put(replace(entry, taken=len(self.taken) + 1))

    def take(self) -> bool:
        """Uses the chosen hosts; if that is impossible, shows a notice with the reason and returns False."""
        chosen = self.taken
        if not chosen:
            self._app.notify("Choose a host first: Enter tests it, Space chooses it.", severity="warning")
            return False
        if any(entry.state == "connecting" for entry in chosen):
            self._app.notify("A test is still running. Try again in a moment.")
            return False
        if all(entry.spec.connect == "local" for entry in chosen):
            self._stack_session.forget()
            self._stack_session.here()
        else:
            self._stack_session.take_hosts(self._stack(chosen))
        return True

    def _stack(self, chosen: tuple[HostEntry, ...]) -> Stack:
        """Returns the stack of the chosen hosts with the certificates and users of the current stack."""
        from wizard.model import Stack

        specs = {entry.name: entry.spec for entry in chosen}
        for entry in chosen:
            for holder in self._through(entry.spec):
                specs.setdefault(holder.name, holder)
        components: tuple[ComponentSpec, ...] = tuple(one for entry in chosen for one in entry.components)
        session = self._app.session
        if session.stack is not None and session.place in ("file", "hosts"):
            return replace(session.stack, hosts=tuple(specs.values()), components=components, source="")
        return Stack(hosts=tuple(specs.values()), components=components)


def _login(spec: HostSpec) -> tuple[str, str, int]:
    """Returns the values by which two entries are the same host."""
    if spec.connect == "incus":
        return "incus", spec.instance or spec.name, 0
    return ("local", "", 0) if spec.connect == "local" else ("ssh", spec.address or spec.name, spec.port)


def _rights(spec: HostSpec, facts: HostFacts) -> Literal["root", "sudo", "none"]:
    if not facts.root:
        return "none"
    return "sudo" if spec.become else "root"
