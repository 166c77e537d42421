"""The report of labs, to keep or to hand in: what was done, when, how, and the student's answers. No secrets.

The same report is written as Markdown and as HTML. The HTML is self-contained: no script, nothing fetched, and every
text in it is escaped, because a title may come from a lab pack and an answer from anybody.
"""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import wizard
from wizard import ownfiles
from wizard.errors import FirescreenError
from wizard.labs import state
from wizard.labs.content import Lab, LabStep
from wizard.labs.state import LONGEST_ANSWER, LabState, StepState
from wizard.redact import Secret, plain, redact
from wizard.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Done:
    """One step. `how` is in words; `seen` contains the findings of the last check, a line each."""

    title: str
    done: bool
    how: str
    seen: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """One lab. `facts` are (word, value); `answers` are (question, answer or '')."""

    title: str
    facts: tuple[tuple[str, str], ...]
    steps: tuple[Done, ...]
    answers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Report:
    """A report as plain text without secrets, not yet escaped for a format."""

    facts: tuple[tuple[str, str], ...]
    parts: tuple[Part, ...]


def gather(
    workspace: Workspace, labs: Sequence[Lab], *, name: str = "", states: Path | None = None
) -> Report:
    """Collects the report of the started labs, without starting or checking anything.

    Args:
        workspace: of the student.
        labs: the labs to report.
        name: who hands it in; '' for nobody.
        states: the folder with the progress of each lab; None for that of the practice stack.
    """
    secrets = _secrets(workspace)

    def clean(text: str, limit: int = 600) -> str:
        return redact(plain(text, limit), secrets)

    parts = []
    for lab in labs:
        lab_state = state.load((states or workspace.labs) / f"{lab.id}.json")
        if lab_state is not None:
            part = _part(lab, lab_state)
            parts.append(
                Part(
                    clean(part.title),
                    part.facts,
                    tuple(
                        Done(clean(each.title), each.done, clean(each.how), tuple(map(clean, each.seen)))
                        for each in part.steps
                    ),
                    tuple((clean(ask), clean(answer, LONGEST_ANSWER)) for ask, answer in part.answers),
                )
            )
    facts = [("name", clean(" ".join(name.split()), 200))] if name.strip() else []
    facts += [("written", f"{_when(time.time())}, by Firescreen {wizard.__version__}")]
    return Report(tuple(facts), tuple(parts))


def _part(lab: Lab, lab_state: LabState) -> Part:
    done = [step for step in lab.steps if lab_state.step(step.id).done]
    alone = [step for step in done if not lab_state.step(step.id).solved]
    facts = (
        ("started", _when(lab_state.started)),
        ("steps done", f"{len(done)} of {len(lab.steps)}, {len(alone)} by the student"),
        ("hints taken", str(sum(lab_state.step(step.id).hints for step in lab.steps))),
    )
    return Part(
        lab.title,
        facts,
        tuple(_step(step, lab_state.step(step.id)) for step in lab.steps),
        tuple((question.ask, lab_state.answers.get(question.ask, "")) for question in lab.questions),
    )


def _step(step: LabStep, now: StepState) -> Done:
    how = "not done"
    if now.done:
        how = "done by Firescreen" if now.solved else "done by the student"
        if step.needs and any("too old for this step" in line for line in now.seen):
            how = "not possible with these versions"
        how += f", {_when(now.done)}"
    if now.hints:
        how += f", {now.hints} {'hint' if now.hints == 1 else 'hints'}"
    seen = now.seen
    if now.said and not now.held:
        seen = (
            *seen,
            f"last check {_when(now.checked)}: not done{' any more' if now.done else ' yet'}, {now.said}",
        )
    return Done(step.title, bool(now.done), how, seen)


def _when(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))


def _secrets(workspace: Workspace) -> list[Secret]:
    """Returns the passwords of this workspace and of its practice stack: an answer may quote one."""
    places: Iterable[Path] = (
        path
        for folder, pattern in (
            (workspace.users, "*"),
            (workspace.practice, "lab.password"),
            (workspace.practice, "*/etc/*/*password*"),
            (workspace.compose, "firescreen-lab-*/*/*password*"),
        )
        for path in folder.glob(pattern)
    )
    found = []
    for path in islice(places, 200):
        with suppress(OSError, UnicodeDecodeError):
            if path.is_file() and path.stat().st_size <= 200:
                text = path.read_text(encoding="utf-8").strip()
                if len(text) >= 6 and "\n" not in text:
                    found.append(Secret(text))
    return found


# -- Markdown ----------------------------------------------------------------------------------------------


def markdown(report: Report) -> str:
    """Returns the report as Markdown; markup in its texts (HTML, links, emphasis) is escaped."""
    return "\n".join([*_markdown(report), ""])


def _markdown(report: Report) -> Iterator[str]:
    yield "# Firescreen labs: a report"
    yield ""
    for word, value in report.facts:
        yield f"- {word}: {_plainly(value)}"
    for part in report.parts:
        yield from ("", f"## {_plainly(part.title)}", "")
        for word, value in part.facts:
            yield f"- {word}: {_plainly(value)}"
        yield from ("", "### Steps", "")
        for number, step in enumerate(part.steps, start=1):
            yield f"{number}. **{_plainly(step.title)}** ({_plainly(step.how)})"
            for line in step.seen:
                yield f"   - {_plainly(line)}"
        if part.answers:
            yield from ("", "### Questions")
        for ask, answer in part.answers:
            yield from ("", f"**{_plainly(ask)}**", "")
            for line in (answer or "(not answered)").split("\n"):
                yield f"> {_plainly(line)}".rstrip()


def _plainly(text: str) -> str:
    """Returns one line for Markdown in which nothing is markup."""
    line = " ".join(text.split())
    line = re.sub(r"([\\`*\[\]<])", r"\\\1", line)
    line = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", line).replace("~~", r"\~\~")
    line = re.sub(r"&(?=#?\w+;)", "&amp;", line)
    # Escapes what begins a block: a heading, a list, a rule, a quotation.
    line = re.sub(r"^(\d+)([.)])", r"\1\\\2", line)
    return re.sub(r"^([#+\-=>])", r"\\\1", line)


# -- HTML --------------------------------------------------------------------------------------------------

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; color: #1c1917; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; border-bottom: 1px solid #d6d3d1; }
h3 { font-size: 1rem; } dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 1rem; margin: 0; }
dt { color: #57534e; } dd { margin: 0; } li { margin: .4rem 0; } .how { color: #57534e; }
li ul { color: #57534e; font-size: .9rem; padding-left: 1.2rem; }
blockquote { margin: .4rem 0 1rem; padding-left: 1rem; border-left: 3px solid #d6d3d1; white-space: pre-wrap; }
@media print { body { margin: 0; } h2 { break-after: avoid; } li, blockquote { break-inside: avoid; } }
"""


def page(report: Report) -> str:
    """Returns the report as one HTML file: a browser fetches nothing for it and runs nothing in it."""
    return "\n".join([*_page(report), ""])


def _page(report: Report) -> Iterator[str]:
    yield "<!DOCTYPE html>"
    yield '<html lang="en"><head><meta charset="utf-8">'
    yield (
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">"
    )
    yield '<meta name="viewport" content="width=device-width">'
    yield f"<title>Firescreen labs: a report</title><style>{_STYLE}</style></head><body>"
    yield "<h1>Firescreen labs: a report</h1>"
    yield from _facts(report.facts)
    for part in report.parts:
        yield f"<h2>{html.escape(part.title)}</h2>"
        yield from _facts(part.facts)
        yield "<h3>Steps</h3><ol>"
        for step in part.steps:
            sign = "✓" if step.done else "·"
            yield f'<li>{sign} <b>{html.escape(step.title)}</b> <span class="how">({html.escape(step.how)})</span>'
            if step.seen:
                yield f"<ul>{''.join(f'<li>{html.escape(line)}</li>' for line in step.seen)}</ul>"
            yield "</li>"
        yield "</ol>"
        if part.answers:
            yield "<h3>Questions</h3>"
        for ask, answer in part.answers:
            yield f"<p><b>{html.escape(ask)}</b></p>"
            yield f"<blockquote>{html.escape(answer or '(not answered)')}</blockquote>"
    yield "</body></html>"


def _facts(facts: Iterable[tuple[str, str]]) -> Iterator[str]:
    inner = "".join(f"<dt>{html.escape(word)}</dt><dd>{html.escape(value)}</dd>" for word, value in facts)
    yield f"<dl>{inner}</dl>"


def save(path: Path, text: str) -> Path:
    """Writes a report in one step, 0600, and returns its path.

    Raises:
        FirescreenError: it cannot be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.is_symlink() or (path.exists() and not path.is_file()):
            path.write_text(text, encoding="utf-8")  # /dev/stdout is written to, not replaced
            return path
        ownfiles.replace(path, text)
    except OSError as error:
        raise FirescreenError(
            f"the report cannot be written: {error.strerror}",
            where=str(path),
            todo="Free some space, or choose another file with --output",
        ) from error
    return path
