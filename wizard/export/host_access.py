"""How Ansible connects to a host: in the same way as Firescreen. Pure."""

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
    """Rejects a host on which Ansible cannot work.

    Raises:
        InputError: it is unreachable, or its name has another meaning in Ansible.
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
    """Returns Ansible's variables for connecting to a host in the same way as Firescreen."""
    variables: dict[str, Any] = {"ansible_python_interpreter": "auto_silent"}
    if spec.connect in ("local", "practice"):
        # Ansible's own Python: the one found by a search may be a wrapper that runs no Python.
        variables |= {
            "ansible_connection": "local",
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        }
    elif spec.connect == "incus":
        variables |= _instance(spec)
    else:
        variables |= _by_ssh(spec)
    if spec.become:
        variables |= {"ansible_become": True, "ansible_become_method": spec.become}
    return variables


def _instance(spec: HostSpec) -> dict[str, Any]:
    remote, _, name = (spec.instance or spec.name).rpartition(":")
    variables = {"ansible_connection": "community.general.incus", "ansible_incus_host": name}
    # The plugin uses only the local client; instances on another host are a remote of that client.
    if spec.via or remote:
        variables["ansible_incus_remote"] = spec.via or remote
    return variables


def _by_ssh(spec: HostSpec) -> dict[str, Any]:
    """Returns the stack's own settings; Ansible reads ~/.ssh/config too, but jumps are also set explicitly."""
    variables: dict[str, Any] = {"ansible_host": spec.address or spec.name}
    if spec.port != SSH_PORT:
        variables["ansible_port"] = spec.port
    if spec.user:
        variables["ansible_user"] = spec.user
    if spec.identity_file:
        variables["ansible_ssh_private_key_file"] = spec.identity_file
    options = []
    if spec.known_hosts:
        options += ["-o", f"UserKnownHostsFile={spec.known_hosts}"]
    jumps = config.target(spec).jumps
    if jumps:
        options += ["-o", f"ProxyJump={','.join(jumps)}"]
    if options:
        variables["ansible_ssh_common_args"] = shlex.join(options)
    return variables
