"""Every step of every lab at 80x24: each line of its text, commands and hints can be read, and copied whole."""

from __future__ import annotations

import re
import textwrap
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from textual.containers import VerticalScroll
from textual.pilot import Pilot
from textual.widgets import OptionList
from textual.widgets._footer import FooterKey

from screens.app import make_app
from screens.labs.screen import LabPage
from screens.labs.step_text import entries, is_offered, line_width, next_words
from screens.widgets.shell_lines import fold_lines
from tests.screens.helpers import QuietEngine, drawn, engine, until
from wizard import labs
from wizard.labs import CheckResult, Lab, LabSession, classroom
from wizard.labs.placeholders import compose_values
from wizard.practice.compose_project import ComposeProject
from wizard.workspace import Workspace

FOLDER = "/home/student/.local/share/firescreen/practice"
SAID = 9
"""Lines of what was last said that a terminal of 24 lines has room for."""


def values(lab: Lab) -> Mapping[str, str]:
    """What a student's practice stack puts in place of the placeholders; folders as long as they are there."""
    components = {
        "srv1": "node_exporter",
        "srv2": "node_exporter",
        "srv3": "node_exporter",
        "prometheus": "prometheus",
        "alertmanager": "alertmanager",
        "pushgateway": "pushgateway",
        "door": "caddy",
    }
    found = {
        "lab.promtool": "promtool",
        "door.login": "basic_auth",
        "lab.notes": f"{FOLDER}/notes",
        "lab.examples": "/usr/lib/python3.11/site-packages/wizard/_assets/examples",
    }
    for number, (host, component) in enumerate(components.items(), start=1):
        home = f"{FOLDER}/{host}/etc/{component}"
        found |= {
            f"{host}.address": f"127.0.113.{number}",
            f"{host}.port": "9100",
            f"{host}.listen": f"127.0.113.{number}:9100",
            f"{host}.loopback": f"127.0.113.10{number}:9100",
            f"{host}.home": home,
            f"{host}.from": home,
            f"{host}.flags": f"{FOLDER}/{host}/services/{component}/arguments",
            f"{host}.addflag": f'echo "$flag" >> {FOLDER}/{host}/services/{component}/arguments',
            f"{host}.asked": f"127.0.113.{number}",
            f"{host}.group": "student",
            f"{host}.san": f"IP:127.0.113.{number},DNS:{host}",
            f"{host}.job": "node",
            f"{host}.log": f"{FOLDER}/{host}/services/{component}/log",
            f"{host}.version": "1.5.0",
            f"{host}.restart": f"firescreen practice restart {host}/{component}",
            f"{host}.reload": f"firescreen practice reload {component}",
        }
    if lab.docker:
        listen = {"node-exporter": "127.0.113.1:9100", "prometheus": "127.0.113.2:9090"}
        folder = f"{FOLDER}/../compose/firescreen-lab-0a1b2c3d"
        project = ComposeProject(folder=folder, compose="docker compose", addresses=listen, versions={})
        found |= compose_values(project, f"{FOLDER}/../compose/notes")
    return found


class Shown:
    """A lab as its page sees it, with nothing running: all hints were taken, nothing is done yet."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab.fill_placeholders(values(lab))
        self.done: frozenset[str] = frozenset()
        self.shell_file = Path(f"{FOLDER}/../labs/shell")
        self.typed: dict[int, str] = {}

    on_real_hosts = False
    is_solved = False
    where = "the practice stack"

    def terminal(self, place: str) -> str:
        """As on the practice stack."""
        return f"another terminal, for {place}"

    def has_begun(self, step_id: str) -> bool:
        """No fault is put in here."""
        return True

    def check(self, step_id: str, *, patience: float = 0.0, by_student: bool = False) -> CheckResult:
        """Not yet, unless a test says so."""
        return CheckResult(self.is_solved, "not yet", "go on")

    def hint(self, step_id: str) -> str:
        """The last one."""
        return self.lab.step(step_id).hints[-1]

    @property
    def answers(self) -> tuple[str, ...]:
        """What was typed so far."""
        return tuple(self.typed.get(number, "") for number in range(len(self.lab.questions)))

    def respond(self, number: int, text: str) -> None:
        """Keeps it."""
        self.typed[number] = text

    def report(self) -> Path:
        """Where it would be."""
        return Path(f"{FOLDER}/../reports/lab-{self.lab.id}.md")

    def answer(self, step_id: str) -> tuple[str, ...]:
        """As after the last hint."""
        return self.lab.step(step_id).answer


def squeezed(text: str) -> str:
    """Without blanks and stars, so that where a line was broken or what is emphasised does not matter."""
    return re.sub(r"[\s▁▂▃▄▅▆▇█▌▐│─╭╮╰╯*]", "", text)


def shows(pilot: Pilot[Any], *ends: str) -> Callable[[], bool]:
    """Whether all these stand in the right pane now."""

    def stand() -> bool:
        seen = squeezed(right_pane(pilot))
        return all(end in seen for end in ends)

    return stand


def right_pane(pilot: Pilot[Any]) -> str:
    """What stands right of the steps, the place of a scrollbar left out."""
    detail = pilot.app.screen.query_one("#detail", VerticalScroll)
    region = detail.content_region
    lines = drawn(pilot).splitlines()[region.y : region.bottom]
    return "\n".join(line[region.x : region.right] for line in lines)


def as_folded(pilot: Pilot[Any], command: str) -> str:
    """A command as it stands in the right pane, squeezed."""
    return squeezed("\n".join(fold_lines(command, line_width(pilot.app.screen.query_one("#detail")))))


async def read_through(pilot: Pilot[Any]) -> str:
    """All that can be seen of the step in hand by paging down."""
    detail = pilot.app.screen.query_one("#detail", VerticalScroll)
    detail.scroll_home(animate=False)
    await pilot.pause()
    pages, before = [right_pane(pilot)], -1.0
    while detail.scroll_y != before:
        before = detail.scroll_y
        await pilot.press("pagedown")
        await pilot.pause()
        overlap = detail.size.height - int(detail.scroll_y - before)
        pages.append("\n".join(right_pane(pilot).splitlines()[overlap:]))
    return squeezed("".join(pages))


def written(markdown: str) -> list[str]:
    """The lines of a page as they are to be read, without the signs of Markdown."""
    plain = re.sub(r"\*\*|\*|`", "", markdown)
    return [squeezed(re.sub(r"^- ", "", line)) for line in plain.splitlines() if line.strip()]


@asynccontextmanager
async def opened(session: Shown, *, height: int) -> AsyncIterator[Pilot[Any]]:
    """The page of a lab on a terminal of 80 columns."""
    app = make_app(build=engine())
    async with app.run_test(size=(80, height)) as pilot:
        await until(pilot, "Follow a lab")
        await app.push_screen(LabPage(cast("LabSession", session)))
        await until(pilot, "About this lab")
        yield pilot


@pytest.mark.parametrize("lab", labs.labs(), ids=lambda lab: lab.id)
async def test_every_line_stands_whole_in_80_columns_and_commands_are_copied_whole(lab: Lab) -> None:
    session = Shown(lab)
    # As wide as a small terminal and higher than any page, so that one frame shows all of a step.
    async with opened(session, height=150) as pilot:
        await until(pilot, lambda: as_folded(pilot, f". {session.shell_file}") in squeezed(right_pane(pilot)))
        seen = squeezed(right_pane(pilot))
        assert [line for line in written(session.lab.intro) if line not in seen] == []
        page = cast(LabPage, pilot.app.screen)
        for step in session.lab.steps:
            await pilot.press("n", "c")
            assert page.step is step
            typed = (*step.commands, *step.answer)
            assert pilot.app.clipboard == "\n".join(typed) + "\n"
            await until(pilot, shows(pilot, written(step.text)[-1], as_folded(pilot, typed[-1])))
            seen = squeezed(right_pane(pilot))
            assert [line for line in written(step.text) if line not in seen] == [], step.id
            assert [command for command in typed if as_folded(pilot, command) not in seen] == [], step.id
            assert page.query_one("#detail", VerticalScroll).max_scroll_y == 0, "the frame shows all of it"
            width = page.query_one("#detail", VerticalScroll).content_size.width
            for hint in step.hints:
                lines = textwrap.wrap(f"Hint  {hint}", width, break_on_hyphens=False)
                assert len(lines) <= SAID, (step.id, "a hint is too long to be read at 80x24")


async def test_a_long_step_is_read_to_its_end_at_80x24_with_one_key() -> None:
    lab = labs.find("stack")
    session = Shown(replace(lab, steps=(max(lab.steps, key=lambda step: len(str(step))),)))
    async with opened(session, height=24) as pilot:
        await pilot.press("n")
        step = session.lab.steps[0]
        await until(pilot, lambda: step.title in right_pane(pilot))
        await until(pilot, lambda: pilot.app.screen.query_one("#detail").max_scroll_y > 24)
        seen = await read_through(pilot)
        assert [line for line in written(step.text) if line not in seen] == []
        assert [command for command in step.commands if as_folded(pilot, command) not in seen] == []


async def test_all_labs_are_listed_at_80x24_and_the_one_in_hand_says_what_it_is_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine without Docker, the lab that needs it says so."""
    monkeypatch.setenv("PATH", str(tmp_path))
    async with make_app(build=engine()).run_test(size=(80, 24)) as pilot:
        await until(pilot, "Follow a lab")
        await pilot.press("l")
        await until(pilot, labs.labs()[0].title)
        for lab in labs.labs():
            about = written(lab.intro.strip().partition("\n\n")[0].replace("\n", " "))
            if lab.docker:
                about = written("Skipped: the lab in containers needs Docker and its Compose")
            await until(pilot, shows_whole(pilot, squeezed(lab.title), *about))
            assert not lab.docker or squeezed("needs Docker") in squeezed(drawn(pilot))
            await pilot.press("down")


async def test_the_last_step_can_be_reached_and_left_by_keyboard() -> None:
    session = Shown(labs.find("faults"))
    async with opened(session, height=24) as pilot:
        await pilot.press("end")
        await pilot.pause()
        assert pilot.app.screen.query_one("#steps", OptionList).highlighted == len(session.lab.steps)
        await pilot.press("escape")
        await until(pilot, "Follow a lab")


async def test_own_answers_are_taken_and_the_report_says_where_it_is() -> None:
    session = Shown(labs.find("look"))
    session.done = frozenset(step.id for step in session.lab.steps)
    async with opened(session, height=24) as pilot:
        await until(pilot, "Can you answer these?")
        await pilot.press("w")
        await until(pilot, "Your answers")
        await pilot.press(*"No.", "tab", *"None.", "tab", "enter")
        await until(pilot, "'o' writes your report")
        assert session.typed == {0: "No.", 1: "None."}
        await pilot.press("o")
        await until(pilot, shows_whole(pilot, "reports/lab-look.md", "reports/lab-look.html"))
        await pilot.press("home", "n", "o")
        await until(pilot, shows_whole(pilot, "reports/lab-look.md"))


def shows_whole(pilot: Pilot[Any], *texts: str) -> Callable[[], bool]:
    """Whether all these stand on the screen, wherever a line was broken."""
    return lambda: all(text in squeezed(drawn(pilot)) for text in texts)


async def test_the_hosts_of_a_classroom_are_taken_and_left_by_keyboard(tmp_path: Path) -> None:
    quiet = QuietEngine()
    quiet.workspace = Workspace(tmp_path / "workspace").ensure()
    file = tmp_path / "room.yaml"
    hosts = "srv1: {connect: ssh, address: '192.0.2.{{campus}}'}, prometheus: {connect: incus, via: srv1}"
    file.write_text(f"campus: 1-30\nhosts: {{{hosts}}}\n")
    app = make_app(build=engine(quiet))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "Follow a lab")
        await pilot.press("l")
        await until(pilot, "on the practice stack")
        await pilot.press("tab", "enter")
        await until(pilot, "classroom file")
        await pilot.press(*str(file), "enter")
        # The file asks for a number: that is the next question, and no mistake yet.
        await until(pilot, lambda: getattr(pilot.app.focused, "id", "") == "campus")
        assert "✗" not in drawn(pilot)
        await pilot.press("3", "1", "enter")
        await until(pilot, "there is no campus 31")
        await pilot.press("backspace", "0", "backspace", "enter")
        await until(pilot, "real hosts of room.yaml, campus 3: srv1,")
        assert "practice stack only" in drawn(pilot)
        assert classroom.last_classroom(quiet.workspace) == classroom.load(file, 3)
        await pilot.press("tab", "tab", "enter")
        await until(pilot, "Labs run on the practice stack")
        assert classroom.last_classroom(quiet.workspace) is None


def keys(pilot: Pilot[Any]) -> list[str]:
    """The keys in the footer."""
    return [key.key_display for key in pilot.app.screen.query(FooterKey)]


async def test_the_footer_shows_the_keys_that_the_step_and_its_texts_name() -> None:
    session = Shown(labs.find("look"))
    async with opened(session, height=24) as pilot:
        await until(pilot, lambda: "n" in keys(pilot))  # as the text about the lab says
        await pilot.press("n")
        await until(pilot, lambda: keys(pilot) == ["k", "h", "d", "c", "?", "esc"])
        session.is_solved = True
        await pilot.press("k")
        await until(pilot, shows_whole(pilot, squeezed("'n' goes to the next step")))
        await until(pilot, lambda: "n" in keys(pilot) and "h" not in keys(pilot))
        await pilot.press("h")
        await pilot.pause()
        assert "Hint" not in drawn(pilot), "no hint for a step that is done"
        for _ in session.lab.steps[1:]:
            await pilot.press("n", "k")
            await pilot.pause()
        await until(pilot, shows_whole(pilot, squeezed("all steps are done")))
        await pilot.press("end")
        await until(pilot, lambda: {"w", "a", "o"} <= set(keys(pilot)))
        assert len(keys(pilot)) <= 6


def test_after_a_step_the_text_names_only_steps_that_the_lab_has() -> None:
    lab = labs.find("look")
    first, *middle, last = (step.id for step in lab.steps)
    everything = {first, *middle, last}
    assert next_words(lab, lab.steps[0], {first}) == "'n' goes to the next step"
    assert next_words(lab, lab.steps[-1], {last}) == "step 1 is left"
    assert next_words(lab, lab.steps[-1], everything).startswith("all steps are done")
    assert not is_offered("next", lab, lab.steps[-1], begun=everything, done={last})
    assert is_offered("next", lab, lab.steps[-1], begun=everything, done=everything)
    words = [text.plain for text, _ in entries(replace(lab, questions=()), everything, 22)]
    assert words[-1] == "★ The end"
    for each in labs.labs():
        assert "next step" not in each.steps[-1].text.lower(), each.id
