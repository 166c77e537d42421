"""The exceptions that Firescreen shows to a person; each says what happened, where, and what to do.

The screens and the command line show every failure as one of these, never as a traceback. The class decides the
exit code of the command line (see `assets/docs/json.md`).
"""

from __future__ import annotations


class FirescreenError(Exception):
    """Base class of all errors that are shown to a person.

    Args:
        what: what happened, as one sentence without a full stop at the end.
        where: the file, line, host or unit concerned; may be empty.
        todo: what to do about it, as an imperative sentence; may be empty.
    """

    title = "Something went wrong"
    exit_code = 1

    def __init__(self, what: str, *, where: str = "", todo: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.todo = todo
        self.hosts: tuple[str, ...] = ()
        """Hosts that were left neither changed nor rolled back, as far as known."""

    def __str__(self) -> str:
        """All three parts on one line, for logs and the command line."""
        place = f"{self.where}: " if self.where else ""
        advice = f" ({self.todo})" if self.todo else ""
        return f"{place}{self.what}{advice}"


class InputError(FirescreenError):
    """Bad usage or bad input; nothing was changed."""

    title = "That input cannot be used"
    exit_code = 2

    @classmethod
    def from_error(cls, error: FirescreenError) -> InputError:
        """Returns another error as one with exit code 2: nothing was changed because of it. Title and text stay."""
        found = cls(error.what, where=error.where, todo=error.todo)
        found.title = error.title
        return found


class CredentialNeededError(InputError):
    """A password, a passphrase or the confirmation of an SSH host key is missing; the caller asks the person for it.

    Args:
        kind: '' for a password or CA passphrase that a plan needs (see `user`). For a connection: 'password' (of the
            login), 'key' (passphrase of a private key), 'sudo' (password for sudo) or 'host-key' (confirmation of
            `fingerprint`).
        user: with kind '': the user whose password is needed; '' for the passphrase of the CA's key.
        host: for a connection: the host's name, or with kind 'key' the path of the key. To be passed unchanged to
            `connections.credentials.Access`.
        fingerprint, key_type: with kind 'host-key': the key that the host showed, e.g. SHA256:Vq1… and ssh-ed25519.
    """

    title = "Something has to be asked for"

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        todo: str = "",
        user: str = "",
        kind: str = "",
        host: str = "",
        fingerprint: str = "",
        key_type: str = "",
    ) -> None:
        super().__init__(what, where=where, todo=todo)
        self.user = user
        self.kind = kind
        self.host = host
        self.fingerprint = fingerprint
        self.key_type = key_type


class StackError(InputError):
    """The stack file is invalid, or asks for something impossible."""

    title = "The stack file needs a correction"


class ConfigError(InputError):
    """A configuration file cannot be read, or cannot be edited without a guess."""

    title = "A configuration file could not be edited"


class LabError(InputError):
    """A lab's file cannot be read or is invalid."""

    title = "A lab's file needs a correction"


class ClassroomError(InputError):
    """A classroom file cannot be read or is invalid."""

    title = "The classroom file needs a correction"


class CertificateError(InputError):
    """A key, a certificate or a passphrase does not fit its purpose."""

    title = "A key or certificate cannot be used"


class PasswordError(InputError):
    """A password or a hash cannot be used."""

    title = "That password cannot be used"


class ProgramUnavailableError(FirescreenError):
    """A program (prometheus, node_exporter, promtool …) is not installed and cannot be downloaded."""

    title = "A program is missing"


class HostError(FirescreenError):
    """A host, or a file on it, cannot be reached or changed."""

    title = "The host did not do what was asked"


class WorkspaceError(HostError):
    """The workspace cannot be written."""

    title = "The workspace cannot be written"


class UnreachableError(HostError):
    """A host never answered, or the connection to it was lost."""

    title = "The host cannot be reached"


class PathError(HostError):
    """A path leads to something of the wrong type, e.g. a folder or a symbolic link instead of a regular file."""

    title = "A path does not lead to a file that can be used"


class UnsafePathError(PathError):
    """A path to a file of another owner leads through a folder that an unprivileged user can change."""

    title = "A path is not safe for root"


class FileChangedError(FirescreenError):
    """A file no longer has the content that the preview showed; it was not changed."""

    title = "A file changed since the preview"


class ValidationError(FirescreenError):
    """A new file failed a check (e.g. promtool) before it replaced the old one."""

    title = "The new file was refused before it replaced the old one"


class ServiceError(FirescreenError):
    """A service did not start, restart or reload.

    Args:
        log: the last lines of the service's log, oldest first.
    """

    title = "A service did not come up"

    def __init__(self, what: str, *, where: str = "", todo: str = "", log: tuple[str, ...] = ()) -> None:
        super().__init__(what, where=where, todo=todo)
        self.log = log


class VerificationError(FirescreenError):
    """A probe did not end as expected."""

    title = "Verification failed"


class PartialFailureError(FirescreenError):
    """Some hosts failed and were rolled back, or were unreachable; the others are verified.

    Args:
        recover: whether a host failed and could not be rolled back.
    """

    def __init__(self, what: str, *, where: str = "", todo: str = "", recover: bool = False) -> None:
        super().__init__(what, where=where, todo=todo)
        self.title = "A host needs recovery" if recover else "Some hosts are as they were before"


class JournalError(FirescreenError):
    """The journal of a run cannot be written, read or replayed."""

    title = "The journal cannot be used"


class RollbackError(JournalError):
    """Not every change of a run could be rolled back."""

    title = "Not everything could be rolled back"


class LockedError(FirescreenError):
    """Another Firescreen process holds the lock of the workspace, of a host or of a file."""

    title = "Another Firescreen is at work here"


class CancelledError(FirescreenError):
    """The person stopped the run; its changes are rolled back."""

    title = "Stopped on request"
