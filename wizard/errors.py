"""One tree of errors that a person may see; each says what happened, where, and what to do.

Everything that the fronts show on failure comes from here, so that nobody ever meets a traceback. The
exit code of the command line (see `assets/docs/json.md`) hangs on the class.
"""

from __future__ import annotations


class FirescreenError(Exception):
    """Something a person has to be told about.

    Args:
        what: one sentence that says what happened, without a full stop at the end.
        where: the file, line, host or unit that it happened at; may be empty.
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
        """Hosts that are left as they should not be, where that is known."""

    def __str__(self) -> str:
        """All three parts on one line, for logs and the command line."""
        place = f"{self.where}: " if self.where else ""
        advice = f" ({self.todo})" if self.todo else ""
        return f"{place}{self.what}{advice}"


class InputError(FirescreenError):
    """Bad usage or bad input; nothing was touched."""

    title = "That input cannot be used"
    exit_code = 2


class NeededError(InputError):
    """Something has to be asked for before a plan can be made.

    Args:
        user: whose password it is; '' for the passphrase of the CA's key.
        kind: '' for the above; what a connection needs is one of 'password' (of the login), 'key' (passphrase
            of a private key), 'sudo' (password for sudo) and 'host-key' (a yes to `fingerprint`).
        host: for a connection: whose it is, to be handed back to `hosts.access.Access` as it stands; the
            host's name, with kind 'key' the path of the key.
        fingerprint, key_type: with kind 'host-key': what the host showed, e.g. SHA256:Vq1… and ssh-ed25519
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
    """The stack file does not say something that can be done."""

    title = "The stack file needs a correction"


class ConfigError(InputError):
    """A configuration file cannot be read, or cannot be edited without a guess."""

    title = "A configuration file could not be edited"


class LabError(InputError):
    """A lab's file cannot be read, or does not say something that can be done."""

    title = "A lab's file needs a correction"


class ClassroomError(InputError):
    """A classroom file cannot be read, or does not say something that can be done."""

    title = "The classroom file needs a correction"


class CertificateError(InputError):
    """A key, a certificate or a passphrase does not fit its purpose."""

    title = "A key or certificate cannot be used"


class PasswordError(InputError):
    """A password or a hash cannot be used."""

    title = "That password cannot be used"


class ProgramsError(FirescreenError):
    """A real program (prometheus, node_exporter, promtool …) can be neither found nor fetched."""

    title = "A program is missing"


class HostError(FirescreenError):
    """A host, or a file on it, cannot be reached or changed."""

    title = "The host did not do what was asked"


class WorkspaceError(HostError):
    """The workspace cannot be written."""

    title = "The workspace cannot be written"


class AwayError(HostError):
    """A host is not within reach: it never answered, or the connection to it was lost."""

    title = "The host cannot be reached"


class PathError(HostError):
    """What stands at a path is not what it has to be."""

    title = "A path does not lead to a file that can be used"


class UnsafePathError(PathError):
    """A path leads through a folder that an unprivileged user can change to something that is not that user's."""

    title = "A path is not safe for root"


class ChangedError(FirescreenError):
    """A file is no longer what the preview showed; it was left alone."""

    title = "A file changed since the preview"


class ValidationError(FirescreenError):
    """A new file was refused by a check before it replaced the old one."""

    title = "The new file was refused before it replaced the old one"


class ServiceError(FirescreenError):
    """A service did not start, restart or reload.

    Args:
        log: the last lines that it wrote, oldest first.
    """

    title = "A service did not come up"

    def __init__(self, what: str, *, where: str = "", todo: str = "", log: tuple[str, ...] = ()) -> None:
        super().__init__(what, where=where, todo=todo)
        self.log = log


class VerificationError(FirescreenError):
    """A probe did not end as it must."""

    title = "Verification failed"


class PartError(FirescreenError):
    """Some hosts failed and were rolled back, or were unreachable; the others are verified.

    Args:
        recover: whether a host that failed could not be rolled back.
    """

    def __init__(self, what: str, *, where: str = "", todo: str = "", recover: bool = False) -> None:
        super().__init__(what, where=where, todo=todo)
        self.title = "A host needs recovery" if recover else "Some hosts are as they were before"


class JournalError(FirescreenError):
    """The journal of a run cannot be written, read or carried out."""

    title = "The journal cannot be used"


class RestoreError(JournalError):
    """Not every change of a run could be rolled back."""

    title = "Not everything could be rolled back"


class LockedError(FirescreenError):
    """Another Firescreen is at work on the same thing."""

    title = "Another Firescreen is at work here"


class CancelledError(FirescreenError):
    """The person stopped the run; what was done is rolled back."""

    title = "Stopped on request"
