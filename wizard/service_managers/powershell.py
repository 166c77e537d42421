"""PowerShell commands for the administrator of a Windows host: copy files, set access rights, set the flag, restart.

They change services through Windows' own interfaces and the registry, never with a program that takes a quoted command
line: Windows PowerShell 5.1 and PowerShell 7 pass quotes to programs in different ways. Pure.
"""

from __future__ import annotations

import ntpath
from collections.abc import Mapping, Sequence

from wizard.components import Component, component
from wizard.model import Service

_PROGRAMS = {"node_exporter": "windows_exporter"}
"""The program that replaces a component on Windows."""
# By id, as the names differ between languages: the system account and the administrators.
_SYSTEM, _ADMINISTRATORS = "*S-1-5-18", "*S-1-5-32-544"


def quote(text: str) -> str:
    """`text` as one PowerShell word in which nothing is expanded; all kinds of quotes that it knows are doubled."""
    for mark in "'\u2018\u2019\u201a\u201b":
        text = text.replace(mark, mark * 2)
    return f"'{text}'"


def name(service: Service) -> str:
    """The name of the program, and of the Windows service that runs it."""
    return _PROGRAMS.get(service.component, service.component)


def folder(service: Service) -> str:
    """The absolute folder of the program, which also gets its files."""
    if ntpath.isabs(service.program):
        return ntpath.dirname(service.program)
    return ntpath.join("C:\\Program Files", name(service))


def start(
    service: Service, *, source: str, secret: Sequence[str], flags: Mapping[str, str]
) -> tuple[str, ...]:
    """Commands that put the files in place and set the service's flags.

    Args:
        service: a service on Windows.
        source: the folder of the files on the machine where Firescreen runs.
        secret: names of the files that only the service may read.
        flags: values by the flags' names without dashes; a relative path is relative to the service's folder.
    """
    target, called = folder(service), name(service)
    words = [
        f"--{flag}={ntpath.join(target, value) if _is_file_name(value) else value}"
        for flag, value in flags.items()
    ]
    lines = [
        (
            f"# On {service.host}, in PowerShell as administrator. First copy the folder {source} of the machine where "
            "Firescreen runs to this one, here to C:\\firescreen:"
        ),
        f"$folder = {quote(target)}",
        "New-Item -ItemType Directory -Force -Path $folder | Out-Null",
        "Copy-Item -Path 'C:\\firescreen\\*' -Destination $folder",
        *(
            f'icacls "$folder\\{each}" /inheritance:r /grant:r "{_SYSTEM}:(R)" "{_ADMINISTRATORS}:(F)"'
            for each in secret
        ),
        "Remove-Item -Recurse -Path 'C:\\firescreen'",
        *_set_flags(component(service.component), called, words),
        f"Restart-Service -Name {quote(called)}",
    ]
    return tuple(lines)


def back(service: Service, flags: Sequence[str]) -> tuple[str, ...]:
    """Commands that remove the flags again."""
    known, called = component(service.component), name(service)
    pattern = "|".join(flags).replace(".", "\\.")
    ours = quote(f' "--({pattern})=[^"]*"')
    lines = [
        f"# On {service.host}, in PowerShell as administrator:",
        *_read(known, called),
        f"$command = $command -replace {ours}, ''",
        _write(known),
        f"Restart-Service -Name {quote(called)}",
    ]
    return tuple(lines)


def restart(service: Service) -> tuple[str, ...]:
    """The command that restarts the service: on Windows no signal reloads a program's configuration."""
    return (
        f"Restart-Service -Name {quote(name(service))}   # on {service.host}, in PowerShell as administrator",
    )


def _set_flags(known: Component, called: str, words: Sequence[str]) -> list[str]:
    """Commands that append these flags to the service's current command line, unless they are there."""
    lines = _read(known, called)
    for word in words:
        flag = word.partition("=")[0]
        known_already, more = quote(f"*{flag}*"), quote(f' "{word}"')
        lines.append(f"if ($command -notlike {known_already}) {{ $command += {more} }}")
    return [*lines, _write(known)]


def _read(known: Component, called: str) -> list[str]:
    """Commands that put the service's command line into $command: its own, or the one that nssm starts."""
    if known.name in _PROGRAMS:
        named = quote(f'Name = "{called}"')
        return [
            f"$service = Get-CimInstance -ClassName Win32_Service -Filter {named}",
            "$command = $service.PathName",
        ]
    key = quote(f"HKLM:\\SYSTEM\\CurrentControlSet\\Services\\{called}\\Parameters")
    return [
        (
            f"# {known.title} is no Windows service by itself: nssm runs it as one. Where another program does, set the "
            "flags there."
        ),
        f"$parameters = {key}",
        "$command = (Get-ItemProperty -Path $parameters).AppParameters",
    ]


def _write(known: Component) -> str:
    if known.name in _PROGRAMS:
        return "Invoke-CimMethod -InputObject $service -MethodName Change -Arguments @{ PathName = $command } | Out-Null"
    return "Set-ItemProperty -Path $parameters -Name AppParameters -Value $command"


def _is_file_name(value: str) -> bool:
    """Whether a value names a file without its folder."""
    return value.endswith((".yml", ".yaml", ".crt", ".key")) and not any(sign in value for sign in ":/\\")
