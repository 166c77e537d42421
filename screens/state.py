"""The state of the current stack and of the hosts to choose from, for the screens, as frozen values.

The app replaces a whole value; screens redraw from it, and a screen that opens later reads it first.
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
"""Prefix and suffix of the keys of the client logins' typed secrets; the login's own key is between them."""
OWN_FOLDER = "workspace"
"""The pseudo-host of files in the workspace."""


@dataclass(frozen=True, slots=True)
class ErrorMessage:
    """An error as it is shown: what happened, where, and what to do."""

    title: str
    what: str
    where: str = ""
    todo: str = ""

    @property
    def line(self) -> str:
        """Returns what happened, where and what to do, for the line below a field."""
        at = f": {self.where}" if self.where else ""
        return ". ".join(filter(None, (f"{self.what}{at}", self.todo)))

    @classmethod
    def of(cls, error: FirescreenError) -> ErrorMessage:
        """Returns the three parts of an error, with the last log lines of a service that did not start."""
        log: tuple[str, ...] = getattr(error, "log", ())
        log_lines = "\n".join(("", "Last lines of its log:", *log[-6:])) if log else ""
        return cls(error.title, error.what + log_lines, error.where, error.todo)

    @classmethod
    def of_bug(cls, error: Exception) -> ErrorMessage:
        """Returns an unexpected error so that it can be reported: without any value in it."""
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
    """The class of a student, as the student's wizard knows it."""

    news: News | None = None
    """Messages, pace and clock; None outside of a class."""
    board_open: bool = False
    """Whether the instructor has the board open now."""
    shown: bool = True
    """Whether the student lets the board show the progress."""
    signal: str = ""
    """'help', 'ready' or ''."""
    error: str = ""
    """Why the board on another machine cannot be reached; '' if it can."""

    @property
    def watched(self) -> bool:
        """Returns whether the board shows this student's progress now."""
        return self.board_open and self.shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The current stack: its origin, its last scan, and the answers so far."""

    place: Literal["here", "practice", "file", "hosts"] = "here"
    stack: Stack | None = None
    scan: Scan | None = None
    busy: str = ""
    """What is being done before the components can be shown; '' for nothing."""
    told: tuple[str, ...] = ()
    """Lines of progress that were shown meanwhile, oldest first."""
    error: ErrorMessage | None = None
    typed: tuple[tuple[str, Secret], ...] = ()
    """(question's key, text) of the typed passwords: they are never stored in the stack."""
    touched: frozenset[str] = field(default_factory=frozenset)
    """Keys of the questions that the person has answered: after a rescan, the stack is kept if there are any."""
    renew: frozenset[str] = frozenset()
    """What the next plan replaces although it still works, as `Answers.renew`; empty for a plan of the choices."""
    logins: tuple[ClientLogin, ...] | None = None
    """How Prometheus logs in after the next plan, which changes nothing else; None for a plan of the choices."""
    login_draft: tuple[ClientLogin, ...] | None = None
    """The incomplete logins, as answered when the page was left; no plan is made of them."""
    plan: Plan | None = None
    canary: str = ""
    """The chosen canary: a host, 'none', or '' for Firescreen's choice."""

    @property
    def answers(self) -> Answers:
        """Returns the typed passwords and the typed passphrase in the engine's form."""
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
    def first_step(self) -> str:
        """What a page that is empty before the first run advises."""
        secure = "Press s to secure what is found here."
        if self.place == "practice":
            return secure
        return f"{secure} Esc goes back, where Practise tries it on programs of its own."

    @property
    def wanted(self) -> Stack | None:
        """Returns the stack to plan for: the chosen one, or for a replacement the present one."""
        if self.stack is None or not (self.renew or self.logins):
            return self.stack
        seen = {one.key: one for one in self.scan.exposures} if self.scan else {}
        if self.logins and not self.renew:
            kept = with_present_levels(self.stack, seen, unknown=())
            return replace(kept, client_logins=self.logins)
        return with_present_levels(self.stack, seen)

    @property
    def standing(self) -> Stack | None:
        """Returns the present stack: as it was chosen, or with the present levels if nobody has chosen any."""
        if self.stack is None or self.scan is None or self.touched or self.place == "file":
            return self.stack
        return with_present_levels(self.stack, {one.key: one for one in self.scan.exposures}, unknown=())

    @property
    def hosts(self) -> tuple[str, ...]:
        """Returns the names of the stack's hosts, in its order."""
        return tuple(host.name for host in self.stack.hosts) if self.stack else ()


def of_same_kind(session: Session, plan: Plan | None) -> Session:
    """Returns the session for a plan like `plan`: with its replacements or logins, or unchanged for one of the choices.

    A finished run leaves the session with the choices alone.
    """
    if plan is None or session.stack is None:
        return session
    logins = plan.stack.client_logins
    return replace(
        session, renew=plan.answers.renew, logins=logins if logins != session.stack.client_logins else None
    )


def wholly_protected(stack: Stack) -> Stack:
    """Returns the stack with a level for every component: those without a reverse proxy are protected themselves."""
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
    """Returns the stack with the protection that the scan found, by component key; `unknown` if nothing is known."""
    parts = (
        one
        if stack.doors_to(one.host, one.name)
        else replace(one, protect=found[one.key].level(one.protect) if one.key in found else unknown)
        for one in stack.components
    )
    return replace(stack, components=tuple(parts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Notices:
    """The notices above the pages, and the state of the journals from which they were read."""

    interrupted: RunRecord | None = None
    """A run that was interrupted and is not rolled back yet."""
    practice: bool = False
    """Whether the practice stack runs."""
    runs: tuple[tuple[str, int, int], ...] = ()
    """Name, time and size of each journal: differs when any process has made or undone a run."""
    labs: tuple[int, int] = (0, 0)
    """How many labs were finished on the practice stack, and of how many; zeros before the first one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostEntry:
    """A host to choose from, and what is known about it."""

    spec: HostSpec
    source: str
    """Its origin: here, stack, added, ssh, incus or practice."""
    state: Literal["", "connecting", "known", "failed"] = ""
    note: str = ""
    """What is being done there, or another remark."""
    round: int = 0
    """Number of tests begun: the result of an older test is dropped."""
    taken: int = 0
    """Its position among the chosen hosts, counted from 1; 0 if it is not chosen."""
    user: str = ""
    """The user who is logged in there, once known."""
    rights: Literal["", "root", "sudo", "none"] = ""
    components: tuple[ComponentSpec, ...] = ()
    exposures: tuple[Exposure, ...] = ()
    error: ErrorMessage | None = None
    advice: tuple[str, ...] = ()
    """What is known about such an error."""

    @property
    def name(self) -> str:
        """Returns its unique name."""
        return self.spec.name
