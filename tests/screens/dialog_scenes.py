"""More scenes: texts to read, forms, a run on many hosts, and dialogs."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from screens.run_state import RunState, advance, begin
from tests.screens import front_door_scenes, login_scenes, many_hosts
from tests.screens.helpers import until
from tests.screens.scenes import REFUSED, SCENES, Scene, SceneEngine, verified
from tests.screens.scenes import app_of as _app
from tests.screens.scenes import at_home as _home
from tests.screens.scenes import dialog as _dialog
from tests.screens.scenes import keys as _keys
from tests.screens.scenes import route as _route
from wizard.model import Event

if TYPE_CHECKING:
    from textual.pilot import Pilot

Show = Callable[["Pilot[Any]"], Awaitable[object]]


async def _practice(pilot: Pilot[Any]) -> None:
    await _home(pilot)
    app = _app(pilot)
    app.session = replace(app.session, place="practice")
    await until(pilot, "End practice")


def _after(scene: str, *keys: str, wanted: str) -> Show:
    """Returns a scene that presses these keys on another scene."""

    async def show(pilot: Pilot[Any]) -> None:
        await SCENES[scene].show(pilot)
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
        await until(pilot, wanted)

    return show


TOPIC = """# Ansible

## Export a stack as a playbook

```sh
firescreen export firescreen.yaml --to ansible playbook --vault-password-file FILE
cd playbook && ansible-playbook site.yml --ask-vault-pass --check --diff
```

Without `--vault-password-file`, Firescreen asks for the vault's password.

| key | what it does |
|---|---|
| `--to` | the format |
"""


def _with_texts(*keys: str, wanted: str) -> Show:
    """Returns a scene of keys on Home with few texts and labs, so that adding one does not change the snapshot."""

    async def show(pilot: Pilot[Any]) -> None:
        client: Any = _app(pilot).client
        labs = client.labs()[:3]
        client.labs = lambda: labs
        client.manual = lambda: (("Getting started", "# Getting started"), ("Ansible", TOPIC))
        client.glossary = lambda: (
            "# Alertmanager\n\nReceives the alerts of Prometheus. Its section is `alerting`.",
            "# CA\n\nA certificate authority signs certificates.",
        )
        await _keys(*keys, wanted=wanted)(pilot)

    return show


def fleet() -> RunState:
    """Returns a run on twelve hosts, half done: the canary is verified, one host rolled back, one unreachable."""
    script = many_hosts.Script(failing=("srv003",))
    made = many_hosts.ManyEngine(12, script, away=("srv007",))
    events: list[Event] = []
    plan = many_hosts.plan(12, away=made.away)
    made.apply(plan, events.append, threading.Event(), canary="srv001")
    state = begin("apply", plan.steps, canary="srv001")
    for event in events[: len(events) * 3 // 4]:
        state = advance(state, event)
    return state


async def _fleet(pilot: Pilot[Any]) -> None:
    await _route("RUN", "srv009", fleet)(pilot)


async def _drift(pilot: Pilot[Any]) -> None:
    from wizard.model import Facts, Plan, Stack
    from wizard.upkeep.comparison import Comparison
    from wizard.upkeep.drift import Difference

    await SCENES["history"].show(pilot)
    nothing = Plan(stack=Stack(hosts=(), components=()), facts=Facts({}), steps=(), probes=())
    found = (
        Difference(
            kind="file",
            host="srv1",
            path="/etc/node_exporter/web.yml",
            line=7,
            what="1 line changed: min_version: TLS10",
        ),
        Difference(
            kind="mode",
            host="srv1",
            path="/etc/node_exporter/firescreen/server.key",
            line=0,
            what="0644 root:root, was 0640 root:node_exporter",
        ),
    )
    page: Any = pilot.app.screen
    page._show_comparison(Comparison(nothing.facts, nothing, (), found, 0.0))
    await until(pilot, "TLS10")


def _error() -> Any:
    from screens.dialogs.error import ErrorDialog
    from screens.state import ErrorMessage

    return ErrorDialog(ErrorMessage(*REFUSED))


def _interrupted() -> Any:
    from textual.content import Content

    from screens.dialogs.recovery import RecoveryDialog

    return RecoveryDialog("A run was interrupted", Content("TLS: srv1/node_exporter, 3 of 12 changes made."))


def _canary() -> Any:
    from screens.dialogs.canary import CanaryDialog

    return CanaryDialog(("srv1", "srv2", "srv3"), ours="srv1", now="")


def _address() -> Any:
    from screens.dialogs.address import AddressDialog

    return AddressDialog(lambda *_: None)


def _classroom() -> Any:
    from screens.dialogs.classroom import ClassroomDialog

    return ClassroomDialog()


def _packs() -> Any:
    from screens.dialogs.packs import PackDialog

    return PackDialog()


class LabEngine(SceneEngine):
    """An engine with a workspace in which no lab was begun."""

    def __init__(self) -> None:
        super().__init__()
        self.workspace = replace(self.workspace, root=Path("/nowhere/firescreen"))


MORE: dict[str, Scene] = {
    "practice": Scene(_practice),
    "questions": Scene(_after("choices", "f2", wanted="User name")),
    "plan-diff": Scene(_after("plan", "down", "down", "2", wanted="+")),
    "plan-commands": Scene(_after("plan", "down", "down", "3", wanted="Copy")),
    "fleet": Scene(_fleet),
    "verification-failed": Scene(
        _route(
            "VERIFICATION",
            "failed",
            lambda: verified(wrong=frozenset({"srv1/node_exporter/right-client"})),
        )
    ),
    "drift": Scene(_drift),
    "front-door": Scene(_keys("s", wanted="Name of a front door"), front_door_scenes.DoorEngine),
    "front-door-choices": Scene(front_door_scenes.choices, front_door_scenes.DoorEngine),
    "front-door-sign-in": Scene(front_door_scenes.sign_in, front_door_scenes.DoorEngine),
    "front-door-settings": Scene(front_door_scenes.settings, front_door_scenes.DoorEngine),
    "front-door-plan": Scene(front_door_scenes.plan, front_door_scenes.DoorEngine),
    "front-door-trust-map": Scene(front_door_scenes.trust_map, front_door_scenes.DoorEngine),
    "one-port": Scene(front_door_scenes.one_port, front_door_scenes.ExportersEngine),
    "one-port-plan": Scene(front_door_scenes.one_port_plan, front_door_scenes.ExportersEngine),
    "client-logins": Scene(login_scenes.page, login_scenes.LoginEngine),
    "client-logins-oauth2": Scene(login_scenes.filled, login_scenes.LoginEngine),
    "client-logins-token": Scene(login_scenes.token, login_scenes.LoginEngine),
    "client-logins-plan": Scene(login_scenes.plan, login_scenes.LoginEngine),
    "palette": Scene(_keys("ctrl+p", wanted="Change theme")),
    "palette-typed": Scene(_keys("ctrl+p", *"renew", wanted="Renew the CA")),
    "help": Scene(_keys("question_mark", wanted="The posture"), box=True),
    "manual": Scene(_with_texts("question_mark", "m", wanted="Getting started"), box=True),
    "manual-topic": Scene(_with_texts("question_mark", "m", "down", "enter", wanted="FILE"), box=True),
    "glossary": Scene(_with_texts("question_mark", "g", wanted="Receives the alerts"), box=True),
    "labs": Scene(_with_texts("l", wanted="about 15 min"), LabEngine, box=True),
    "dialog-apply": Scene(_after("plan", "a", wanted="Apply this plan?"), box=True),
    "dialog-undo": Scene(_after("history", "u", wanted="Undo"), box=True),
    "dialog-error": Scene(_dialog(_error, "permission denied"), box=True),
    "dialog-recovery": Scene(_dialog(_interrupted, "Roll back"), box=True),
    "dialog-canary": Scene(_dialog(_canary, "srv3"), box=True),
    "dialog-address": Scene(_dialog(_address, "ProxyJump"), box=True),
    "dialog-classroom": Scene(_dialog(_classroom, "classroom file"), box=True),
    "dialog-packs": Scene(_dialog(_packs, "Add"), box=True),
}
