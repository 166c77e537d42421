"""Plans the installation of Firescreen's alert rules on each Prometheus of a stack; reads the present files for that."""

from __future__ import annotations

from wizard import assets
from wizard.engine import Engine
from wizard.model import Plan
from wizard.planner import paths
from wizard.upkeep import rule_plan


def rules() -> bytes:
    """The content of the file with the alert rules."""
    return assets.path("upkeep/rules.yml").read_bytes()


def with_rules(machine: Engine, plan: Plan) -> Plan:
    """Plans the installation of the rules on each Prometheus; no steps if all have them.

    Args:
        plan: the present plan for the stack, which must have no changes.

    Raises:
        FirescreenError: a host cannot be read, or the stack has other changes pending.
    """
    with machine.connections(plan.stack.hosts) as hosts:
        present = {
            client.host.spec.name: hosts.connection(client.host.spec.name).read(rule_plan.rules_path(client))
            for client in paths.scrapers(plan.stack, plan.facts)
        }
    return rule_plan.with_rules(plan, rules(), present)
