"""The line dialog of the plain mode: prints sentences, and reads answers from standard input."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from wizard.cli import line_breaks
from wizard.cli.options import Asking
from wizard.cli.output import as_typed
from wizard.errors import FirescreenError, InputError
from wizard.redact import Secret, plain, redact

if TYPE_CHECKING:
    from wizard.model import Question

MOST_TRIES = 5
"""How many invalid answers to one question end the dialog."""

Explain = Callable[[], Sequence[str]]
"""Returns the lines that answer a '?'."""


class Leave(Exception):  # noqa: N818 - leaving is no error
    """The person leaves the dialog.

    Args:
        why: a sentence for the person; '' if `q` was typed.
        exit_code: of the program, if nothing has been applied yet.
    """

    def __init__(self, why: str = "", exit_code: int = 0) -> None:
        super().__init__(why)
        self.why, self.exit_code = why, exit_code


def say(line: str = "", *, whole: bool = False) -> None:
    """Prints a line without control characters immediately, so that a screen reader can begin with it.

    Args:
        whole: the line is a command or part of a file; all others are wrapped at blanks, also in a pipe.
    """
    shown = as_typed(plain(line, 10_000))
    print(shown if whole else line_breaks.break_lines(shown, line_breaks.columns(sys.stdout)), flush=True)


def complain(error: FirescreenError) -> None:
    """Prints an error as sentences: what happened, where, what to do."""
    say(f"{error.title}: {redact(error.what)}.")
    if error.where:
        say(f"Where: {error.where}.")
    if error.todo:
        say(f"What to do: {redact(error.todo)}.")
    for line in getattr(error, "log", ())[-8:]:
        say(f"Log: {redact(line)}", whole=True)


def read_line() -> str:
    """Reads a line of standard input.

    Raises:
        Leave: the person typed q, or standard input has ended.
    """
    # As `options.ask` reads passwords: no line is lost in a buffer between them.
    line = sys.stdin.buffer.readline()
    if not line:
        raise Leave("Standard input has ended.", 2)
    return _unless_q(line.decode("utf-8", "replace").rstrip("\r\n"))


def _unless_q(line: str) -> str:
    if line.strip().lower() == "q":
        raise Leave
    return line


def read_secret(*, twice: bool) -> str:
    """Reads a line without echo at a terminal.

    Args:
        twice: reads it again at a terminal if it is not empty, since it is new and nobody has seen it; a question mark
            alone is no password.

    Raises:
        Leave: as `read_line`. InputError: the two lines differ.
    """
    if not sys.stdin.isatty():
        return read_line()
    try:
        first = _unless_q(getpass.getpass("Not shown while you type: "))
        if (
            twice
            and first.strip() not in ("", "?")
            and _unless_q(getpass.getpass("The same again: ")) != first
        ):
            raise InputError("the two passwords differ", todo="Type it again, the same twice")
    except EOFError:
        raise Leave("Standard input has ended.", 2) from None
    return first


def ask(
    title: str,
    take: Callable[[str], None],
    *,
    explain: Explain = tuple,
    secret: bool = False,
    twice: bool = True,
) -> None:
    """Asks until `take` accepts an answer.

    Args:
        title: the question, with how to answer it.
        take: gets the line; raises InputError if it is invalid.
        explain: returns the lines that a '?' prints.
        secret: reads the answer without echo.
        twice: reads such an answer again, see `read_secret`.

    Raises:
        Leave: the person leaves, or gave too many invalid answers.
    """
    say(title)
    wrong = 0
    while wrong < MOST_TRIES:
        try:
            line = read_secret(twice=twice) if secret else read_line()
            if line.strip() == "?":
                for each in explain() or ("There is no more to say about this question.",):
                    say(each)
                say(title)
                continue
            take(line if secret else line.strip())
            return
        except InputError as error:
            wrong += 1
            say(
                f"This answer cannot be used: {error.what}{f' ({plain(error.where)})' if error.where else ''}."
                + (f" {_sentence(error.todo)}" if error.todo else "")
            )
    raise Leave(f"{MOST_TRIES} answers in a row could not be used.", 2)


def choose(title: str, choices: Sequence[tuple[str, str]], default: str, *, explain: Explain = tuple) -> str:
    """Asks for one of numbered choices; its number or its text chooses it, and Enter chooses the default.

    Args:
        title: the question.
        choices: (value, text).
        default: one of these values.
        explain: returns the lines that a '?' prints.
    """
    values = [value for value, _ in choices]
    values_by_text = {words.casefold(): value for value, words in choices}
    values_by_text |= {str(number): value for number, value in enumerate(values, start=1)}
    chosen = default

    def take(line: str) -> None:
        nonlocal chosen
        if line and line.casefold() not in values_by_text:
            raise InputError(
                f"there is no choice '{plain(line, 60)}'", todo=f"Type a number from 1 to {len(values)}"
            )
        chosen = values_by_text[line.casefold()] if line else default

    say(title)
    for number, (value, words) in enumerate(choices, start=1):
        say(f"{number}: {words}{', the default' if value == default else ''}.")
    ask("Type a number, or press Enter for the default.", take, explain=explain)
    return chosen


def put(question: Question, take: Callable[[str], None], *, explain: Explain = tuple) -> None:
    """Asks a question of a stack; `take` gets the answer, or is not called if Enter keeps the default.

    Args:
        take: raises InputError for an invalid answer.
        explain: returns the lines that a '?' prints after the question's own explanation.

    Raises:
        Leave: as `ask`.
    """

    def more() -> Sequence[str]:
        return (*((question.more,) if question.more else ()), *explain())

    if question.kind == "choice":
        title = " ".join(part for part in (f"{question.title}.", question.why, question.cost) if part)
        value = choose(title, question.choices, question.default, explain=more)
        if value != question.default:
            take(value)
        return
    hidden = question.kind in ("password", "secret")
    how = "Type it, or press Enter to leave it empty."
    if question.default and not hidden:
        how = f"Type it, or press Enter for the default: {question.default}"
    ask(
        f"{question.title}. {question.why} {how}",
        lambda line: take(line) if line else None,
        explain=more,
        secret=hidden,
        twice=question.kind == "password",
    )


def confirm(title: str, *, yes: str, no: str) -> bool:
    """Asks a question whose default is no; `yes` and `no` say what each answer does."""
    return choose(title, (("no", no), ("yes", yes)), "no") == "yes"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _confirm(title: str) -> bool:
    return confirm(title, yes="Yes", no="No")


def _known_secret(title: str) -> Secret:
    """Reads a password that exists already."""
    say(f"{title}. Type it.")
    return Secret(read_secret(twice=False))


ASKING = Asking(say=say, confirm=_confirm, secret=_known_secret)
"""Prompts for what turns out to be needed during a run: passwords of hosts, SSH host keys."""
