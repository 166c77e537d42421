"""The commands of the labs. Lab text and verdicts go to standard output, progress and errors to standard error."""

from __future__ import annotations

import shlex
import signal
import sys
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from wizard.cli import output
from wizard.cli.options import engine, reached
from wizard.errors import InputError
from wizard.redact import plain

if TYPE_CHECKING:
    from wizard.labs import Lab, LabSession, LabStep
    from wizard.labs.classroom import Classroom
    from wizard.labs.play import Line
    from wizard.workspace import Workspace

Command = TypeVar("Command", bound=Callable[..., object])


def at(command: Command) -> Command:
    """The options that say on which hosts a lab is done; see `_classroom`."""

    def said(context: click.Context, option: click.Parameter, value: object) -> None:
        context.meta[f"firescreen.{option.name}"] = value

    kept: dict[str, Any] = {"expose_value": False, "callback": said}
    command = click.option("--practice", is_flag=True, help="Go back to the practice stack.", **kept)(command)
    campus = click.IntRange(1, 9999)
    command = click.option("--campus", type=campus, help="Your number in the classroom.", **kept)(command)
    return click.option(
        "--classroom",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Do it on the real hosts of a classroom file, from now on.",
        **kept,
    )(command)


lab_and_step = click.argument("named", metavar="[LAB] [STEP]", nargs=-1)
which = click.argument("lab_id", metavar="[LAB]", required=False, default="")


@click.group()
def lab() -> None:
    """Exercises with checks and hints, by hand or done for you."""


@lab.command(name="list")
@at
@click.pass_obj
def list_labs(workspace: Workspace) -> None:
    """List the labs."""
    from wizard.labs import labs, packs
    from wizard.labs.state import load

    with output.explained():
        added = packs.names(workspace)
        for name in (name for name, ids in added.items() if not ids):
            output.say(f"The pack {name} can no longer be used. To take it out: firescreen lab remove {name}")
        room = _classroom(workspace)
        folder = _states(workspace, room)
        if room is not None:
            output.say(f"On the hosts of {plain(room.title)}; for the practice stack: --practice")
        for each in labs(workspace.packs):
            known = load(folder / f"{each.id}.json")
            done = sum(bool(known.step(step.id).done) for step in each.steps) if known else 0
            how_far = f"{done} of {len(each.steps)} steps done" if known else f"{len(each.steps)} steps"
            if room is not None and not each.real_hosts:
                how_far = "on the practice stack only"
            pack = next((f", of the pack {name}" for name, ids in added.items() if each.id in ids), "")
            click.echo(f"{each.id:20} {plain(each.title)} (about {each.minutes} minutes, {how_far}{pack})")


@lab.command()
@at
@lab_and_step
@click.option("--anew", is_flag=True, help="End what another lab has in hand on the practice stack.")
@click.pass_obj
def start(workspace: Workspace, named: tuple[str, ...], anew: bool) -> None:
    """Begin a lab, or go on where you were; with STEP, show that step.

    Each lab begins on its own: the practice stack is brought to where the lab starts, and it says so. A step of
    the lab 'faults' has its fault put in.
    """
    with output.explained():
        session, current = _opened(workspace, named, tools=True, anew=anew)
        click.secho(session.lab.title, bold=True)
        if current is None:
            _ending(session)
            return
        if current is session.lab.steps[0]:
            click.echo(f"\n{_folded(session.lab.intro)}")
        if not session.has_begun(current.id):
            session.begin(current.id)
            output.say("The fault is in.")
        _show(session, current)
        click.echo("\nThen: firescreen lab check    (more: lab hint, lab solve, lab reset)")


@lab.command()
@at
@lab_and_step
@click.pass_obj
def check(workspace: Workspace, named: tuple[str, ...]) -> None:
    """Check STEP (a number or an id; the one you are at by default). Exit 1: not yet."""
    with output.explained():
        from wizard.labs.session import PATIENCE

        session, wanted = _opened(workspace, named)
        if wanted is None:
            click.echo("All steps are done.")
            return
        result = session.check(wanted.id, patience=PATIENCE)
        click.secho(f"{_number(session, wanted)}  {wanted.title}", bold=True)
        for line in result.seen:
            click.echo(f"  ✓ {line}")
        if not result.ok:
            click.echo(f"  ✗ not yet: {result.what}")
            click.echo(f"    {result.todo}")
            sys.exit(1)
        following = session.current
        if following is None:
            _ending(session)
        else:
            click.echo(f"Done. Next: {following.title}    (firescreen lab start shows it)")


@lab.command()
@at
@lab_and_step
@click.pass_obj
def hint(workspace: Workspace, named: tuple[str, ...]) -> None:
    """Give a hint for STEP; each one says more."""
    with output.explained():
        session, wanted = _opened(workspace, named)
        click.echo(session.hint(wanted.id) if wanted else "All steps are done.")
        if wanted:
            _commands(session.answer(wanted.id))


@lab.command()
@at
@lab_and_step
@click.pass_obj
def solve(workspace: Workspace, named: tuple[str, ...]) -> None:
    """Do STEP for you, and what of the earlier ones is missing."""
    with output.explained():
        from wizard.labs.session import PATIENCE

        session, wanted = _opened(workspace, named)
        if wanted is None:
            click.echo("All steps are done.")
            return
        outcome = session.solve(wanted.id, output.progress())
        if outcome.error is not None:
            raise outcome.error
        result = session.check(wanted.id, patience=PATIENCE)
        click.secho(f"{_number(session, wanted)}  {wanted.title}", bold=True)
        for line in result.seen:
            click.echo(f"  ✓ {line}")
        if not result.ok:
            click.echo(f"  ✗ not yet: {result.what}")
            click.echo(f"    {result.todo}")
            sys.exit(1)


@lab.command()
@at
@which
@click.pass_obj
def reset(workspace: Workspace, lab_id: str) -> None:
    """Put the practice stack, or the real hosts, back to the beginning of the lab."""
    with output.explained():
        _open(workspace, lab_id, tools=False).reset(output.progress())
        output.say("The lab is back at its beginning.")


@lab.command()
@at
@click.argument("named", metavar="[LAB] NUMBER [TEXT]", nargs=-1, required=True)
@click.pass_obj
def answer(workspace: Workspace, named: tuple[str, ...]) -> None:
    """Answer question NUMBER of a lab, for your report: TEXT, or standard input. An empty one takes it back."""
    from wizard.labs import find, labs, state

    with output.explained():
        known = {each.id for each in labs(workspace.packs)}
        rest = list(named)
        lab_id = rest.pop(0) if rest[0] in known else _in_hand(workspace)
        chosen = find(lab_id, workspace.packs)
        count = len(chosen.questions)
        path = _states(workspace, _classroom(workspace)) / f"{chosen.id}.json"
        now = state.load(path)
        if not rest or not rest[0].isdecimal() or not 1 <= int(rest[0]) <= count or len(rest) > 2:
            raise InputError(
                f"the lab '{chosen.id}' has the questions 1 to {count}",
                where=" ".join(named),
                todo=f"firescreen lab answer {chosen.id} 1 'what you think'",
            )
        if now is None:
            raise InputError("this lab was not begun", todo=f"firescreen lab start {chosen.id}")
        question = chosen.questions[int(rest[0]) - 1]
        if len(rest) == 1 and sys.stdin.isatty():
            output.say(f"{plain(question.ask)} (Ctrl+D ends your answer)")
        text = rest[1] if len(rest) == 2 else sys.stdin.read(state.LONGEST_ANSWER)
        state.save(path, now.with_answer(question.ask, plain(text.strip(), state.LONGEST_ANSWER)))
        output.say("Kept. Your report has it: firescreen lab report")


@lab.command()
@at
@which
@click.option("--html", "as_page", is_flag=True, help="As one HTML file, in place of Markdown.")
@click.option(
    "-o", "--output", "path", type=click.Path(path_type=Path), help="Where to write it; - for here."
)
@click.option("--name", default="", help="Who hands it in.")
@click.pass_obj
def report(workspace: Workspace, lab_id: str, as_page: bool, path: Path | None, name: str) -> None:
    """Write a report to keep or to hand in, and say where it is: of LAB, or of all labs that were begun."""
    from wizard.labs import find, labs
    from wizard.labs import report as reporting

    with output.explained():
        wanted = (find(lab_id, workspace.packs),) if lab_id else labs(workspace.packs)
        states = _states(workspace, _classroom(workspace))
        written = reporting.gather(workspace, wanted, name=name, states=states)
        if not written.parts:
            raise InputError("no lab was begun here", todo=f"firescreen lab start {lab_id}".rstrip())
        text = reporting.page(written) if as_page else reporting.markdown(written)
        if path == Path("-"):
            click.echo(text, nl=False)
            return
        usual = workspace.reports / f"lab-{lab_id or 'report'}{'.html' if as_page else '.md'}"
        click.echo(reporting.save(path or usual, text))


@lab.command()
@which
@click.option("--all", "everything", is_flag=True, help="Play every lab.")
@click.option("--by-hand", is_flag=True, help="Run the commands that a student sees, as printed.")
@click.option("--keep", is_flag=True, help="Leave its practice stack running.")
@click.option("--suite", default="", help="Take the programs from this suite of the distribution.")
@click.pass_obj
def play(workspace: Workspace, lab_id: str, everything: bool, by_hand: bool, keep: bool, suite: str) -> None:
    """Do a lab from its first to its last step, in plain lines.

    Each step has to be open before and done after. Without LAB it is the first, with those that go on from it:
    a node_exporter, from open to closed. It plays on a practice stack of its own, which is gone afterwards: a lab that you are doing is not touched.
    """
    from wizard.labs import labs
    from wizard.labs import play as player

    if everything and lab_id:
        raise click.UsageError("name a lab, or take --all")
    signal.signal(signal.SIGTERM, stop)
    with output.explained():
        done = player.play(
            workspace,
            [each.id for each in labs(workspace.packs)] if everything else [lab_id] if lab_id else [],
            by_hand=by_hand,
            keep=keep,
            suite=suite,
            say=played,
            progress=lambda text: output.say(f"  … {plain(text, 300)}"),
        )
    sys.exit(0 if done else 1)


def stop(*_: object) -> NoReturn:
    """Ends as Ctrl+C does."""
    raise KeyboardInterrupt


def played(line: Line) -> None:
    """A line of a play, with its sign and its colour."""
    marks = {"ok": "✓ ", "bad": "✗ ", "made": "+ ", "not-yet": "· "}
    colours = {"ok": "green", "bad": "red", "step": "cyan", "command": "yellow"}
    indent = line.text[: len(line.text) - len(line.text.lstrip())]
    text, mark = line.text.lstrip(), marks.get(line.kind, "")
    shown = [line.text]
    if mark:
        first, rest = indent + mark, indent + " " * len(mark)
        shown = textwrap.wrap(
            text,
            80,
            initial_indent=first,
            subsequent_indent=rest,
            break_long_words=False,
            break_on_hyphens=False,
        )
    for part in shown:
        click.secho(
            part, fg=colours.get(line.kind), bold=line.kind in ("title", "step"), dim=line.kind == "output"
        )


def _open(workspace: Workspace, lab_id: str, *, tools: bool = True, anew: bool = False) -> LabSession:
    from wizard.labs import LabSession

    workspace.ensure()
    machine, room = engine(workspace), _classroom(workspace)
    if room is not None:
        reached(machine, room.hosts)  # what has to be asked for is asked for here
    return LabSession.open(
        machine,
        lab_id or _in_hand(workspace),
        progress=lambda text: output.say(f"  … {plain(text, 300)}"),
        tools=tools,
        anew=anew,
        classroom=room,
    )


def _classroom(workspace: Workspace) -> Classroom | None:
    """The real hosts that labs are done on, named on the command line or remembered; None for the practice stack.

    Raises:
        InputError: the classroom file cannot be used, or the student's number is not known.
    """
    from wizard.labs import classroom

    said = click.get_current_context().meta
    file, campus = said.get("firescreen.classroom"), said.get("firescreen.campus") or 0
    if said.get("firescreen.practice"):
        if file or campus:
            raise click.UsageError("take --classroom FILE or --practice")
        classroom.remember(workspace, None)
        return None
    if file is None and not campus:
        try:
            return classroom.remembered(workspace)
        except InputError as error:
            error.todo = f"{error.todo}; or go back to the practice stack: --practice"
            raise
    before = classroom.place_of(workspace)
    if file is None:
        file = before[0] if before else None
        if file is None:
            raise click.UsageError("--campus goes with --classroom FILE")
    if not campus and before and before[0] == file.absolute():
        campus = before[1]
    chosen = classroom.load(file, campus)
    classroom.remember(workspace, chosen)
    return chosen


def _states(workspace: Workspace, room: Classroom | None) -> Path:
    """The folder with how far each lab is."""
    if room is None:
        return workspace.labs
    from wizard.labs.real_hosts import folder_of

    return folder_of(workspace, room)


def _in_hand(workspace: Workspace) -> str:
    """The lab that the hosts are in, or else the first that is not done; '' if all are."""
    from wizard.labs import labs
    from wizard.labs.reset import holder
    from wizard.labs.state import load

    room = _classroom(workspace)
    folder = _states(workspace, room)
    known = {each.id: each for each in labs(workspace.packs) if room is None or each.real_hosts}
    states = {each: load(folder / f"{each}.json") for each in known}
    undone = [each for each, state in states.items() if state is None or not state.complete(known[each])]
    held = holder(workspace.practice if room is None else folder)
    return held if held in undone else undone[0] if undone else next(iter(known)) if room else ""


def _opened(
    workspace: Workspace, named: tuple[str, ...], *, tools: bool = False, anew: bool = False
) -> tuple[LabSession, LabStep | None]:
    """The lab and the step that the words name, in any order; the lab in hand and its current step by default.

    Raises:
        InputError: a word names neither.
    """
    from wizard.labs import find, labs

    known = {each.id for each in labs(workspace.packs)}
    rest = [word for word in named if word not in known]
    if len(rest) > 1 or len(named) - len(rest) > 1:
        raise InputError("name one lab and one step at most", where=" ".join(named))
    lab_id = next((word for word in named if word in known), "") or _in_hand(workspace)
    # The step is named before the practice stack is started: a slip of the finger starts nothing.
    step = _step_id(find(lab_id, workspace.packs), rest[0]) if rest else ""
    session = _open(workspace, lab_id, tools=tools, anew=anew)
    return session, session.lab.step(step) if step else session.current


def _step_id(lab: Lab, named: str) -> str:
    """The id of the step that a number or an id names.

    Raises:
        InputError: there is none.
    """
    if named.isdecimal() and 1 <= int(named) <= len(lab.steps):
        return lab.steps[int(named) - 1].id
    return lab.step(named).id


def _number(session: LabSession, step: LabStep) -> str:
    place = [each.id for each in session.lab.steps].index(step.id) + 1
    return f"{place}/{len(session.lab.steps)}"


def _show(session: LabSession, step: LabStep) -> None:
    click.secho(f"\n{_number(session, step)}  {step.title}  (host {step.host})", bold=True)
    click.echo(f"\n{_folded(step.text)}")
    commands = (*step.commands, *session.answer(step.id))
    if session.on_real_hosts:
        for place, typed in step.stretches:
            click.echo(f"\nOn {session.terminal(place)}:\n")
            _commands(typed)
    elif commands:
        click.echo(f"\nIn another terminal (once in it: . {shlex.quote(str(session.shell_file))}):\n")
        _commands(commands)


def _commands(typed: Iterable[str]) -> None:
    """As they are typed: set in, the last line of a here-document would no longer end it when it is copied."""
    for command in typed:
        click.secho(command, fg="cyan")


def _folded(markdown: str) -> str:
    """Markdown for a terminal of 80 columns; its few signs read well as they are."""
    paragraphs = []
    for paragraph in markdown.split("\n\n"):
        items = paragraph.split("\n- ") if paragraph.startswith("- ") else [paragraph]
        folded = [
            textwrap.fill(
                " ".join(item.removeprefix("- ").split()),
                78,
                initial_indent="- " if len(items) > 1 else "",
                subsequent_indent="  " if len(items) > 1 else "",
                break_long_words=False,
                break_on_hyphens=False,
            )
            for item in items
        ]
        paragraphs.append("\n".join(folded))
    return "\n\n".join(paragraphs)


def _ending(session: LabSession) -> None:
    click.echo(f"\n{_folded(session.lab.outro)}\n")
    for question in session.lab.questions:
        click.echo(f"{_folded('? ' + question.ask)}\n{textwrap.indent(_folded(question.answer), '  ')}\n")
    click.echo("Your own answer: firescreen lab answer NUMBER. A report to hand in: firescreen lab report")
