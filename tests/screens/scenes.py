"""Scenes: every screen in a fixed state, e.g. the plan of five components, a run half done, a lab, dialogs.

test_snapshots.py compares them with their snapshots; `python -m tests.screens.pictures` draws them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from screens.run_state import RunState, advance, begin
from tests.screens import example_stack
from tests.screens.helpers import QuietEngine, until
from wizard.audit import AuditFinding, AuditReport, NotChecked, Score, ScorePart
from wizard.engine import InventoryItem, Outcome
from wizard.errors import CredentialNeededError
from wizard.model import Event, RunRecord
from wizard.workspace import Workspace

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from screens.app import FirescreenApp
    from wizard.labs import LabSession

NOW = 1_800_000_000.0
"""The instant at which every scene plays: 2027-01-15 08:00 UTC."""
DAY = 86400.0
REFUSED = (
    "The service did not start",
    "node_exporter ended at once: open /etc/node_exporter/firescreen/server.key: permission denied",
    "node_exporter on srv1",
    "Look at its log: journalctl -u node_exporter",
)


class SceneEngine(example_stack.ExampleEngine):
    """An engine with five components, a history and an inventory."""

    def __init__(self, *, state: str = "open") -> None:
        super().__init__(state=state)
        self.workspace = Workspace(Path("/nowhere/firescreen"))

    def history(self) -> tuple[RunRecord, ...]:
        """Returns five runs, one for each way in which a run can end."""
        rows = (
            ("proven", "Password replaced, 5 hosts", 8),
            ("partly", "node_exporter and 3 more set to TLS + password", 31),
            ("rolled-back", "prometheus on monitor set to mutual TLS", 6),
            ("undone", "node_exporter on srv1 set to TLS", 7),
            ("cut-off", "pushgateway on srv1 set to TLS + password", 3),
        )
        return tuple(
            RunRecord(
                run=str(number),
                started=NOW - number * 5 * 3600,
                state=state,
                title=title,
                changes=tuple(f"write /etc/file-{change}" for change in range(count)),
                folder=f"/home/me/.local/share/firescreen/runs/{number}",
            )
            for number, (state, title, count) in enumerate(rows, start=1)
        )

    def run_details(self, run: str) -> tuple[str, ...]:
        """Returns a file that was changed and a restart."""
        return (
            "--- srv1:/etc/node_exporter/web.yml (as before)",
            "+++ srv1:/etc/node_exporter/web.yml",
            "@@ -0,0 +1,3 @@",
            "+tls_server_config:",
            "+  cert_file: /etc/node_exporter/firescreen/server.crt",
            "+  key_file: /etc/node_exporter/firescreen/server.key",
            "! restart node_exporter on srv1",
        )

    def inspect(self, *_: object, **__: object) -> Any:
        """Returns the facts of the hosts."""
        return example_stack.facts()

    def inventory(self, *_: object) -> tuple[InventoryItem, ...]:
        """Returns a CA, a certificate for each component, one of which expires soon, and a user."""
        return inventory()


class EarlyEngine(SceneEngine):
    """The five components before their first run."""

    def history(self) -> tuple[RunRecord, ...]:
        """Returns no runs."""
        return ()

    def inventory(self, *_: object) -> tuple[InventoryItem, ...]:
        """Returns an empty inventory."""
        return ()


def inventory() -> tuple[InventoryItem, ...]:
    """Returns the entries of the scene's inventory."""

    def item(kind: Any, whom: str, host: str, path: str, days: float, note: str) -> InventoryItem:
        return InventoryItem(
            kind=kind,
            name=path.rpartition("/")[2],
            for_whom=whom,
            host=host,
            path=path,
            mode=0o600 if kind == "user" else 0o640,
            not_after=NOW + days * DAY if days else 0.0,
            note=note,
            not_before=NOW + (days - 365 if days < 400 else days - 3650) * DAY if days else 0.0,
        )

    left = {"node_exporter": 364.5, "pushgateway": 12.5, "blackbox_exporter": -2.5}
    servers = tuple(
        item(
            "certificate",
            f"{host}, {listen.partition(':')[0]}",
            host,
            f"/etc/{name}/firescreen/server.crt",
            left.get(name, 200.5),
            "EC P-256, signed by Firescreen CA",
        )
        for host, name, listen in example_stack.PLACES
    )
    return (
        item("authority", "Firescreen CA", "workspace", "/w/ca/ca.crt", 3649.5, "EC P-256, signed by itself"),
        *servers,
        item("user", "prometheus", "workspace", "/w/users/prometheus", 0, "password file"),
        item(
            "user",
            "prometheus",
            "monitor",
            "/etc/prometheus/firescreen/password",
            0,
            "the copy that Prometheus sends",
        ),
    )


def audit_report(stack: Any = None) -> AuditReport:
    """Returns an audit with a finding of each severity, an accepted one, and a host that could not be checked."""

    def finding(
        name: str, severity: Any, host: str, component: str, title: str, evidence: str, **more: Any
    ) -> Any:
        return AuditFinding(
            id=name, severity=severity, host=host, component=component, title=title, evidence=evidence, **more
        )

    findings = (
        finding(
            "EXP-01",
            "high",
            "srv1",
            "node_exporter",
            "Anyone can read its metrics",
            "GET http://127.0.0.2:9100/metrics without credentials: 200, 1203 lines",
            remediation="Demand TLS and a password",
            step="secure srv1/node_exporter",
        ),
        finding(
            "CRT-01",
            "medium",
            "srv1",
            "pushgateway",
            "The certificate expires soon",
            "valid until 2027-01-27, in 12 days",
            remediation="Renew it",
            step="renew srv1/pushgateway",
            file="/etc/pushgateway/firescreen/server.crt",
        ),
        finding(
            "FIL-01",
            "low",
            "monitor",
            "prometheus",
            "A password stands in the configuration itself",
            "basic_auth.password is set in the text of the file",
            remediation="Move it to a file that only Prometheus reads",
            file="/etc/prometheus/prometheus.yml",
            line=27,
        ),
        finding(
            "API-02",
            "low",
            "monitor",
            "prometheus",
            "Anyone who can reach it may reload it",
            "--web.enable-lifecycle",
            remediation="Leave the flag out",
            baseline=True,
            reason="Only our deployment reaches this port",
        ),
    )
    parts = (
        ScorePart(where="srv1/node_exporter", points=60, high=1, medium=0, low=0),
        ScorePart(where="srv1/pushgateway", points=85, high=0, medium=1, low=0),
        ScorePart(where="monitor/prometheus", points=96, high=0, medium=0, low=1),
    )
    return AuditReport(
        stack=stack or example_stack.five(),
        checked=187,
        findings=findings,
        could_not_check=(NotChecked(host="srv2", why="it cannot be reached: connection refused"),),
        score=Score(value=80, parts=parts),
        cases=(),
    )


# -- runs -----------------------------------------------------------------------------------------------------


TOTAL = sum(len(step.changes) for step in example_stack.steps())


def running() -> RunState:
    """Returns a run that is half done: one host is verified, one running, one pending."""
    state = begin("apply", example_stack.steps(), canary="srv1")
    state = with_changes_done(
        state, [step for step in example_stack.steps() if step.host in ("workspace", "srv1")]
    )
    state = advance(state, Event(run="7", kind="host", host="srv1", state="proven"))
    srv2_steps = [step for step in example_stack.steps() if step.host == "srv2"]
    state = with_changes_done(state, srv2_steps[:3])
    step, change = srv2_steps[3], srv2_steps[3].changes[0]
    change_event = Event(
        run="7",
        kind="change",
        host="srv2",
        step=step.id,
        state="running",
        done=state.done,
        total=TOTAL,
        text=change.title(),
    )
    state = advance(state, change_event)
    line = "promtool check web-config: SUCCESS"
    return advance(state, Event(run="7", kind="log", host="srv2", step=step.id, text=line))


def with_changes_done(state: RunState, steps: list[Any]) -> RunState:
    """Returns the run after these steps."""
    done = state.done
    for step in steps:
        for change in step.changes:
            done += 1
            for what in ("running", "done"):
                event = Event(
                    run="7",
                    kind="change",
                    host=change.host,
                    step=step.id,
                    state=what,
                    done=done,
                    total=TOTAL,
                    text=change.title(),
                )
                state = advance(state, event)
    return state


def failed() -> RunState:
    """Returns the end of that run: one host failed and was rolled back, the others are verified."""
    state = running()
    others = [step for step in example_stack.steps() if step.host == "srv2"][3:]
    others += [step for step in example_stack.steps() if step.host == "monitor"]
    state = with_changes_done(state, others)
    state = advance(state, Event(run="7", kind="host", host="srv2", state="proven"))
    state = advance(state, Event(run="7", kind="host", host="monitor", state="proven"))
    state = advance(state, Event(run="7", kind="host", host="srv1", state="rolled-back", error=REFUSED))
    for attempt in example_stack.attempts():
        state = advance(state, Event(run="7", kind="probe", host=attempt.probe.host, attempt=attempt))
    end = ("Some hosts were not changed", f"1 of 3 hosts: {REFUSED[1]}", *REFUSED[2:])
    return advance(state, Event(run="7", kind="finished", state="partly", error=end))


def verified(*, wrong: frozenset[str] = frozenset()) -> RunState:
    """Returns a run with all its probes and its summary."""
    state = begin("apply", example_stack.steps())
    for attempt in example_stack.attempts(wrong=wrong):
        state = advance(state, Event(run="7", kind="probe", host=attempt.probe.host, attempt=attempt))
    state = advance(state, Event(run="7", kind="finished", state="failed" if wrong else "proven"))
    summary = (
        "Your CA is at /home/me/.local/share/firescreen/ca/ca.crt.",
        "The certificate for srv1, 127.0.0.2 is at /etc/node_exporter/node_exporter.crt. It expires on 2028-01-15.",
        "The password of user prometheus is in /home/me/.local/share/firescreen/users/prometheus.password.",
        "Undo with: firescreen undo --yes",
    )
    outcome = Outcome(run="7", state="proven", attempts=state.attempts, summary=summary)
    return replace(state, outcome=outcome, arrows=example_stack.arrows())


# -- scenes ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scene:
    """A screen, and the keys that lead there from Home.

    Args:
        show: opens the screen.
        engine: the engine behind it.
        box: whether it is a dialog; the snapshot then has only its box.
    """

    show: Callable[[Pilot[Any]], Awaitable[object]]
    engine: Callable[[], QuietEngine] = SceneEngine
    box: bool = False


def app_of(pilot: Pilot[Any]) -> FirescreenApp:
    return cast("FirescreenApp", pilot.app)


async def at_home(pilot: Pilot[Any]) -> None:
    await until(pilot, "unprotected")


async def _nothing(pilot: Pilot[Any]) -> None:
    await until(pilot, lambda: not app_of(pilot).session.busy)


def keys(*pressed: str, wanted: str) -> Callable[[Pilot[Any]], Awaitable[None]]:
    async def show(pilot: Pilot[Any]) -> None:
        await at_home(pilot)
        for key in pressed:
            await pilot.press(key)
        await until(pilot, lambda: len(pilot.app.screen_stack) > 1)
        await until(pilot, wanted)

    return show


def route(name: str, wanted: str, state: Callable[[], RunState] | None = None) -> Any:
    async def show(pilot: Pilot[Any]) -> None:
        from screens.routes import MapView, Route

        await until(pilot, lambda: not app_of(pilot).session.busy)
        if state is not None:
            app_of(pilot).run_state = state()
        app_of(pilot).open_page(Route[name], MapView.RUN if name == "TRUST_MAP" else None)
        await until(pilot, wanted)

    return show


async def _plan(pilot: Pilot[Any]) -> None:
    await at_home(pilot)
    await pilot.press("s")
    await until(pilot, lambda: type(pilot.app.screen).__name__ == "ChoicesPage")
    from screens.routes import Route

    app_of(pilot).open_page(Route.PLAN)
    await until(pilot, lambda: type(pilot.app.screen).__name__ == "PlanPage")
    await until(pilot, "Set the password")


async def _lab(pilot: Pilot[Any]) -> None:
    from screens.labs.screen import LabPage
    from tests.screens.test_lab import FakeSession
    from wizard import labs

    await until(pilot, lambda: not app_of(pilot).session.busy)
    session = FakeSession(labs.find("node-password"))
    session.done = frozenset({session.lab.steps[0].id})
    await pilot.app.push_screen(LabPage(cast("LabSession", session)))
    await until(pilot, session.lab.steps[1].title[:12])


async def _audit(pilot: Pilot[Any]) -> None:
    from screens.audit.screen import AuditPage

    await until(pilot, lambda: not app_of(pilot).session.busy)
    page = AuditPage()
    page._report = audit_report()
    await pilot.app.push_screen(page)
    page._have(audit_report())
    await until(pilot, "EXP-01")


class SceneBoard:
    """Students as the class board reads them: a class of five in the middle of a lab."""

    name = "Network management"
    numbers_only = False

    @property
    def pace(self) -> Any:
        """Returns a pace at which three of the four steps are open and the clock runs."""
        from wizard.labs.board.board import Pace

        return Pace(lab="node-tls", open_steps=3, clock_until=NOW + 600)

    def view(self, lab: str = "", *, by_need: bool = True) -> Any:
        """Returns one student in each state that the board distinguishes."""
        from wizard import labs
        from wizard.labs.board.class_view import Student, view
        from wizard.labs.board.progress import Progress, of_lab
        from wizard.labs.state import LabState

        which = labs.find("node-tls")

        def student(number: int, name: str, *took: float, said: str = "", **more: Any) -> Student:
            state = LabState(started=NOW - 1500)
            at = NOW - 1500
            for step, seconds in zip(which.steps, took, strict=False):
                at += seconds
                state = state.with_step(step.id, done=at, hints=number % 2, checks=number % 3)
            if said:
                state = state.with_step(which.steps[len(took)].id, checks=3, checked=NOW - 20, said=said)
            signal = more.pop("signal", "")
            progress = Progress(
                name=name, lab=which.id, labs=(of_lab(which, state),), signal=signal, signal_at=NOW - 90
            )
            return Student(id=f"s{number}", number=number, name=name, progress=progress, **more)

        students = (
            student(1, "Ada", 200, 180, 240, 300),
            student(2, "Grace", 260, 1100),
            student(3, "Edsger", 300, said="the certificate is not valid for srv1", signal="help"),
            student(4, "Barbara", 900, 420, signal="ready"),
            student(5, "", 240, said="web.yml is not there yet"),
            Student(id="s6", number=6, name="Ken", progress=Progress(), shown=False),
        )
        return view(students, now=NOW, lab=lab, by_need=by_need)


async def _board(pilot: Pilot[Any]) -> None:
    from screens.board.screen import BoardPage

    await until(pilot, lambda: not app_of(pilot).session.busy)
    await pilot.app.push_screen(BoardPage(cast("Any", SceneBoard())))
    await until(pilot, "3 Edsger")


def dialog(make: Callable[[], Any], wanted: str) -> Any:
    async def show(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: not app_of(pilot).session.busy)
        pilot.app.push_screen(make())
        await until(pilot, wanted)

    return show


def _attempt() -> Any:
    from screens.dialogs.attempt import AttemptDialog

    return AttemptDialog(example_stack.attempts(wrong=frozenset({"srv1/node_exporter/right-client"}))[0])


def _host_key() -> Any:
    from screens.dialogs.credentials import host_key_dialog

    needed = CredentialNeededError(
        "The host key is new",
        where="srv1",
        todo="Compare it with the key on the host: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub",
        kind="host-key",
        host="srv1",
        fingerprint="SHA256:Vq1hJ2mYk0Zr8s3t5u7w9yAbCdEfGhIjKlMnOpQrStU",
        key_type="ssh-ed25519",
    )
    return host_key_dialog(needed)


def _password() -> Any:
    from screens.dialogs.credentials import SecretDialog

    needed = CredentialNeededError(
        "srv1 asks for the password of admin", where="admin@srv1", todo="", kind="password", host="srv1"
    )
    return SecretDialog(needed, several=True)


def _diagnosis() -> Any:
    from screens.dialogs.diagnosis import DiagnosisDialog

    return DiagnosisDialog("x509: certificate signed by unknown authority")


SCENES: dict[str, Scene] = {
    "home": Scene(at_home),
    "home-empty": Scene(_nothing, QuietEngine),
    "hosts": Scene(route("HOSTS", "srv1")),
    "choices": Scene(keys("s", wanted="blackbox_exporter")),
    "plan": Scene(_plan),
    "run": Scene(route("RUN", "srv2", running)),
    "run-failed": Scene(route("RUN", "permission denied", failed)),
    "verification": Scene(route("VERIFICATION", "verified", verified)),
    "trust-map": Scene(route("TRUST_MAP", "Trust map", verified)),
    "inventory": Scene(route("INVENTORY", "Firescreen CA")),
    "inventory-empty": Scene(route("INVENTORY", "None yet"), EarlyEngine),
    "history-empty": Scene(route("HISTORY", "No runs yet"), EarlyEngine),
    "history": Scene(route("HISTORY", "cert_file")),
    "audit": Scene(_audit),
    "lab": Scene(_lab),
    "board": Scene(_board),
    "console": Scene(route("PROBE_CONSOLE", "sends the request")),
    "dialog-attempt": Scene(dialog(_attempt, "curl"), box=True),
    "dialog-diagnosis": Scene(dialog(_diagnosis, "What to do"), box=True),
    "dialog-host-key": Scene(dialog(_host_key, "SHA256"), box=True),
    "dialog-password": Scene(dialog(_password, "admin@srv1"), box=True),
}
