"""What the screens know of the current stack and of the hosts to choose from, as frozen values.

The app replaces them whole; screens redraw from them, and one that opens later reads them first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from wizard.engine import Exposure, Scan
    from wizard.errors import FirescreenError
    from wizard.labs.board.class_news import News
    from wizard.model import Answers, ClientLogin, ComponentSpec, HostSpec, Plan, Protection, RunRecord, Stack
    from wizard.redact import Secret

LOGINS, SECRET = "client_logins.", ".secret"
"""What the keys of the typed secrets of client logins begin and end with, the login's own key between them."""
OWN_FOLDER = "workspace"
"""The pseudo-host of what is written to the workspace."""


@dataclass(frozen=True, slots=True)
class ErrorMessage:
    """An error as it is shown: what happened, where, and what to do."""

    title: str
    what: str
    where: str = ""
    todo: str = ""

    @property
    def line(self) -> str:
        """What happened, where and what to do, for the line below a field."""
        at = f": {self.where}" if self.where else ""
        return ". ".join(filter(None, (f"{self.what}{at}", self.todo)))

    @classmethod
    def of(cls, error: FirescreenError) -> ErrorMessage:
        """The three parts of an error, with the last lines of the log of a service that did not start."""
        log: tuple[str, ...] = getattr(error, "log", ())
        said = "\n".join(("", "Last lines of its log:", *log[-6:])) if log else ""
        return cls(error.title, error.what + said, error.where, error.todo)

    @classmethod
    def of_bug(cls, error: Exception) -> ErrorMessage:
        """An unexpected error, as it can be reported: without any value in it."""
        import traceback
        from pathlib import PurePath

        from wizard.redact import plain, redact

        frame = traceback.extract_tb(error.__traceback__)[-1]
        return cls(
            "Internal error",
            redact(plain(f"{type(error).__name__}: {error}", 400)),
            f"{PurePath(frame.filename).name}, line {frame.lineno}",
            "Report these lines. History shows what was changed, and can undo it.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassState:
    """The class that a student is in, as the student's wizard knows it."""

    news: News | None = None
    """Messages, pace and clock; None outside of a class."""
    board_open: bool = False
    """Whether the instructor has the board open now."""
    shown: bool = True
    """Whether the student lets it show the progress."""
    signal: str = ""
    """'help', 'ready' or ''."""
    error: str = ""
    """Why the board on another machine cannot be asked; '' if it can."""

    @property
    def watched(self) -> bool:
        """Whether the board shows this student's progress now."""
        return self.board_open and self.shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The current stack: where it comes from, its last scan, and the answers so far."""

    place: Literal["here", "practice", "file", "hosts"] = "here"
    stack: Stack | None = None
    scan: Scan | None = None
    busy: str = ""
    """What is being done before the components can be shown; '' for nothing."""
    told: tuple[str, ...] = ()
    """What was said while it was done, oldest first."""
    error: ErrorMessage | None = None
    typed: tuple[tuple[str, Secret], ...] = ()
    """(question's key, text) of passwords that were typed: they never go into the stack."""
    touched: frozenset[str] = field(default_factory=frozenset)
    """Keys of the questions that the person has answered: scanning again keeps the stack then."""
    renew: frozenset[str] = frozenset()
    """What the next plan replaces although it serves, as `Answers.renew`; nothing for a plan of the choices."""
    logins: tuple[ClientLogin, ...] | None = None
    """How Prometheus is to log in by the next plan, which changes nothing else; None for a plan of the choices."""
    login_draft: tuple[ClientLogin, ...] | None = None
    """The same as far as it was answered when the page was left; no plan is made of it."""
    plan: Plan | None = None
    canary: str = ""
    """The chosen canary: a host, 'none', or '' for Firescreen's choice."""

    @property
    def answers(self) -> Answers:
        """The passwords and the passphrase that were typed, as the engine takes them."""
        from wizard.model import Answers

        typed = dict(self.typed)
        password = typed.get("users.password")
        user = self.stack.users[0].name if self.stack and self.stack.users else ""
        passwords = {user: password} if password and user else {}
        secrets = {
            key.removeprefix(LOGINS).removesuffix(SECRET): text
            for key, text in typed.items()
            if key.startswith(LOGINS)
        }
        return Answers(passwords, typed.get("certificates.passphrase"), self.renew, secrets)

    @property
    def wanted(self) -> Stack | None:
        """The stack to plan for: the chosen one, or with something to replace the one that stands now."""
        if self.stack is None or not (self.renew or self.logins):
            return self.stack
        seen = {one.key: one for one in self.scan.exposures} if self.scan else {}
        if self.logins and not self.renew:
            kept = with_present_levels(self.stack, seen, unknown=())
            return replace(kept, client_logins=self.logins)
        return with_present_levels(self.stack, seen)

    @property
    def standing(self) -> Stack | None:
        """The stack as it stands: as it was chosen, or with the present levels where nobody has chosen any."""
        if self.stack is None or self.scan is None or self.touched or self.place == "file":
            return self.stack
        return with_present_levels(self.stack, {one.key: one for one in self.scan.exposures}, unknown=())

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names of the stack's hosts, in its order."""
        return tuple(host.name for host in self.stack.hosts) if self.stack else ()


def of_same_kind(session: Session, plan: Plan | None) -> Session:
    """The session whose next plan replaces, or logs in, what `plan` did; for one of the choices, as it is.

    A run that has ended leaves the session with the choices alone.
    """
    if plan is None or session.stack is None:
        return session
    logins = plan.stack.client_logins
    return replace(
        session, renew=plan.answers.renew, logins=logins if logins != session.stack.client_logins else None
    )


def wholly_protected(stack: Stack) -> Stack:
    """The stack with a level for every component: what no front door protects is asked for it itself."""
    return replace(
        stack,
        components=tuple(
            one
            if one.protect or stack.doors_to(one.host, one.name)
            else replace(one, protect=("tls", "basic_auth"))
            for one in stack.components
        ),
    )


def with_present_levels(
    stack: Stack, found: Mapping[str, Exposure], unknown: tuple[Protection, ...] = ("tls",)
) -> Stack:
    """The stack with the protection that the scan found, by the key of a component; `unknown` where nothing is known."""
    parts = (
        one
        if stack.doors_to(one.host, one.name)
        else replace(one, protect=found[one.key].level(one.protect) if one.key in found else unknown)
        for one in stack.components
    )
    return replace(stack, components=tuple(parts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Notices:
    """What is told above the pages, and the state of the journals that it was read from."""

    interrupted: RunRecord | None = None
    """A run that was interrupted and is not rolled back yet."""
    practice: bool = False
    """Whether the practice stack runs."""
    runs: tuple[tuple[str, int, int], ...] = ()
    """Name, time and size of each journal: it differs when a run was made or undone, by whichever process."""
    labs: tuple[int, int] = (0, 0)
    """How many labs were finished on the practice stack, and how many there are; zeros before the first one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostEntry:
    """A host to choose from, and what is known of it."""

    spec: HostSpec
    source: str
    """Where it comes from: here, stack, added, ssh, incus or practice."""
    state: Literal["", "connecting", "known", "failed"] = ""
    note: str = ""
    """What is being done, or what else is to be said of it."""
    round: int = 0
    """Of tests that were begun: an answer to an older one counts no more."""
    taken: int = 0
    """Its place among those that were chosen, counted from 1; 0 for not chosen."""
    user: str = ""
    """Who is logged in there, once that is known."""
    rights: Literal["", "root", "sudo", "none"] = ""
    components: tuple[ComponentSpec, ...] = ()
    exposures: tuple[Exposure, ...] = ()
    error: ErrorMessage | None = None
    advice: tuple[str, ...] = ()
    """What is known about such an error."""

    @property
    def name(self) -> str:
        """Its name, which no other has."""
        return self.spec.name
