"""Commands for the user, where Firescreen does not restart a service itself: a container, Windows, a bare process.

The functions are pure: the same service gives the same lines. The caller shows them and waits until the probes succeed.
"""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from wizard.components import Component, component
from wizard.config_files.shell_syntax import with_flag
from wizard.connections.base import Connection
from wizard.model import MANUAL, Service, Supervision
from wizard.service_managers import docker, docker_run, powershell
from wizard.service_managers.base import Answers, Ask
from wizard.service_managers.flags import FlagFiles


def command(
    service: Service,
    *,
    web_config: str,
    more: Mapping[str, str] = MappingProxyType({}),
    source: str = "",
    secret: Sequence[str] = (),
) -> tuple[str, ...]:
    """The commands that start the service with its web configuration, for the shell of its system.

    Args:
        service: with the arguments with which it runs.
        web_config: path of the web configuration as the service sees it.
        more: values of further flags to set, by their names without dashes.
        source: for Windows: the folder with its files on the machine where Firescreen runs.
        secret: for Windows: names of the files in it that only the service may read.
    """
    known = component(service.component)
    flag = known.web_flag(service.version) or known.web_flag()
    if service.kind == "windows":
        return powershell.start(service, source=source, secret=secret, flags={flag: web_config, **more})
    arguments = list(service.arguments)
    for name, value in {flag: web_config, **more}.items():
        arguments = with_flag(arguments, flag=name, value=value)
    if service.container is not None:
        return docker_run.lines(service.container, arguments, folder=posixpath.dirname(web_config))
    if service.kind == "container":
        return _container(service, known, arguments, web_config)
    program = service.program or known.programs[0]
    if service.supervision is not None:
        return _supervisor_commands(
            service, service.supervision, shlex.join([program, *arguments]), arguments
        )
    stop = (f"kill {service.pid}",) if service.pid else ()
    return (*stop, shlex.join([program, *arguments]))


def back(service: Service) -> tuple[str, ...]:
    """The commands to show when its files are restored: those that start it as before, if they are known."""
    if service.kind == "windows":
        known = component(service.component)
        return powershell.back(service, [known.web_flag(service.version) or known.web_flag()])
    if service.container is not None:
        name, engine = shlex.quote(service.container.name), service.container.engine
        return (
            f"{engine} rm -f {name} && {engine} rename {name}-before {name} && {engine} start {name}",
            "# if it was replaced; else nothing is to be done",
        )
    return (f"{service.unit} was not started by a service manager: start it again as it was before",)


def reload(service: Service) -> tuple[str, ...]:
    """The command that reloads its configuration: by its HTTP endpoint if that is enabled, else by signal.

    () if neither is possible: it has to be restarted then.
    """
    if service.kind == "windows":
        return powershell.restart(service)
    if any(
        argument in ("--web.enable-lifecycle", "--web.enable-lifecycle=true")
        for argument in service.arguments
    ):
        scheme = "https" if service.web_config else "http"
        prefix = component(service.component).prefix(service.flag)
        return (
            f"curl -X POST {scheme}://{service.listen}{prefix}/-/reload   # as you ask it otherwise: CA, user",
        )
    supervision = service.supervision
    if not component(service.component).reload_by and supervision is not None:
        return supervision.restart
    if service.kind == "container" and service.unit:
        return (f"docker kill --signal=HUP {shlex.quote(service.unit)}",)
    return (f"kill -HUP {service.pid}",) if service.pid else ()


def _supervisor_commands(
    service: Service, supervision: Supervision, command: str, arguments: list[str]
) -> tuple[str, ...]:
    """What to change if another program starts the service, and how to restart only the service."""
    kind, name = supervision.kind, supervision.name
    changed = tuple(arguments) != service.arguments
    if kind in ("unit", "monit", "tmux", "screen"):
        return _shared_process_commands(service, supervision, command)
    head = f"# {_KEEPERS[kind]} runs {service.component} as {name}; only {name} is restarted."
    if not changed:
        return (head, *supervision.restart)
    if kind == "pm2":
        start, *program_arguments = shlex.split(command)
        run = shlex.join(["pm2", "start", start, "--name", name, "--", *program_arguments])
        return (head, *supervision.renew, run, "pm2 save")
    edit = f"# Edit {supervision.file or 'its configuration'}: what begins with {supervision.line!r} becomes"
    return (
        head,
        edit,
        f"#   {_supervisor_line(supervision, command)}",
        *(supervision.renew or supervision.restart),
    )


_KEEPERS = {
    "supervisord": "supervisord",
    "runit": "runit",
    "s6": "s6",
    "daemontools": "daemontools",
    "pm2": "PM2",
    "shell": "systemd",
}


def _supervisor_line(supervision: Supervision, command: str) -> str:
    """The line for the supervisor's own file, with its quoting."""
    if supervision.kind == "supervisord":
        # supervisord expands %(name)s in the command.
        return f"command={command.replace('%', '%%')}"
    if supervision.kind == "shell":
        return f"ExecStart=/bin/sh -c {shlex.quote('exec ' + command)}"
    return f"exec {command}"


def _shared_process_commands(service: Service, supervision: Supervision, command: str) -> tuple[str, ...]:
    """The commands if a unit or session runs more than the component and cannot restart the component alone."""
    name = supervision.name
    stop = (f"kill {service.pid}",) if service.pid else ()
    if supervision.kind == "unit":
        return (
            f"# {name}.service runs more than {service.component}, so it is not restarted. Where it starts",
            f"# {service.component}, let it do so with these flags; then stop the running one and start it so:",
            *stop,
            command,
        )
    if supervision.kind == "monit":
        return (
            f"# monit starts {service.component}: let its 'start program' (in {supervision.file} or what that",
            "# includes) use these flags; monit starts it again by itself when the running one has ended:",
            f"#   {command}",
            *supervision.renew,
            *stop,
        )
    return (
        f"# {service.component} runs in a session of {supervision.kind} ({supervision.restart[0]}). Stop it there,",
        "# and start it there with:",
        *stop,
        command,
    )


def _container(service: Service, known: Component, arguments: list[str], web_config: str) -> tuple[str, ...]:
    folder = posixpath.dirname(web_config)
    mount = f"{folder}:{folder}:ro"
    port = service.listen.rpartition(":")[2] or str(known.default_port)
    if known.config_flag and not any(word.startswith(f"--{known.config_flag}") for word in arguments):
        # Any argument replaces all of the image's default arguments.
        arguments = [f"--{known.config_flag}={known.home}/{known.name}.yml", *arguments]
    run = ["docker", "run", "-d", "--name", known.name, "-p", f"{port}:{known.default_port}", "-v", mount]
    return (
        f"# {known.name} runs in a container: keep your own options and image, add the mount and the flag.",
        "# The key must be readable for the container's user (65534 in the official images).",
        shlex.join([*run, known.image, *arguments]),
        "# In a compose file, in the service:",
        f"#   volumes: [{_yaml(mount)}]",
        f"#   command: [{', '.join(map(_yaml, arguments))}]",
    )


def _yaml(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


class Manual(FlagFiles):
    """The user as service manager, for services that Firescreen does not restart; see `base.ServiceManager`."""

    name = MANUAL
    has_units = False

    def address(self, connection: Connection, service: Service) -> str:
        """The current address of a container, which the user may have recreated."""
        return docker.address(connection, service)

    def restart(self, connection: Connection, service: Service, *, answers: Answers | None = None) -> None:
        """Does nothing: the user restarts it."""

    def reload(self, connection: Connection, service: Service, *, ask: Ask | None = None) -> None:
        """Does nothing: the user reloads it."""

    def is_active(self, connection: Connection, service: Service) -> bool:
        """True: this is left to the user."""
        return True

    def logs(self, connection: Connection, service: Service, lines: int = 20) -> tuple[str, ...]:
        """(): there is no known log."""
        return ()

    def manual_commands(self, service: Service, action: str, *, workspace: str = "") -> tuple[str, ...]:
        """See the function `reload`; the commands for a restart depend on the files."""
        return reload(service)
