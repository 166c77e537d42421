"""Replaces a password that is in use without a moment in which a client is rejected.

A server has one password per user, and a client sends one: whichever changes first would fail until the other changes.
So the server accepts the new password under a second name, the clients change to it, the first name gets the new
password, the clients change back, and the second name is removed. In the end one line of both files has changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from wizard import passwords
from wizard.components import component as find_component
from wizard.config_files import web_config
from wizard.errors import ConfigError
from wizard.model import (
    Answers,
    ContentKind,
    Facts,
    FileState,
    PlannedStep,
    Stack,
    StepKind,
    UserSpec,
    WriteFile,
)
from wizard.planner import credentials, manual_commands, paths, service_actions
from wizard.planner.client_endpoints import Place, secure
from wizard.planner.client_facts import Client
from wizard.planner.server_facts import Server
from wizard.redact import Secret

NEXT = "-next"
"""Suffix of the user name under which the new password is accepted for a while."""


def with_new_password(stack: Stack, answers: Answers) -> Answers:
    """The answers with a new password, if one must be replaced and none was given."""
    user = stack.users[0]
    if "passwords" not in answers.renew or user.name in answers.passwords or user.password == "file":
        return answers
    return replace(answers, passwords={**answers.passwords, user.name: passwords.generate()})


def rotation(stack: Stack, facts: Facts, answers: Answers) -> tuple[PlannedStep, ...]:
    """Plans the replacement of the first user's password if servers and clients use the old one; () otherwise.

    Raises:
        CredentialNeededError: the person must type the new password and has not.
    """
    user = stack.users[0]
    server_hashes = _servers_of_user(stack, facts, user)
    if not server_hashes:
        return ()
    new = credentials.credential(stack, facts, answers, user).password
    # Each hash once: servers share them, and bcrypt makes each comparison slow on purpose.
    hashes = dict.fromkeys(hashed for _, _, hashed in server_hashes)
    old_hashes = [hashed for hashed in hashes if not passwords.matches(new, hashed)]
    stale = [(server, state) for server, state, hashed in server_hashes if hashed in old_hashes]
    clients = [
        client
        for client in (*paths.scrapers(stack, facts), *paths.probers(stack, facts))
        if _uses_old_password(client, user, old_hashes)
    ]
    if not stale or not clients:
        return ()
    following = replace(user, name=f"{user.name}{NEXT}")
    servers = [_ServerSide.of(server, state, user, following, new) for server, state in stale]
    sides = [_ClientSide(facts, client, user, following, new) for client in clients]
    return (
        *(server.stage(1) for server in servers),
        *(step for side in sides for step in side.over()),
        *(server.stage(2) for server in servers),
        *(step for side in sides for step in side.back()),
        *(server.stage(3) for server in servers),
    )


def _servers_of_user(stack: Stack, facts: Facts, user: UserSpec) -> list[tuple[Server, FileState, str]]:
    """The running TLS servers that know the user, with their web configuration and the hash in it."""
    found = []
    for server in paths.servers(stack, facts):
        state = server.host.files.get(server.web_file)
        if state is None or not server.service.web_config:
            continue
        try:
            config = web_config.parse(state.content)
        except ConfigError:
            continue  # the plan that follows reports the error with its place
        if config.encrypted and user.name in config.users:
            found.append((server, state, config.users[user.name]))
    return found


def _uses_old_password(client: Client, user: UserSpec, hashes: Sequence[str]) -> bool:
    """Whether a client sends the password from its file, and a server accepts that."""
    path = client.password_file(user)
    state = client.host.files.get(path)
    if state is None or not _places(client, path):
        return False
    sent = passwords.as_sent_by_prometheus(state.content)
    return any(passwords.matches(sent, hashed) for hashed in hashes)


def _places(client: Client, path: str) -> list[Place]:
    return [place for place in client.places() if place.basic_auth.get("password_file") == path]


@dataclass(frozen=True, slots=True)
class _ServerSide:
    """The web configuration of one server: at present, then after each of the three stages."""

    server: Server
    states: tuple[FileState, FileState, FileState, FileState]

    @classmethod
    def of(
        cls, server: Server, state: FileState, user: UserSpec, following: UserSpec, new: Secret
    ) -> _ServerSide:
        """All its states, derived from the present file."""
        hashes = {each.name: passwords.hash_password(new, each.cost) for each in (user, following)}
        second = {following.name: hashes[following.name]}
        first = {user.name: hashes[user.name]}
        with_second = web_config.secure(state.content, users=second)
        contents = (
            with_second,
            web_config.secure(with_second, users=first),
            web_config.secure(state.content, users=first),
        )
        return cls(server, (state, *(replace(state, content=content) for content in contents)))  # type: ignore[arg-type]

    def stage(self, number: int) -> PlannedStep:
        """The step to the state with this number."""
        server, name = self.server, self.server.spec.name
        title, why = {
            1: (
                f"Add the new password to {name} under a second user name",
                "Both passwords are accepted while the clients change.",
            ),
            2: (
                f"Replace the password of the first user name at {name}",
                "No client uses that name now: all of them send the second one.",
            ),
            3: (
                f"Remove the second user name from {name}",
                "The clients use the first name again. The old password is rejected from now on.",
            ),
        }[number]
        before, then = self.states[number - 1], self.states[number]
        return server.step(
            StepKind.ROTATE,
            step_id=f"rotate:{number}:{server.key}",
            title=title,
            why=why,
            changes=(
                WriteFile(
                    host=server.spec.host,
                    path=server.web_file,
                    before=before,
                    after=then,
                    why="The server reads it with the next request; nothing is restarted.",
                    content_kind=ContentKind.WEB_CONFIG,
                    by_hand=manual_commands.patch(server.web_file, before, then),
                ),
            ),
        )


class _ClientSide:
    """A client that changes to the second name and back."""

    def __init__(
        self, facts: Facts, client: Client, user: UserSpec, following: UserSpec, new: Secret
    ) -> None:
        self._facts, self._client, self._user, self._following = facts, client, user, following
        self._old_file, self._new_file = client.password_file(user), client.password_file(following)
        old = client.host.files[self._old_file]
        assert old is not None
        self._old_password = old
        self._password = replace(old, content=new.reveal().encode())
        texts = client.texts
        for place in _places(client, self._old_file):
            path = place.path or client.service.config_file
            texts[path] = secure(texts[path], place, ca_file="", login=(following.name, self._new_file))
        self._configs = tuple(
            (path, state, replace(state, content=text))
            for path, text in texts.items()
            if (state := client.host.files[path]) is not None and state.content != text
        )

    def over(self) -> tuple[PlannedStep, ...]:
        """Steps to the second name, with the new password in a separate file."""
        before = self._client.host.files.get(self._new_file)
        return (
            self._step(
                "password-next",
                "Write the new password to a second file for {title}",
                "The old file does not change while it is in use.",
                self._file(self._new_file, before, self._password),
            ),
            self._switch_step(1, self._configs),
            service_actions.reload(self._facts, self._client),
        )

    def back(self) -> tuple[PlannedStep, ...]:
        """Steps back to the first name, whose file gets the new password first."""
        return (
            self._step(
                "password",
                "Replace the password file of {title}",
                "This file is not in use now, so it can change.",
                self._file(self._old_file, self._old_password, self._password),
            ),
            self._switch_step(2, tuple((path, then, before) for path, before, then in self._configs)),
            service_actions.reload(self._facts, self._client),
            self._step(
                "password-end",
                "Remove the second password file of {title}",
                "The configuration is as it was before; the second file is no longer needed.",
                self._file(self._new_file, self._password, None),
            ),
        )

    def _step(self, kind: str, title: str, why: str, *changes: WriteFile) -> PlannedStep:
        name = find_component(self._client.service.component).title
        return self._client.step(
            StepKind.ROTATE,
            step_id=f"rotate:{kind}:{self._client.key}",
            title=title.format(title=name),
            why=why,
            changes=changes,
        )

    def _file(self, path: str, before: FileState | None, then: FileState | None) -> WriteFile:
        source = paths.user_files(self._facts, self._user)[0]
        return WriteFile(
            host=self._client.host.spec.name,
            path=path,
            before=before,
            after=then,
            content_kind=ContentKind.PASSWORD,
            why="Only root and the group of the service can read it.",
            secret=True,
            by_hand=manual_commands.copy(source, path, then)
            if then is not None
            else manual_commands.remove_file(path),
        )

    def _switch_step(self, number: int, configs: Sequence[tuple[str, FileState, FileState]]) -> PlannedStep:
        name = self._following.name if number == 1 else self._user.name
        return self._step(
            f"config-{number}",
            f"Switch {{title}} to user {name}",
            "The servers accept both names meanwhile, so that no scrape is rejected.",
            *(
                WriteFile(
                    host=self._client.host.spec.name,
                    path=path,
                    before=before,
                    after=then,
                    why="Only user and password file change.",
                    content_kind=self._client.config_kind,
                    by_hand=manual_commands.patch(path, before, then),
                )
                for path, before, then in configs
            ),
        )
