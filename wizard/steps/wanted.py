"""What is to be read from the hosts before a plan can be made: of the stack itself, and of who looks on. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from wizard.model import Facts, Stack
from wizard.steps import callers, credentials, grafana, layout


def wanted_files(stack: Stack, facts: Facts) -> dict[str, tuple[str, ...]]:
    """Paths to read, by host, given what is known so far; asked again until nothing new is wanted.

    A `*` in the last part of a path stands for all that is there.
    """
    servers = layout.servers(stack, facts)
    return _together(
        layout.wanted_files(stack, facts),
        grafana.wanted_files(stack, facts),
        callers.wanted_files(servers),
        credentials.wanted_files(servers),
    )


def wanted_folders(stack: Stack, facts: Facts) -> dict[str, tuple[str, ...]]:
    """Folders whose existence matters, by host."""
    servers = layout.servers(stack, facts)
    return _together(
        layout.wanted_folders(stack, facts),
        grafana.wanted_folders(facts),
        callers.wanted_folders(servers),
        credentials.wanted_folders(servers),
    )


def _together(*wanted: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    hosts = dict.fromkeys(host for each in wanted for host in each)
    return {
        host: tuple(dict.fromkeys(path for each in wanted for path in each.get(host, ()))) for host in hosts
    }
