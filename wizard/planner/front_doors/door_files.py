"""The files and folders to read from the hosts for the front doors of a stack. Pure."""

from __future__ import annotations

from wizard.model import WORKSPACE, Facts, Stack
from wizard.planner import paths
from wizard.planner.front_doors import door_settings
from wizard.planner.front_doors.door_facts import HOOKS, PUBLIC_CAS, doors


def wanted_files(stack: Stack, facts: Facts) -> dict[str, tuple[str, ...]]:
    """The paths to read for the front doors, by host."""
    wanted: dict[str, tuple[str, ...]] = {}
    for known in doors(stack, facts):
        own = (
            known.door.cert_file,
            known.door.key_file,
            known.door.ca_file or (known.door.site and PUBLIC_CAS),
        )
        found = [known.service.config_file, known.site, known.include, known.passwords, known.client_ca]
        found += [known.outside] if known.outside else []
        found += [known.bundle] if known.bundle else []
        found += [*door_settings.lets_encrypt(known.door.name), *known.hook_files]
        found += [*known.server.pair, *known.server.spare_pair, *(path for path in own if path)]
        found += [path for pair in known.proxy.needed for path in pair]
        found += [known.grafana.service.config_file] if known.grafana is not None else []
        found += [*known.client_pair, known.client_bundle, known.backend_ca]
        wanted[known.door.host] = (*wanted.get(known.door.host, ()), *found)
        for each in known.backends:
            host = each.host.spec.name
            wanted[host] = (*wanted.get(host, ()), *filter(None, (each.service.flags.path,)))
        tools = tuple(paths.tools_file(facts, each.server) for each in known.backends)
        trust = paths.trust_copy(facts, known.server)
        wanted[WORKSPACE] = (*wanted.get(WORKSPACE, ()), trust, *tools)
    return wanted


def wanted_folders(stack: Stack, facts: Facts) -> dict[str, tuple[str, ...]]:
    """The folders to check for the front doors, by host."""
    wanted: dict[str, tuple[str, ...]] = {}
    for known in doors(stack, facts):
        folders = [known.proxy.home, *(HOOKS if known.hook else ())]
        wanted[known.door.host] = (*wanted.get(known.door.host, ()), *folders)
        for each in known.backends:
            host = each.host.spec.name
            wanted[host] = (*wanted.get(host, ()), *each.server.flag_folders)
    return wanted
