"""The command line that a unit runs through `sh -c`, with the variables that can take one more flag.

Two programs expand variables here, by different rules. systemd inserts the value of `${NAME}` into the script as it
is, so the shell reads it as code: quotes in it are removed, `;` ends the command. `$NAME`, `$$NAME` and
`$${NAME}` reach the shell as variables, so an unquoted one is only split at blanks and quotes in it stay.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from wizard.config_files.systemd_unit import Command

SHELLS = ("sh", "bash", "dash", "ksh", "zsh")
_SCRIPT_OPTION = re.compile(r"-[A-Za-z]*c[A-Za-z]*")
_VARIABLE = re.compile(r"(\$\$|\$)(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))", re.ASCII)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.ASCII | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable that is a whole, unquoted word. `reader`: the program that splits its value; see `FlagPlace`."""

    name: str
    reader: Literal["shell", "code"]


@dataclass(frozen=True, slots=True)
class ShellCommand:
    """One command of a script: its program, and its words (a `Variable` for a word that is only a variable)."""

    program: str
    words: tuple[str | Variable, ...]

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The variables among the words."""
        return tuple(word for word in self.words if isinstance(word, Variable))

    def arguments(self, values: Mapping[str, list[str]]) -> tuple[str, ...]:
        """The arguments, with the words of each variable in its place."""
        found: list[str] = []
        for word in self.words:
            found += values.get(word.name, []) if isinstance(word, Variable) else [word]
        return tuple(found)


def find(command: Command, matches: Callable[[str], bool]) -> ShellCommand | None:
    """The command whose program makes `matches` true; None if the script cannot be parsed with certainty."""
    if command.program.rsplit("/", 1)[-1] not in SHELLS:
        return None
    texts = [word.text for word in command.words]
    at = next((index for index, text in enumerate(texts) if _SCRIPT_OPTION.fullmatch(text)), -1)
    if at < 0 or at + 1 >= len(texts):
        return None
    reader = _Reader(texts[at + 1].replace("%%", "%"), expanded=":" not in command.prefix)
    for words in reader.commands():
        while words and (
            words[0] == "exec" or (isinstance(words[0], str) and _ASSIGNMENT.fullmatch(words[0]))
        ):
            words.pop(0)
        if words and isinstance(words[0], str) and matches(words[0]):
            return ShellCommand(words[0], tuple(words[1:]))
    return None


@dataclass(slots=True)
class _Reader:
    """Parses a script; it stops at constructs with an uncertain result (substitutions, here-documents)."""

    script: str
    expanded: bool
    """Whether systemd expands variables before the shell."""
    _at: int = 0
    _word: list[str | Variable] = field(default_factory=list)
    _begun: bool = False
    _target: bool = False
    """Whether the next word is the file of a redirection."""

    def commands(self) -> list[list[str | Variable]]:
        """The words of each simple command; [] if one is not plain."""
        found: list[list[str | Variable]] = [[]]
        while self._at < len(self.script):
            character = self.script[self._at]
            if character in "`(){}" and not self._begun:
                return []
            if character == "#" and not self._begun:
                self._at = (self.script.find("\n", self._at) + 1) or len(self.script)
            elif character in " \t":
                self._end(found)
                self._at += 1
            elif character in ";&|\n":
                self._end(found)
                found.append([])
                self._at += 1
            elif character in "<>":
                self._redirect(found)
            elif not self._take(character):
                return []
        self._end(found)
        return found

    def _redirect(self, found: list[list[str | Variable]]) -> None:
        if self._begun and all(isinstance(piece, str) and piece.isdecimal() for piece in self._word):
            self._word, self._begun = [], False
        self._end(found)
        while self.script[self._at : self._at + 1] in ("<", ">", "&"):
            self._at += 1
        self._target = True

    def _take(self, character: str) -> bool:
        """Reads one piece of a word; False if it is not plain."""
        self._begun = True
        if character == "'":
            end = self.script.find("'", self._at + 1)
            self._word.append(self.script[self._at + 1 : end])
            self._at = end + 1
            return end >= 0
        if character == '"':
            end = self._at + 1
            while end < len(self.script) and self.script[end] != '"':
                end += 2 if self.script[end] == "\\" else 1
            inner = self.script[self._at + 1 : end]
            self._word.append(re.sub(r'\\(["\\$`])', r"\1", inner))
            self._at = end + 1
            return end < len(self.script) and "`" not in inner and "$(" not in inner
        if character == "\\":
            self._word.append(self.script[self._at + 1 : self._at + 2])
            self._at += 2
            return True
        if character == "$":
            match = _VARIABLE.match(self.script, self._at)
            if match is None:
                return False
            by_systemd = self.expanded and match[1] == "$" and match[2] is not None
            self._word.append(Variable(match[2] or match[3], "code" if by_systemd else "shell"))
            self._at = match.end()
            return True
        self._word.append(character)
        self._at += 1
        return character not in "`()"

    def _end(self, found: list[list[str | Variable]]) -> None:
        if not self._begun:
            return
        if self._target:
            self._target = False
        elif len(self._word) == 1 and isinstance(self._word[0], Variable):
            found[-1].append(self._word[0])
        else:
            found[-1].append("".join(p if isinstance(p, str) else f"${{{p.name}}}" for p in self._word))
        self._word, self._begun = [], False
