"""How Ansible reaches a host: as Firescreen does. Pure."""

from __future__ import annotations

import shlex
from typing import Any

from wizard.connections.ssh import config
from wizard.errors import InputError
from wizard.model import SSH_PORT, HostSpec

GROUP = "firescreen"
"""The group of all hosts of the stack."""
_TAKEN = ("all", "ungrouped", GROUP)


def refuse_unreachable(spec: HostSpec, source: str) -> None:
    """Whether Ansible can work on a host.

    Raises:
        InputError: it cannot be reached, or its name means something else there.
    """
    if spec.connect == "manual":
        raise InputError(
            f"host '{spec.name}' has `connect: manual`, and Ansible cannot reach it either",
            where=source,
            todo="Say how it is reached (connect: ssh), or leave it out of the stack that is exported",
        )
    if spec.name in _TAKEN:
        raise InputError(
            f"a host called '{spec.name}' would be mistaken for Ansible's group of that name",
            where=source,
            todo="Give the host another name in the stack file",
        )


def connection_variables(spec: HostSpec) -> dict[str, Any]:
    """How Ansible reaches a host: as Firescreen does."""
    told: dict[str, Any] = {"ansible_python_interpreter": "auto_silent"}
    if spec.connect in ("local", "practice"):
        # Ansible's own Python: the one that a search would find may be a wrapper that runs none.
        told |= {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    elif spec.connect == "incus":
        told |= _instance(spec)
    else:
        told |= _by_ssh(spec)
    if spec.become:
        told |= {"ansible_become": True, "ansible_become_method": spec.become}
    return told


def _instance(spec: HostSpec) -> dict[str, Any]:
    remote, _, name = (spec.instance or spec.name).rpartition(":")
    told = {"ansible_connection": "community.general.incus", "ansible_incus_host": name}
    # The plugin speaks to the local client only; what another host holds is a remote of that client.
    if spec.via or remote:
        told["ansible_incus_remote"] = spec.via or remote
    return told


def _by_ssh(spec: HostSpec) -> dict[str, Any]:
    """The stack's own words; what ~/.ssh/config adds counts for Ansible as it does for us, a jump is named too."""
    told: dict[str, Any] = {"ansible_host": spec.address or spec.name}
    if spec.port != SSH_PORT:
        told["ansible_port"] = spec.port
    if spec.user:
        told["ansible_user"] = spec.user
    if spec.identity_file:
        told["ansible_ssh_private_key_file"] = spec.identity_file
    options = []
    if spec.known_hosts:
        options += ["-o", f"UserKnownHostsFile={spec.known_hosts}"]
    jumps = config.target(spec).jumps
    if jumps:
        options += ["-o", f"ProxyJump={','.join(jumps)}"]
    if options:
        told["ansible_ssh_common_args"] = shlex.join(options)
    return told
