"""Plans the installation of Firescreen's alert rules on each Prometheus of a stack. Pure functions."""

from __future__ import annotations

import posixpath
from dataclasses import replace

from wizard.config_files.prometheus.rule_files import add_rule_file
from wizard.errors import InputError
from wizard.model import ContentKind, FileState, Plan, PlannedStep, StepKind
from wizard.planner import manual_commands, paths, service_actions
from wizard.planner.client_facts import Client

NAME = "firescreen-rules.yml"
_WHY = "Prometheus warns 28, 14 and 3 days before a certificate expires, past the date, and when nothing says it any more."


def with_rules(plan: Plan, rules: bytes, now: dict[str, FileState | None]) -> Plan:
    """The plan that writes the rules beside each prometheus.yml and adds them to its rule_files; no steps if it has them.

    Args:
        plan: the present plan for the stack. It must have no changes, because its probes verify this plan too.
        rules: the content of the rules file.
        now: the present rules file of each host, by the host's name.

    Raises:
        InputError: the stack has changes pending, or no Prometheus. ConfigError: a prometheus.yml cannot be edited.
    """
    if plan.changes:
        raise InputError(
            "the stack has other changes pending",
            where=plan.stack.source,
            todo="Apply them first: firescreen apply STACK",
        )
    clients = paths.scrapers(plan.stack, plan.facts)
    if not clients:
        raise InputError(
            "no Prometheus whose configuration is known runs on the hosts of this stack",
            where=plan.stack.source,
            todo="Print the rules with firescreen upkeep rules, and name the file in its rule_files",
        )
    steps: list[PlannedStep] = []
    for client in clients:
        step = _step(plan, client, rules, now.get(client.host.spec.name))
        if step is not None:
            steps.append(replace(step, stage=len(steps)))
    return replace(plan, steps=tuple(steps))


def rules_path(client: Client) -> str:
    """The path of the rules file of a Prometheus."""
    return posixpath.join(client.folder, NAME)


def _step(plan: Plan, client: Client, rules: bytes, now: FileState | None) -> PlannedStep | None:
    path, config = rules_path(client), client.service.config_file
    state = client.host.files.get(config)
    assert state is not None  # `paths.scrapers` only returns clients whose configuration was read
    edited = add_rule_file(state.content, path, folder=client.folder)
    changes = []
    if now is None or now.content != rules:
        after = FileState(rules, 0o644, client.owner, client.group)
        change = client.write(
            path,
            after,
            ContentKind.ALERT_RULES,
            why=_WHY,
            by_hand=manual_commands.text(path, after),
        )
        changes.append(replace(change, before=now))
    if edited != state.content:
        after = replace(state, content=edited)
        changes.append(
            client.write(
                config,
                after,
                ContentKind.PROMETHEUS_CONFIG,
                why="Prometheus reads the rules from the files that are named here.",
                by_hand=manual_commands.patch(config, state, after),
            )
        )
    if not changes:
        return None
    reload = service_actions.reload(plan.facts, client)
    return client.step(
        StepKind.UPKEEP,
        title="Give Prometheus the alert rules for expiry and drift",
        why=_WHY,
        changes=(*changes, *reload.changes),
    )
