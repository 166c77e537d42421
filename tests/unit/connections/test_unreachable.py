"""The error text for a host that SSH cannot reach, by the error of the operating system."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from wizard.connections.ssh.config import target
from wizard.connections.ssh.login import _unreachable
from wizard.model import HostSpec

SPEC = HostSpec(name="srv1", connect="ssh", address="192.0.2.4", user="ops")


@pytest.mark.parametrize(
    ("problem", "what", "todo"),
    [
        (OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH)), "No route to host", "host runs"),
        (OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH)), "Network is unreachable", "host runs"),
        (socket.gaierror(-2, "Name or service not known"), "does not resolve", "spelling"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), "nothing listens", "port"),
    ],
)
def test_the_error_says_what_to_check_and_hides_errno(
    problem: OSError, what: str, todo: str, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.touch()
    error = _unreachable(target(SPEC, config=config), problem)
    assert what in error.what and "Errno" not in error.what
    assert todo in error.todo
    assert error.where == "srv1"
