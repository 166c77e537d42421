"""Facts and plans as text: a case in `data/plans/NAME.yaml` describes stack and hosts, `NAME.plan` is its plan.

A case has the keys of the stack file under `stack`, and the facts about each host under `hosts`. Values that differ from
run to run (keys, certificates, passwords, hashes, dates) are replaced by their names.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from wizard import assets, planner
from wizard.certificates import issue
from wizard.components import component as find_component
from wizard.config_files.unit_settings import join_files
from wizard.errors import FirescreenError
from wizard.front_doors import proxy
from wizard.inventory import stack_file as stack
from wizard.model import (
    WORKSPACE,
    Answers,
    Caller,
    Change,
    Facts,
    FileState,
    FlagPlace,
    HostFacts,
    MakeFolder,
    PathInfo,
    Plan,
    Proxies,
    ProxyRoute,
    ProxySite,
    RunService,
    Service,
    Stack,
    WriteFile,
)
from wizard.redact import Secret

FOLDER = Path(__file__).parents[1] / "data" / "plans"
ROOM = "/home/ada/.local/share/firescreen"

_VOLATILE = (
    (re.compile(r"(\$2[aby]\$\d\d\$)([./A-Za-z0-9]{53}|•••[0-9a-f]{6})"), r"\1HASH"),
    (re.compile(re.escape(ROOM)), "WORKSPACE"),
    (re.compile(re.escape(str(assets.path("examples")))), "EXAMPLES"),
    (re.compile(r"\b20\d\d-\d\d-\d\d( \d\d:\d\d(:\d\d)?)?( UTC)?\b"), "DATE"),
    (re.compile(r"fingerprint [0-9a-f]{12}"), "fingerprint …"),
    (re.compile(r"\b([0-9A-F]{2}:){5,}[0-9A-F]{2}\b"), "FINGERPRINT"),
)


@dataclass(frozen=True, slots=True)
class Case:
    """One case: the requested stack and the facts about its hosts."""

    name: str
    stack: Stack
    facts: Facts
    answers: Answers
    after: str = ""
    """The case whose plan was applied before."""
    keep: tuple[str, ...] = ()
    """The plan is restricted to these hosts."""

    def plan(self) -> Plan:
        """Plans the case."""
        facts = self.facts
        if self.after:
            facts = facts_after_plan(plan_of(self.after), case(self.after).facts)
        plan = planner.plan(self.stack, with_requested_files(self.stack, facts), self.answers)
        return planner.restrict_plan(plan, self.keep) if self.keep else plan


def names() -> list[str]:
    """Returns the names of all cases."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


@functools.cache
def plan_of(name: str) -> Plan:
    """Returns the plan of a case. It is made only once, as hashes and RSA keys are slow by design."""
    return case(name).plan()


@functools.cache
def case(name: str) -> Case:
    """Returns the case with this name."""
    data = _loaded(FOLDER / f"{name}.yaml")
    base = _loaded(FOLDER / "sites" / f"{data['site']}.yaml") if "site" in data else {}
    wanted = {"version": 1, **base.get("stack", {}), **data.get("stack", {})}
    described = {**base.get("hosts", {}), **data.get("hosts", {})}
    parsed = stack.parse(_yaml(wanted), source="firescreen.yaml")
    answers = data.get("answers", {})
    return Case(
        name=name,
        stack=parsed,
        facts=_facts(parsed, described, {**base.get("workspace", {}), **data.get("workspace", {})}, data),
        answers=Answers(
            passwords={user: Secret(text) for user, text in answers.get("passwords", {}).items()},
            passphrase=Secret(answers["passphrase"]) if "passphrase" in answers else None,
            renew=frozenset(answers.get("renew", ())),
        ),
        after=data.get("after", ""),
        keep=tuple(data.get("only_hosts", ())),
    )


def _loaded(path: Path) -> dict[str, Any]:
    return dict(YAML(typ="safe").load(path.read_text(encoding="utf-8")))


def _yaml(data: Mapping[str, Any]) -> str:
    out = StringIO()
    YAML(typ="safe").dump(dict(data), out)
    return out.getvalue()


def _facts(
    wanted: Stack, hosts: Mapping[str, Any], workspace: Mapping[str, str], data: Mapping[str, Any]
) -> Facts:
    away = data.get("unreachable", {})
    known = {
        spec.name: _host(wanted, spec.name, hosts.get(spec.name, {}))
        for spec in wanted.hosts
        if spec.name not in away
    }
    own = HostFacts(
        spec=replace(wanted.hosts[0], name=WORKSPACE, connect="local"),
        user="ada",
        group="ada",
        files={path: FileState(text.encode(), 0o600, "ada", "ada") for path, text in workspace.items()},
    )
    sites = {
        name: Proxies(
            routes=tuple(ProxyRoute(host=name, **each) for each in found.get("routes", ())),
            sites=tuple(ProxySite(**each) for each in found.get("sites", ())),
        )
        for name in known
        if (found := hosts.get(name, {}))
    }
    return Facts(hosts={WORKSPACE: own, **known}, workspace=ROOM, away=away, proxies=sites)


def _host(wanted: Stack, name: str, described: Mapping[str, Any]) -> HostFacts:
    root = described.get("root", True)
    return HostFacts(
        spec=wanted.host(name),
        names=tuple(described.get("names", (name,))),
        root=root,
        user="root" if root else "ada",
        group="root" if root else "ada",
        promtool=described.get("promtool", ""),
        clock=described.get("clock", 0.0),
        services=tuple(_service(name, each) for each in described.get("services", ())),
        proxies=tuple(_proxy(name, each) for each in described.get("proxies", ())),
        callers=tuple(Caller(**each) for each in described.get("callers", ())),
        files={path: _state(text, root) for path, text in described.get("files", {}).items()},
        folders={
            path: PathInfo("folder", 0o755, "root", "root", 4096) for path in described.get("folders", ())
        },
    )


def _state(described: str | Mapping[str, Any], root: bool) -> FileState:
    if isinstance(described, str):
        described = {"content": described}
    owner = "root" if root else "ada"
    return FileState(
        described["content"].encode(),
        described.get("mode", 0o644),
        described.get("owner", owner),
        described.get("group", owner),
    )


def _service(host: str, described: Mapping[str, Any]) -> Service:
    known = find_component(described["component"])
    fields = dict(described)
    units = fields.pop("unit_files", {})
    flags = fields.pop(
        "flags", {"kind": "envfile", "path": f"/etc/default/{known.units[0]}", "variable": "ARGS"}
    )
    return Service(
        **{
            "host": host,
            "manager": "systemd",
            "unit": known.units[0],
            "program": f"/usr/bin/{known.programs[-1]}",
            "listen": f"{host}:{known.default_port}",
            "user": "prometheus",
            "group": "prometheus",
            "active": True,
            "home": known.home,
            **fields,
            "arguments": tuple(fields.get("arguments", ())),
            "hidden": tuple(fields.get("hidden", ())),
            "shared_with": tuple(fields.get("shared_with", ())),
            "unit_text": join_files(list(units.items())) or fields.get("unit_text", ""),
            "flags": FlagPlace(**flags),
        }
    )


def _proxy(host: str, described: Mapping[str, Any]) -> Service:
    known = proxy(described["name"])
    assert known is not None
    if known.exporters:  # found in the same way as components
        fields = {key: value for key, value in described.items() if key != "name"}
        usual = {"component": known.name, "config_file": known.main, "home": known.home}
        return _service(host, {**usual, **fields})
    return Service(
        host=host,
        component=known.name,
        manager="reverse-proxy",
        unit=known.unit,
        program=known.programs[0],
        version=described["version"],
        group=known.group,
        active=described.get("active", True),
        config_file=known.main,
        home=known.home,
    )


def with_requested_files(wanted: Stack, facts: Facts) -> Facts:
    """Adds the files and folders that the planner requests to the facts; those that the case does not name are absent."""
    for _ in range(4):  # files can name other files
        asked = planner.wanted_files(wanted, facts)
        hosts = {
            name: replace(known, files={**dict.fromkeys(asked.get(name, ())), **known.files})
            for name, known in facts.hosts.items()
        }
        facts = replace(facts, hosts=hosts)
    folders = planner.wanted_folders(wanted, facts)
    hosts = {
        name: replace(known, folders={**dict.fromkeys(folders.get(name, ())), **known.folders})
        for name, known in facts.hosts.items()
    }
    return replace(facts, hosts=hosts)


def facts_after_plan(plan: Plan, facts: Facts) -> Facts:
    """Returns the facts after a plan was applied: its files and folders, and services with their new flags."""
    files = {name: dict(known.files) for name, known in facts.hosts.items()}
    folders = {name: dict(known.folders) for name, known in facts.hosts.items()}
    restarted = set()
    moved: set[tuple[str, str]] = set()
    for change in plan.changes:
        if isinstance(change, WriteFile):
            files[change.host][change.path] = change.after
        elif isinstance(change, MakeFolder):
            folders[change.host][change.path] = PathInfo(
                "folder", change.mode, change.owner, change.group, 4096
            )
        elif change.action == "restart":
            restarted.add((change.host, change.service.component))
            moved |= {(change.host, change.service.component)} if change.moves_to else set()
    hosts = {}
    for name, known in facts.hosts.items():
        services = tuple(
            _restarted(service, files[name], web=(name, service.component) not in moved)
            if (name, service.component) in restarted
            else service
            for service in known.services
        )
        proxies = tuple(
            _restarted(each, files[name], web=False) if (name, each.component) in restarted else each
            for each in known.proxies
        )
        hosts[name] = replace(
            known, files=files[name], folders=folders[name], services=services, proxies=proxies
        )
    return replace(facts, hosts=hosts)


def _restarted(service: Service, files: Mapping[str, FileState | None], *, web: bool) -> Service:
    """Returns the service after a restart with the flags in its present file."""
    state = files.get(service.flags.path)
    flags = re.findall(r"--([a-z.-]+)=([^\s\"']*)", state.content.decode()) if state else []
    given = {f"--{name}": f"--{name}={value}" for name, value in flags}
    kept = tuple(each for each in service.arguments if each.partition("=")[0] not in given)
    running = replace(service, arguments=(*kept, *given.values()))
    if not web:
        return running
    # A service that a person starts has no file with flags: the plan's manual commands name its web configuration.
    flag = find_component(service.component).web_flag(service.version)
    path = running.flag(flag) or f"{service.home}/web.yml"
    if service.credentials:  # a copy, which discovery maps to the original file
        path = path.replace(service.credentials, service.home)
    return replace(running, web_config=path)


# -- a plan as text -----------------------------------------------------------------------------------------


def plan_as_text(name: str) -> str:
    """Returns the plan of a case as text, or the reason of a refusal; ends with a newline."""
    try:
        plan = plan_of(name)
    except FirescreenError as error:
        lines = ["refused", f"  what   {error.what}", f"  where  {error.where}", f"  todo   {error.todo}"]
        return stable("\n".join(lines)) + "\n"
    lines = list(_lines(plan))
    return stable("\n".join(lines or ["nothing to do"])) + "\n"


def stable(text: str) -> str:
    """Replaces values that differ from run to run (keys, certificates, hashes, dates) by their names."""
    for pattern, word in _VOLATILE:
        text = pattern.sub(word, text)
    return text


def _lines(plan: Plan) -> Iterator[str]:
    for step in plan.steps:
        yield f"step {step.id} on {step.host}, stage {step.stage}: {step.title}"
        for change in step.changes:
            yield from (f"    {line}".rstrip() for line in _change(change))
        yield ""
    for probe in plan.probes:
        yield f"probe {probe.id}: {probe.client} -> {probe.expect} from {probe.url}"
    for warning in plan.warnings:
        yield f"{warning.severity} {warning.id} {warning.host}/{warning.component}: {warning.what}"
    yield from (f"gap {gap.sentence}" for gap in plan.gaps)
    yield from (f"hint {hint}" for hint in plan.hints)
    for arrow in plan.arrows:
        yield f"connection {arrow.client_host}/{arrow.client} -> {arrow.server_host}/{arrow.server} at {arrow.address}"
        yield f"    {arrow.how}, {'encrypted' if arrow.encrypted else 'plain'}, probe {arrow.probe or 'none'}"
        for side, shows, checks in (
            ("server", arrow.server_shows, arrow.client_checks),
            ("client", arrow.client_shows, arrow.server_checks),
        ):
            if shows or checks:
                yield f"    {side} shows {shows or 'nothing'}, checked against {checks or 'nothing'}"
        if arrow.user:
            yield f"    logs in as {arrow.user}"


def _change(change: Change) -> Iterator[str]:
    yield change.title()
    if isinstance(change, MakeFolder):
        yield f"  {change.mode:04o} {change.owner}:{change.group}"
    elif isinstance(change, RunService):
        yield from (f"  until {turn.instance} is scraped by https" for turn in change.turns)
    elif change.after is not None:
        yield f"  {change.after.mode:04o} {change.after.owner}:{change.after.group}"
        yield from (f"  {line}" for line in _content(change))


def _content(change: WriteFile) -> Iterator[str]:
    assert change.after is not None
    content = change.after.content
    if b"PRIVATE KEY" in content:
        yield "private key" + (", encrypted" if b"ENCRYPTED" in content else "")
    elif content.startswith(b"-----BEGIN CERTIFICATE"):
        for block in re.findall(rb"-----BEGIN.*?-----END [A-Z ]+-----\n?", content, re.DOTALL):
            found = issue.summary(block)
            days = round((found.not_after - found.not_before) / 86400)
            yield (
                f"certificate {found.subject} by {found.issuer}, {found.key}, {days} days, {'+'.join(found.usage)}"
                f": {', '.join(found.names)}"
            )
    elif change.secret:
        yield "a secret"
    else:
        yield from change.diff(context=1).splitlines()
