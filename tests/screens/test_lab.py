"""Every step of every lab at 80x24: all its text, commands and hints can be read, and its commands copied whole."""

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
    """Returns the values of the placeholders, with folders as long as on a student's practice stack."""
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


class FakeSession:
    """A session of a lab with nothing running: all hints were taken, no step is done."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab.fill_placeholders(values(lab))
        self.done: frozenset[str] = frozenset()
        self.shell_file = Path(f"{FOLDER}/../labs/shell")
        self.typed: dict[int, str] = {}

    on_real_hosts = False
    is_solved = False
    where = "the practice stack"

    def terminal(self, place: str) -> str:
        """Returns the values as on the practice stack."""
        return f"another terminal, for {place}"

    def has_begun(self, step_id: str) -> bool:
        """Returns false: the fault of this step was not made."""
        return True

    def check(self, step_id: str, *, patience: float = 0.0, by_student: bool = False) -> CheckResult:
        """Reports the step as not done, unless a test says otherwise."""
        return CheckResult(self.is_solved, "not yet", "go on")

    def hint(self, step_id: str) -> str:
        """Returns the last hint."""
        return self.lab.step(step_id).hints[-1]

    @property
    def answers(self) -> tuple[str, ...]:
        """Returns the answers so far."""
        return tuple(self.typed.get(number, "") for number in range(len(self.lab.questions)))

    def respond(self, number: int, text: str) -> None:
        """Stores the answer."""
        self.typed[number] = text

    def report(self) -> Path:
        """Returns the path of the report."""
        return Path(f"{FOLDER}/../reports/lab-{self.lab.id}.md")

    def answer(self, step_id: str) -> tuple[str, ...]:
        """Returns the solution, as after the last hint."""
        return self.lab.step(step_id).answer


def squeeze(text: str) -> str:
    """Removes blanks and stars, so that line breaks and emphasis do not matter."""
    return re.sub(r"[\s▁▂▃▄▅▆▇█▌▐│─╭╮╰╯*]", "", text)


def has_texts(pilot: Pilot[Any], *ends: str) -> Callable[[], bool]:
    """Returns whether all these texts are in the right pane now."""

    def are_shown() -> bool:
        seen = squeeze(right_pane(pilot))
        return all(end in seen for end in ends)

    return are_shown


def right_pane(pilot: Pilot[Any]) -> str:
    """Returns the right pane without its scrollbar."""
    detail = pilot.app.screen.query_one("#detail", VerticalScroll)
    region = detail.content_region
    lines = drawn(pilot).splitlines()[region.y : region.bottom]
    return "\n".join(line[region.x : region.right] for line in lines)


def fold_command(pilot: Pilot[Any], command: str) -> str:
    """Returns a command as the right pane shows it, squeezed."""
    return squeeze("\n".join(fold_lines(command, line_width(pilot.app.screen.query_one("#detail")))))


async def read_step(pilot: Pilot[Any]) -> str:
    """Returns all text of the selected step, read by paging down."""
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
    return squeeze("".join(pages))


def without_markdown(markdown: str) -> list[str]:
    """Returns the lines of a page without the signs of Markdown."""
    plain = re.sub(r"\*\*|\*|`", "", markdown)
    return [squeeze(re.sub(r"^- ", "", line)) for line in plain.splitlines() if line.strip()]


@asynccontextmanager
async def open_lab_page(session: FakeSession, *, height: int) -> AsyncIterator[Pilot[Any]]:
    """Opens the page of a lab on a terminal of 80 columns."""
    app = make_app(build=engine())
    async with app.run_test(size=(80, height)) as pilot:
        await until(pilot, "Follow a lab")
        await app.push_screen(LabPage(cast("LabSession", session)))
        await until(pilot, "About this lab")
        yield pilot


@pytest.mark.parametrize("lab", labs.labs(), ids=lambda lab: lab.id)
async def test_every_line_fits_80_columns_and_commands_are_copied_whole(lab: Lab) -> None:
    session = FakeSession(lab)
    # As wide as a small terminal and higher than any page, so that one frame shows the complete step.
    async with open_lab_page(session, height=150) as pilot:
        await until(
            pilot, lambda: fold_command(pilot, f". {session.shell_file}") in squeeze(right_pane(pilot))
        )
        seen = squeeze(right_pane(pilot))
        assert [line for line in without_markdown(session.lab.intro) if line not in seen] == []
        page = cast(LabPage, pilot.app.screen)
        for step in session.lab.steps:
            await pilot.press("n", "c")
            assert page.step is step
            typed = (*step.commands, *step.answer)
            assert pilot.app.clipboard == "\n".join(typed) + "\n"
            await until(
                pilot, has_texts(pilot, without_markdown(step.text)[-1], fold_command(pilot, typed[-1]))
            )
            seen = squeeze(right_pane(pilot))
            assert [line for line in without_markdown(step.text) if line not in seen] == [], step.id
            assert [command for command in typed if fold_command(pilot, command) not in seen] == [], step.id
            assert page.query_one("#detail", VerticalScroll).max_scroll_y == 0, "the frame shows all of it"
            width = page.query_one("#detail", VerticalScroll).content_size.width
            for hint in step.hints:
                lines = textwrap.wrap(f"Hint  {hint}", width, break_on_hyphens=False)
                assert len(lines) <= SAID, (step.id, "a hint is too long to be read at 80x24")


async def test_a_long_step_is_read_to_its_end_at_80x24_with_one_key() -> None:
    lab = labs.find("stack")
    session = FakeSession(replace(lab, steps=(max(lab.steps, key=lambda step: len(str(step))),)))
    async with open_lab_page(session, height=24) as pilot:
        await pilot.press("n")
        step = session.lab.steps[0]
        await until(pilot, lambda: step.title in right_pane(pilot))
        await until(pilot, lambda: pilot.app.screen.query_one("#detail").max_scroll_y > 24)
        seen = await read_step(pilot)
        assert [line for line in without_markdown(step.text) if line not in seen] == []
        assert [command for command in step.commands if fold_command(pilot, command) not in seen] == []


async def test_all_labs_are_listed_at_80x24_and_the_selected_one_is_described(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lab that needs Docker says so on a machine without it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    async with make_app(build=engine()).run_test(size=(80, 24)) as pilot:
        await until(pilot, "Follow a lab")
        await pilot.press("l")
        await until(pilot, labs.labs()[0].title)
        for lab in labs.labs():
            about = without_markdown(lab.intro.strip().partition("\n\n")[0].replace("\n", " "))
            if lab.docker:
                about = without_markdown("Skipped: the lab in containers needs Docker and its Compose")
            await until(pilot, is_on_screen(pilot, squeeze(lab.title), *about))
            assert not lab.docker or squeeze("needs Docker") in squeeze(drawn(pilot))
            await pilot.press("down")


async def test_the_last_step_can_be_reached_and_left_by_keyboard() -> None:
    session = FakeSession(labs.find("faults"))
    async with open_lab_page(session, height=24) as pilot:
        await pilot.press("end")
        await pilot.pause()
        assert pilot.app.screen.query_one("#steps", OptionList).highlighted == len(session.lab.steps)
        await pilot.press("escape")
        await until(pilot, "Follow a lab")


async def test_answers_are_stored_and_the_page_names_the_report() -> None:
    session = FakeSession(labs.find("look"))
    session.done = frozenset(step.id for step in session.lab.steps)
    async with open_lab_page(session, height=24) as pilot:
        await until(pilot, "Can you answer these?")
        await pilot.press("w")
        await until(pilot, "Your answers")
        await pilot.press(*"No.", "tab", *"None.", "tab", "enter")
        await until(pilot, "'o' writes your report")
        assert session.typed == {0: "No.", 1: "None."}
        await pilot.press("o")
        await until(pilot, is_on_screen(pilot, "reports/lab-look.md", "reports/lab-look.html"))
        await pilot.press("home", "n", "o")
        await until(pilot, is_on_screen(pilot, "reports/lab-look.md"))


def is_on_screen(pilot: Pilot[Any], *texts: str) -> Callable[[], bool]:
    """Returns whether all these texts are on the screen, wherever their lines break."""
    return lambda: all(text in squeeze(drawn(pilot)) for text in texts)


async def test_classroom_hosts_are_added_and_removed_by_keyboard(tmp_path: Path) -> None:
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
        # The file needs a number: that is the next question, and no error yet.
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
    """Returns the keys in the footer."""
    return [key.key_display for key in pilot.app.screen.query(FooterKey)]


async def test_the_footer_shows_the_keys_that_the_step_and_its_texts_name() -> None:
    session = FakeSession(labs.find("look"))
    async with open_lab_page(session, height=24) as pilot:
        await until(pilot, lambda: "n" in keys(pilot))  # as the lab's introduction says
        await pilot.press("n")
        await until(pilot, lambda: keys(pilot) == ["k", "h", "d", "c", "?", "esc"])
        session.is_solved = True
        await pilot.press("k")
        await until(pilot, is_on_screen(pilot, squeeze("'n' goes to the next step")))
        await until(pilot, lambda: "n" in keys(pilot) and "h" not in keys(pilot))
        await pilot.press("h")
        await pilot.pause()
        assert "Hint" not in drawn(pilot), "no hint for a step that is done"
        for _ in session.lab.steps[1:]:
            await pilot.press("n", "k")
            await pilot.pause()
        await until(pilot, is_on_screen(pilot, squeeze("all steps are done")))
        await pilot.press("end")
        await until(pilot, lambda: {"w", "a", "o"} <= set(keys(pilot)))
        assert len(keys(pilot)) <= 6


def test_the_text_after_a_step_names_only_existing_steps() -> None:
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
