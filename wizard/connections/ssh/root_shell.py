"""Turns the login's shell on another machine into a shell of root's, with sudo.

The password is sent once, on standard input, and only after sudo has asked for it; a rejected one is removed from
`Access` and never sent again.
"""

from __future__ import annotations

import secrets

from wizard.connections import errors
from wizard.connections.credentials import Access
from wizard.connections.remote_shell import RemoteShell
from wizard.errors import CredentialNeededError, HostError
from wizard.redact import plain

_NEXT = 'IFS= read -r line && eval "$line"'

_PATIENCE = 60.0
"""Seconds for sudo: name services and PAM modules are slow, and the answer to a wrong password is delayed."""


class TerminalNeededError(HostError):
    """sudo requires a terminal (requiretty)."""


def become_root(shell: RemoteShell, access: Access, *, host: str, user: str, terminal: bool) -> None:
    """Turns the login's shell into root's; does nothing if it is root's already.

    Args:
        shell: started, but `begin` was not called yet.
        access: has the password for sudo under the host's name.
        host: the machine's name in messages and in `access`.
        user: the login.
        terminal: whether the shell has a terminal.

    Raises:
        TerminalNeededError: try again with a terminal.
        CredentialNeededError: the password is missing or was rejected (kind 'sudo').
        HostError: sudo does not allow this user to become root.
    """
    marker = secrets.token_hex(8)
    if terminal:
        # Without echo, line length limit and newline translation: from now on the terminal works like a pipe.
        shell.send_line(f"stty raw -echo; printf '%s%s\\n' {marker} tty; {_NEXT}")
        shell.expect(f"{marker}tty")
    secret = access.secret("sudo", host)
    if secret is None:
        shell.send_line(_attempt(marker, "-n"))
        if shell.expect(f"{marker}up", f"{marker}end", seconds=_PATIENCE) == f"{marker}up":
            return
        output = shell.before.decode("utf-8", "replace")
        if "password is required" in output or "terminal is required" in output:
            raise _password_needed_error(host, user)
        raise _sudo_error(output, host)
    shell.send_line(_attempt(marker, f"-S -p {marker}ask"))
    if _asks_for_password(shell, marker, host):
        shell.send_line(secret.reveal())
        if _asks_for_password(shell, marker, host, again=True):
            raise _wrong(access, host, user)
        access.secret_accepted("sudo", host)


def _attempt(marker: str, options: str) -> str:
    # Both outputs go to the same stream, so that sudo's messages come before the final word. The shell joins the two
    # halves of that word, so that neither an echo nor a process list contains it. The login's shell ends together with
    # root's: when a program that has replaced root's shell ends, nothing keeps the session open.
    inner = f'[ ! -t 0 ] || stty raw -echo; printf "%s%s\\n" {marker} up; {_NEXT}'
    return (
        f"if [ \"$(id -u)\" = 0 ]; then printf '%s%s\\n' {marker} up; {_NEXT}; "
        f"else LC_ALL=C sudo {options} -- /bin/sh -c '{inner}' 2>&1; printf '%s%s\\n' {marker} end; fi"
    )


def _asks_for_password(shell: RemoteShell, marker: str, host: str, *, again: bool = False) -> bool:
    """Whether sudo asks for a password now (`again`: once more); False if root's shell has started."""
    found = shell.expect(f"{marker}ask", f"{marker}up", f"{marker}end", seconds=_PATIENCE)
    if found == f"{marker}end":
        output = shell.before.decode("utf-8", "replace")
        if again and "incorrect password attempt" in output:
            return True  # a sudo that allows only one attempt does not ask again
        raise _sudo_error(output, host)
    return found == f"{marker}ask"


def _password_needed_error(host: str, user: str) -> CredentialNeededError:
    return CredentialNeededError(
        f"sudo asks for the password of {user}",
        where=host,
        todo="Type it, or allow sudo without a password (NOPASSWD) there.",
        kind="sudo",
        host=host,
    )


def _wrong(access: Access, host: str, user: str) -> CredentialNeededError:
    access.forget("sudo", host)
    return CredentialNeededError(
        f"sudo did not accept the password of {user}",
        where=host,
        todo="Type it again; several wrong ones may lock the account.",
        kind="sudo",
        host=host,
    )


def _sudo_error(output: str, host: str) -> HostError:
    if "must have a tty" in output:
        return TerminalNeededError("sudo requires a terminal (requiretty)", where=host)
    if "not found" in output and "sudo:" in output:
        return HostError(
            "sudo is not installed", where=host, todo="Install it, or log in as root (user: root)."
        )
    return errors.from_sudo(output, host=host) or HostError(
        f"sudo did not give root's rights; it says: {plain(output.strip()[-400:]) or 'nothing'}",
        where=host,
        todo="Run `sudo -v` on that host and read what it prints.",
    )
