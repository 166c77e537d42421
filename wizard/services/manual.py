"""What to type where Firescreen does not restart a service itself: a container, Windows, a bare process.

Pure: the same service gives the same lines; whoever shows them waits until the probes say that it is done.
"""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from wizard.components import Component, component
from wizard.configs.words import with_flag
from wizard.model import Service
from wizard.services import powershell


def command(
    service: Service,
    *,
    web_config: str,
    more: Mapping[str, str] = MappingProxyType({}),
    source: str = "",
    secret: Sequence[str] = (),
) -> tuple[str, ...]:
    """The lines that start the service with its web configuration, in the shell of its system.

    Args:
        service: with its arguments as it runs.
        web_config: path of the web configuration as the service will see it.
        more: values of further flags that are to be set, by their names without dashes.
        source: for Windows: the folder on the machine where Firescreen runs that holds its files.
        secret: for Windows: names of the files there that only the service may read.
    """
    known = component(service.component)
    flag = known.web_flag(service.version) or known.web_flag()
    if service.kind == "windows":
        return powershell.start(service, source=source, secret=secret, flags={flag: web_config, **more})
    arguments = list(service.arguments)
    for name, value in {flag: web_config, **more}.items():
        arguments = with_flag(arguments, flag=name, value=value)
    if service.kind == "container":
        return _container(service, known, arguments, web_config)
    program = service.program or known.programs[0]
    stop = (f"kill {service.pid}",) if service.pid else ()
    return (*stop, shlex.join([program, *arguments]))


def back(service: Service) -> tuple[str, ...]:
    """What is told when its files are put back: the lines that start it as before, where they are known."""
    if service.kind == "windows":
        known = component(service.component)
        return powershell.back(service, [known.web_flag(service.version) or known.web_flag()])
    return (f"{service.unit} was started by hand: start it again as it was before",)


def reload(service: Service) -> tuple[str, ...]:
    """The line that makes it read its own configuration again: its endpoint where that is on, else the signal.

    () where neither is known: it has to be restarted then.
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
    if service.kind == "container" and service.unit:
        return (f"docker kill --signal=HUP {shlex.quote(service.unit)}",)
    return (f"kill -HUP {service.pid}",) if service.pid else ()


def _container(service: Service, known: Component, arguments: list[str], web_config: str) -> tuple[str, ...]:
    folder = posixpath.dirname(web_config)
    mount = f"{folder}:{folder}:ro"
    port = service.listen.rpartition(":")[2] or str(known.default_port)
    if known.config_flag and not any(word.startswith(f"--{known.config_flag}") for word in arguments):
        # The image's own default arguments are replaced as a whole as soon as one is given.
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
