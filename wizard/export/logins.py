"""Logins of a Prometheus by OAuth2 or with a token in an export: which files are theirs. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from wizard.model import Authorization, Facts, Stack
from wizard.planner import client_logins, paths
from wizard.planner.client_logins import LoginPlan


def logins(stack: Stack, facts: Facts) -> LoginPlan:
    """The logins of a stack.

    Args:
        facts: as they are after its plan.
    """
    clients = paths.scrapers(stack, facts) if stack.client_logins else ()
    return client_logins.plan_logins(stack, facts, clients)


def files(plan: LoginPlan) -> Iterator[tuple[str, str]]:
    """(host, path) of the configurations that name them, and of their secrets, whose owner and mode count."""
    for each in plan.known:
        yield each.login.host, each.path
        yield each.login.host, each.login.secret_file


def brought(plan: LoginPlan) -> Iterator[tuple[str, str]]:
    """(host, path) of the CAs of token endpoints."""
    for each in plan.known:
        way = each.login.way
        if not isinstance(way, Authorization) and way.ca_file:
            yield each.login.host, way.ca_file
