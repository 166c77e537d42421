"""Prompts for what connections need; the work that stopped for a prompt is repeated with the answer.

One dialog at a time, and each prompt once, however many threads wait for its answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from screens.dialogs.credentials import Given, SecretDialog, host_key_dialog

if TYPE_CHECKING:
    from screens.base_app import BaseApp
    from wizard.errors import CredentialNeededError


@dataclass(slots=True)
class _Asker:
    wanted: Callable[[], bool]
    again: Callable[[], None]
    refused: Callable[[], None]


@dataclass(slots=True, eq=False)
class _Question:
    needed: CredentialNeededError
    askers: list[_Asker] = field(default_factory=list)


class CredentialPrompts:
    """The queue of prompts that wait for a person.

    Args:
        app: the app on whose screens the prompts appear.
    """

    def __init__(self, app: BaseApp) -> None:
        self._app = app
        self._waiting: list[_Question] = []
        self._open = False

    def ask(
        self,
        needed: CredentialNeededError,
        *,
        wanted: Callable[[], bool],
        again: Callable[[], None],
        refused: Callable[[], None],
    ) -> None:
        """Shows a prompt, and calls `again` if the person answers or `refused` if not.

        Args:
            needed: what the connection needs; its `kind` is not empty.
            wanted: whether the work still waits; if not, neither callback is called.
        """
        same = (needed.kind, needed.host, needed.fingerprint)
        for question in self._waiting:
            if same == (question.needed.kind, question.needed.host, question.needed.fingerprint):
                question.askers.append(_Asker(wanted, again, refused))
                return
        self._waiting.append(_Question(needed, [_Asker(wanted, again, refused)]))
        self._next()

    def _next(self) -> None:
        while self._waiting and not any(asker.wanted() for asker in self._waiting[0].askers):
            self._waiting.pop(0)
        if self._open or not self._waiting:
            return
        self._open = True
        needed = self._waiting[0].needed
        if needed.kind == "host-key":
            self._app.push_screen(host_key_dialog(needed), self._accept_host_key)
        else:
            several = len(self._app.session.hosts) != 1
            self._app.push_screen(SecretDialog(needed, several=several), self._give_secret)

    def _accept_host_key(self, yes: bool | None) -> None:
        if yes:
            needed = self._waiting[0].needed
            self._app.client.accept(needed.host, needed.fingerprint)
        self._done(answered=bool(yes))

    def _give_secret(self, given: Given | None) -> None:
        needed = self._waiting[0].needed
        if given is not None:
            self._app.client.give(needed.kind, needed.host, given.secret, everywhere=given.everywhere)
        self._done(answered=given is not None, kind=needed.kind if given and given.everywhere else "")

    def _done(self, *, answered: bool, kind: str = "") -> None:
        """Goes on after the first prompt, and after all prompts of the same kind that its answer covers."""
        self._open = False
        done = [self._waiting[0], *(each for each in self._waiting[1:] if each.needed.kind == kind)]
        self._waiting = [each for each in self._waiting if each not in done]
        for asker in [asker for question in done for asker in question.askers]:
            if asker.wanted():
                (asker.again if answered else asker.refused)()
        self._next()
