"""Plans the alert rules of the upkeep for each Prometheus of a stack. The engine reads what is there."""

from __future__ import annotations

from wizard import assets
from wizard.engine import Engine
from wizard.model import Plan
from wizard.planner import paths
from wizard.upkeep import rule_plan


def rules() -> bytes:
    """The alert rules."""
    return assets.path("upkeep/rules.yml").read_bytes()


def with_rules(machine: Engine, plan: Plan) -> Plan:
    """The plan that gives the rules to each Prometheus; no steps where each has them.

    Args:
        plan: what the stack would change now: nothing.

    Raises:
        FirescreenError: a host cannot be read, or the stack has other changes pending.
    """
    with machine.connections(plan.stack.hosts) as hosts:
        there = {
            client.host.spec.name: hosts.connection(client.host.spec.name).read(rule_plan.rules_path(client))
            for client in paths.scrapers(plan.stack, plan.facts)
        }
    return rule_plan.with_rules(plan, rules(), there)
