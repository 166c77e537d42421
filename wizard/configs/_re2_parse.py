"""Reads a regular expression of RE2's syntax into a tree; `_re2` runs it."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

_MOST_REPEATS = 1000
_DEEPEST = 100

Test: TypeAlias = Callable[[str], bool]
Ranges: TypeAlias = tuple[tuple[str, str], ...]

_DIGIT: Ranges = (("0", "9"),)
_SPACE: Ranges = (("\t", "\n"), ("\f", "\r"), (" ", " "))
WORD: Ranges = (("0", "9"), ("A", "Z"), ("_", "_"), ("a", "z"))
_ALPHA: Ranges = (("A", "Z"), ("a", "z"))
_PERL = {"d": _DIGIT, "s": _SPACE, "w": WORD}
_POSIX: Mapping[str, Ranges] = {
    "alnum": (*_DIGIT, *_ALPHA),
    "alpha": _ALPHA,
    "ascii": (("\0", "\x7f"),),
    "blank": (("\t", "\t"), (" ", " ")),
    "cntrl": (("\0", "\x1f"), ("\x7f", "\x7f")),
    "digit": _DIGIT,
    "graph": (("!", "~"),),
    "lower": (("a", "z"),),
    "print": ((" ", "~"),),
    "punct": (("!", "/"), (":", "@"), ("[", "`"), ("{", "~")),
    "space": (("\t", "\r"), (" ", " ")),
    "upper": (("A", "Z"),),
    "word": WORD,
    "xdigit": (*_DIGIT, ("A", "F"), ("a", "f")),
}
_CONTROLS = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class PatternError(ValueError):
    """This is no pattern that RE2 takes, or one of the rare ones that are not known here."""


class Char(NamedTuple):
    """One character that passes a test."""

    test: Test


class Assert(NamedTuple):
    """A place: start, end, line start, line end, boundary, no boundary."""

    kind: str


class Group(NamedTuple):
    """What is remembered under a number."""

    number: int
    node: Node


class Sequenced(NamedTuple):
    """One after the other."""

    nodes: tuple[Node, ...]


class Either(NamedTuple):
    """One of these, the first that leads to a match."""

    nodes: tuple[Node, ...]


class Repeat(NamedTuple):
    """The same again and again."""

    node: Node
    least: int
    most: int
    """-1 for no end."""
    greedy: bool


Node: TypeAlias = "Char | Assert | Group | Sequenced | Either | Repeat"


class Parser:
    """Recursive descent over the source; flags go down by value, so that a group's end ends them."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._at = 0
        self._depth = 0
        self.groups = 0
        self.names: dict[str, int] = {}

    def parse(self) -> Node:
        """The tree of the whole source, in which a dot matches line ends too.

        Raises:
            PatternError: RE2 would not take it, or it names a Unicode script.
        """
        node = self._either("s")
        if self._at < len(self._source):
            raise PatternError("a closing bracket too many")
        return node

    def _peek(self, length: int = 1) -> str:
        return self._source[self._at : self._at + length]

    def _take(self, word: str) -> bool:
        if word and self._source.startswith(word, self._at):
            self._at += len(word)
            return True
        return False

    def _next(self) -> str:
        if self._at >= len(self._source):
            raise PatternError("it ends in the middle of an expression")
        self._at += 1
        return self._source[self._at - 1]

    def _either(self, flags: str) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise PatternError("its brackets are nested too deep")
        branches: list[Node] = []
        while True:
            branch, flags = self._branch(flags)
            branches.append(branch)
            if not self._take("|"):
                break
        self._depth -= 1
        return branches[0] if len(branches) == 1 else Either(tuple(branches))

    def _branch(self, flags: str) -> tuple[Node, str]:
        nodes: list[Node] = []
        while self._peek() not in ("", "|", ")"):
            if self._take(r"\Q"):
                literal, _, rest = self._source[self._at :].partition(r"\E")
                nodes += [Char(_literal(each, flags)) for each in literal]
                self._at = len(self._source) - len(rest)
                continue
            if self._peek(2) == "(?" and not self._names_group():
                node, flags = self._flags(flags)
                if node is None:
                    continue
            else:
                node = self._atom(flags)
            nodes.append(self._repeated(node, flags))
        return Sequenced(tuple(nodes)), flags

    def _names_group(self) -> bool:
        return self._peek(4) == "(?P<" or self._peek(3) == "(?<"

    def _flags(self, flags: str) -> tuple[Node | None, str]:
        """`(?i)` gives no node and other flags from here on, `(?i:…)` a node."""
        self._at += 2
        changed, negative, seen = set(flags), False, False
        while True:
            each = self._next()
            if each in "imsU":
                seen = True
                if negative:
                    changed.discard(each)
                else:
                    changed.add(each)
            elif each == "-" and not negative:
                negative, seen = True, False
            elif each in ":)" and (seen or not negative):
                break
            else:
                raise PatternError("it has flags that do not exist")
        new = "".join(sorted(changed))
        if each == ")":
            if not seen:
                raise PatternError("it has an empty list of flags")
            return None, new
        node = self._either(new)
        if not self._take(")"):
            raise PatternError("a bracket is not closed")
        return node, flags

    def _atom(self, flags: str) -> Node:
        each = self._next()
        if each == "(":
            return self._group(flags)
        if each == "[":
            return Char(self._class(flags))
        if each == ".":
            return Char(_any if "s" in flags else _not_newline)
        if each == "^":
            return Assert("line start" if "m" in flags else "start")
        if each == "$":
            return Assert("line end" if "m" in flags else "end")
        if each in "*+?":
            raise PatternError(f"{each} has nothing to repeat")
        if each == "\\":
            return self._escape(flags)
        return Char(_literal(each, flags))

    def _group(self, flags: str) -> Node:
        self.groups += 1
        number = self.groups
        if self._take("?P<") or self._take("?<"):
            end = self._source.find(">", self._at)
            name = self._source[self._at : max(end, self._at)]
            if not name.replace("_", "a").isalnum() or name in self.names:
                raise PatternError("a group has a name that is not valid, or that another has too")
            self.names[name] = number
            self._at = end + 1
        node = self._either(flags)
        if not self._take(")"):
            raise PatternError("a bracket is not closed")
        return Group(number, node)

    def _repeated(self, node: Node, flags: str) -> Node:
        bounds = self._bounds()
        if bounds is None:
            return node
        greedy = ("U" in flags) == self._take("?")
        if self._bounds() is not None:
            raise PatternError("one repetition follows another")
        return Repeat(node, *bounds, greedy)

    def _bounds(self) -> tuple[int, int] | None:
        for word, bounds in (("*", (0, -1)), ("+", (1, -1)), ("?", (0, 1))):
            if self._take(word):
                return bounds
        if self._peek() != "{":
            return None
        end = self._source.find("}", self._at)
        inside = self._source[self._at + 1 : max(end, self._at)]
        low, comma, high = inside.partition(",")
        if not _number(low) or not (high == "" or _number(high)):
            return None
        most = int(high) if high else (-1 if comma else int(low))
        if int(low) > _MOST_REPEATS or most > _MOST_REPEATS or -1 < most < int(low):
            raise PatternError("it repeats something too often")
        self._at = end + 1
        return int(low), most

    def _escape(self, flags: str) -> Node:
        kind = self._peek()
        for word, name in (("A", "start"), ("z", "end"), ("b", "boundary"), ("B", "no boundary")):
            if self._take(word):
                return Assert(name)
        if kind and kind in "dswDSWpP":
            return Char(self._set())
        return Char(_literal(self._character(), flags))

    def _set(self) -> Test:
        """`\\d`, `\\pL` and their like, behind the backslash."""
        kind = self._next()
        if kind.lower() != "p":
            inside = within(_PERL[kind.lower()])
            return inside if kind.islower() else _not(inside)
        name = self._next()
        if name == "{":
            end = self._source.find("}", self._at)
            name = self._source[self._at : max(end, self._at)]
            self._at = end + 1
        negative = (kind == "P") != name.startswith("^")
        name = name.removeprefix("^")
        if name != "Any" and not (name[:1] in tuple("LMNPSZC") and len(name) <= 2):
            raise PatternError(f"it uses the class of characters {name!r}, which is not known here")
        inside = _any if name == "Any" else _of_category(name)
        return _not(inside) if negative else inside

    def _character(self) -> str:
        """One character behind a backslash."""
        each = self._next()
        if each in _CONTROLS:
            return _CONTROLS[each]
        if each == "x":
            digits = self._source[self._at : self._at + 2]
            if self._take("{"):
                digits, closed, _ = self._source[self._at :].partition("}")
                self._at += len(digits) + len(closed)
            else:
                self._at += 2
            try:
                return chr(int(digits, 16))
            except (ValueError, OverflowError):
                raise PatternError(r"it has a \x without a valid number") from None
        if each in "01234567" and (each == "0" or (self._peek() and self._peek() in "01234567")):
            digits = each
            while len(digits) < 3 and self._peek() and self._peek() in "01234567":
                digits += self._next()
            return chr(int(digits, 8))
        if each.isascii() and not each.isalnum():
            return each
        raise PatternError(f"it has the escape \\{each}, which RE2 does not have")

    def _class(self, flags: str) -> Test:
        negative = self._take("^")
        tests: list[Test] = []
        ranges: list[tuple[str, str]] = []
        first = True
        while first or self._peek() != "]":
            first = False
            if self._take("[:"):
                name, closed, _ = self._source[self._at :].partition(":]")
                posix = _POSIX.get(name.removeprefix("^"))
                if not closed or posix is None:
                    raise PatternError("it has an unknown class of characters")
                self._at += len(name) + 2
                tests.append(_not(within(posix)) if name.startswith("^") else within(posix))
                continue
            if self._peek() == "\\" and self._peek(2)[1:] in tuple("dswDSWpP"):
                self._at += 1
                tests.append(self._set())
                continue
            low = high = self._class_character()
            if self._peek() == "-" and self._peek(2)[1:] not in ("", "]"):
                self._at += 1
                high = self._class_character()
                if high < low:
                    raise PatternError("it has a range of characters that ends before it begins")
            ranges.append((low, high))
        self._at += 1
        inside = within(tuple(ranges))
        if "i" in flags:
            inside = _folded(inside)
        found = _any_of((inside, *tests))
        return _not(found) if negative else found

    def _class_character(self) -> str:
        each = self._next()
        return self._character() if each == "\\" else each


def _number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 4


def _any(_: str) -> bool:
    return True


def _not_newline(each: str) -> bool:
    return each != "\n"


def _literal(wanted: str, flags: str) -> Test:
    if "i" not in flags:
        return wanted.__eq__
    return _folded(wanted.__eq__)


def _folded(test: Test) -> Test:
    return lambda each: test(each) or test(each.lower()) or test(each.upper())


def _not(test: Test) -> Test:
    return lambda each: not test(each)


def within(ranges: Ranges) -> Test:
    """Whether a character is in one of these ranges, both ends included."""
    return lambda each: any(low <= each <= high for low, high in ranges)


def _any_of(tests: Sequence[Test]) -> Test:
    return lambda each: any(test(each) for test in tests)


def _of_category(name: str) -> Test:
    return lambda each: unicodedata.category(each).startswith(name)
