"""Generates new passwords and their bcrypt hashes while discovery runs, because a hash is slow on purpose."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from wizard import passwords
from wizard.model import Spare, Stack, UserSpec
from wizard.workspace import Workspace


@contextmanager
def spares(stack: Stack, workspace: Workspace) -> Iterator[Callable[[], Mapping[str, Spare]]]:
    """Starts to hash passwords for new users; yields a function that waits for the results, by user name."""
    wanted = [user for user in stack.users if stack.asks_password and _new(user, workspace)]
    if not wanted:
        yield dict
        return
    with ThreadPoolExecutor(1, thread_name_prefix="hash") as pool:
        made = {user.name: pool.submit(_spare, user) for user in wanted}
        yield lambda: {name: each.result() for name, each in made.items()}


def _new(user: UserSpec, workspace: Workspace) -> bool:
    """Whether a password will be generated for a user, as far as that is known before discovery."""
    return user.password == "generate" and not (workspace.root / "users" / f"{user.name}.password").exists()


def _spare(user: UserSpec) -> Spare:
    password = passwords.generate()
    return Spare(password, passwords.hash_password(password, user.cost))
