"""Themes: every text is readable on its background in each of our themes; the choice is remembered."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rich.color import Color as TerminalColor
from rich.color import ColorSystem
from textual.color import Color
from textual.geometry import Region
from textual.theme import BUILTIN_THEMES

from screens import themes
from screens.app import FirescreenApp, make_app
from tests.screens import example_stack
from tests.screens.helpers import drawn, engine, until

if TYPE_CHECKING:
    from textual.pilot import Pilot
    from textual.theme import Theme

TEXTS = ("foreground", "quiet", "primary", "secondary", "success", "warning", "error")
"""What is written in: also the lines of a diff and the signs of each state."""
DIFFS = ("added", "added_word", "removed", "removed_word")
"""The grounds of lines and words in a diff."""
GROUNDS = ("background", "surface", "panel", "cursor", "cursor_blurred", *DIFFS)
"""What is written on: pages, dialogs and keys, fields and buttons, the row under the cursor."""
PAIRS = (
    ("background", "primary"),  # a button with the focus, a chosen tab
    ("cursor_text", "cursor"),
    ("foreground", "selection"),
    ("background", "foreground"),  # the cursor in a field
)
TOKENS = {
    "dark": (themes.DARK_TOKENS, 4.5),
    "light": (themes.LIGHT_TOKENS, 4.5),
    "contrast": (themes.CONTRAST_TOKENS, 7.0),
}
TOKENS_256 = {
    "dark": (themes.DARK_256_TOKENS, 4.5),
    "light": (themes.LIGHT_256_TOKENS, 4.5),
    "contrast": (themes.CONTRAST_256_TOKENS, 7.0),
}
TOKENS_16 = (themes.DARK_16_TOKENS, themes.LIGHT_16_TOKENS, themes.CONTRAST_16_TOKENS)

VARIABLES = (
    ("footer-key-foreground", "footer-background"),
    ("footer-description-foreground", "footer-background"),
    ("text-disabled", "panel"),
    ("text-muted", "surface"),
    ("foreground-disabled", "panel"),
    ("input-selection-foreground", "input-selection-background"),
    ("screen-selection-foreground", "screen-selection-background"),
    ("input-cursor-foreground", "input-cursor-background"),
    ("block-cursor-foreground", "block-cursor-background"),
    ("block-cursor-blurred-foreground", "block-cursor-blurred-background"),
    ("foreground", "surface-lighten-2"),
    ("foreground", "block-hover-background"),
    *(
        (f"text-{name}", "panel")
        for name in ("primary", "secondary", "accent", "success", "warning", "error")
    ),
    *((f"markdown-h{level}-color", "background") for level in range(1, 7)),
)
"""(text, ground) of the variables that Textual's own widgets draw with."""


def luminance(colour: Color) -> float:
    parts = [part / 255 for part in (colour.r, colour.g, colour.b)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Color, other: Color) -> float:
    """Returns the contrast as WCAG 2 defines it, 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def parsed(tokens: themes.Tokens) -> dict[str, Color]:
    return {name: Color.parse(colour) for name, colour in asdict(tokens).items()}


# -- tokens ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TOKENS)
def test_each_text_is_readable_on_each_background(name: str) -> None:
    tokens, least = TOKENS[name]
    colours = parsed(tokens)
    pairs = {(text, ground) for text in TEXTS for ground in GROUNDS} | set(PAIRS)
    poor = {
        pair: round(found, 2)
        for pair in pairs
        if (found := contrast(colours[pair[0]], colours[pair[1]])) < least
    }
    assert not poor


@pytest.mark.parametrize("name", TOKENS)
def test_lines_are_visible_on_the_page(name: str) -> None:
    colours = parsed(TOKENS[name][0])
    assert contrast(colours["faint"], colours["background"]) >= 3


def test_a_hosts_name_is_readable_on_its_colour_in_each_theme() -> None:
    for ground in (*themes.HOST_COLOURS, themes.NO_HOST):
        assert contrast(Color.parse(themes.CHIP_TEXT), Color.parse(ground)) >= 7, ground


@pytest.mark.parametrize("tokens", TOKENS_16, ids=("dark", "light", "contrast"))
def test_with_16_colours_no_text_has_the_colour_of_its_background(tokens: themes.Tokens) -> None:
    landed = {
        TerminalColor.parse(one).downgrade(ColorSystem.STANDARD).number for one in asdict(tokens).values()
    }
    assert len(landed) == len(set(asdict(tokens).values())), "two colours became one"
    colours = parsed(tokens)
    for text in TEXTS:
        for ground in GROUNDS:
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    assert contrast(colours["cursor_text"], colours["cursor"]) >= 4.5
    assert colours["cursor"] != colours["background"]


@pytest.mark.parametrize("name", TOKENS_256)
def test_with_256_colours_each_text_is_readable_on_each_background(name: str) -> None:
    tokens, least = TOKENS_256[name]
    colours = {
        key: Color(*TerminalColor.parse(colour).downgrade(ColorSystem.EIGHT_BIT).get_truecolor())
        for key, colour in asdict(tokens).items()
    }
    pairs = {(text, ground) for text in TEXTS for ground in GROUNDS} | set(PAIRS)
    poor = {
        pair: round(found, 2)
        for pair in pairs
        if (found := contrast(colours[pair[0]], colours[pair[1]])) < least
    }
    assert not poor
    assert colours["cursor"] not in (colours["background"], colours["surface"])


OTHERS = {name: theme for name, theme in BUILTIN_THEMES.items() if not theme.ansi}


@pytest.mark.parametrize("name", OTHERS)
def test_each_text_is_readable_on_each_background_in_textuals_own_themes(name: str) -> None:
    shown = OTHERS[name].to_color_system().generate() | themes.extra_variables(OTHERS[name])
    texts = [each for each in TEXTS if each != "quiet"]
    texts += ["quiet", *(f"text-{each}" for each in texts[1:]), "text-muted", "block-cursor-foreground"]
    grounds = ["background", "surface", "panel", "block-cursor-background", "block-cursor-blurred-background"]
    grounds += [each.replace("_", "-") for each in DIFFS]
    poor = {
        (text, ground): round(found, 2)
        for text in texts
        for ground in grounds
        if (found := contrast(Color.parse(shown[text]), Color.parse(shown[ground]))) < 4.5
    }
    assert not poor


# -- as drawn -------------------------------------------------------------------------------------------------

_LINES = re.compile("[\\s\u2500-\u259f▸─│]+")


def low_contrast_texts(pilot: Pilot[Any], least: float) -> set[tuple[str, float]]:
    """Returns (text, contrast) of each drawn text with too little contrast; lines and bars are no text."""
    screen = pilot.app.screen
    # Behind a dialog the page is dimmed on purpose: only the dialog needs to be readable.
    parts = [part.region for part in screen.query(".box, CommandInput, CommandList")]
    box = Region.from_union(parts) if parts else screen.region
    found = set()
    for strip in screen._compositor.render_strips()[box.y : box.bottom]:
        for segment in strip.crop(box.x, box.right):
            style = segment.style
            text = _LINES.sub("", segment.text)
            if not text or style is None or style.color is None or style.bgcolor is None:
                continue
            ratio = contrast(Color.from_rich_color(style.color), Color.from_rich_color(style.bgcolor))
            if ratio < least or style.dim:
                found.add((segment.text.strip(), round(ratio, 2)))
    return found


@pytest.mark.parametrize("theme", themes.OWN, ids=lambda theme: theme.name)
async def test_textuals_own_widgets_are_readable(theme: Theme) -> None:
    least = 7.0 if theme is themes.CONTRAST else 4.5
    app = make_app(build=engine(example_stack.ExampleEngine()))
    async with app.run_test(size=(80, 24)) as pilot:
        app.theme = theme.name
        await until(pilot, "5 of 5")
        colours = {name: Color.parse(colour) for name, colour in app.theme_variables.items() if "#" in colour}
        poor = {pair for pair in VARIABLES if contrast(colours[pair[0]], colours[pair[1]]) < least}
        assert not poor


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=str)
@pytest.mark.parametrize("theme", themes.OWN, ids=lambda theme: theme.name)
async def test_every_text_from_home_to_the_plan_is_readable(theme: Theme, size: tuple[int, int]) -> None:
    least = 7.0 if theme is themes.CONTRAST else 4.5
    app = make_app(build=engine(example_stack.ExampleEngine()))
    async with app.run_test(size=size) as pilot:
        app.theme = theme.name
        await until(pilot, "5 of 5")
        poor = {"home": low_contrast_texts(pilot, least)}
        for keys, wanted in (
            (("question_mark",), "Help"),
            (("escape", "ctrl+p"), "Change theme"),
            (("l", "i"), "Light"),
        ):
            await pilot.press(*keys)
            await until(pilot, wanted)
            poor[wanted] = low_contrast_texts(pilot, least)
        assert not {name: texts for name, texts in poor.items() if texts}


async def test_without_colour_the_selected_row_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = make_app(build=engine(example_stack.ExampleEngine()))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "5 of 5")
        strips = app.screen._compositor.render_strips()
        marked = {
            part.text.strip() for strip in strips for part in strip if part.style and part.style.underline
        }
        assert "Secure this machine" in marked
        assert not any("Practise" in text for text in marked)
        assert not low_contrast_texts(pilot, 4.5)


# -- the choice -----------------------------------------------------------------------------------------------


def app_of(folder: Path) -> FirescreenApp:
    return make_app(build=engine(), workspace=folder)


async def test_a_theme_is_found_in_the_palette_and_remembered_after_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    app = app_of(folder)
    async with app.run_test(size=(80, 24)) as pilot:
        assert app.theme == themes.DARK.name
        await pilot.press("ctrl+p")
        await until(pilot, "Change theme")
        await pilot.press(*"theme")
        await until(pilot, "Change theme")
        await pilot.press("escape", "ctrl+p")
        await pilot.press(*"contrast")
        await until(pilot, "High contrast")
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.theme == themes.CONTRAST.name)
        await until(pilot, (folder / "theme").is_file)
    again = app_of(folder)
    async with again.run_test(size=(80, 24)) as pilot:
        assert again.theme == themes.CONTRAST.name
        again.use_theme("nord")
        await until(pilot, lambda: "nord" in (folder / "theme").read_text(encoding="utf-8"))
    assert app_of(folder).theme == "nord"
    assert app_of(tmp_path / "another").theme == themes.DARK.name


async def test_all_themes_are_listed_and_each_draws(tmp_path: Path) -> None:
    app = app_of(tmp_path / "own")
    async with app.run_test(size=(80, 24)) as pilot:
        app.search_themes()
        text = await until(pilot, "Firescreen high contrast")
        assert "Firescreen light" in text
        await pilot.press(*"gruvbox")
        await until(pilot, "gruvbox")
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.theme == "gruvbox")
        for name, theme in app.available_themes.items():
            app.theme = name
            await pilot.pause()
            assert "Firescreen" in drawn(pilot), name
            if not theme.ansi:  # themes that use the terminal's own colours
                assert not low_contrast_texts(pilot, 4.5), name


@pytest.mark.parametrize("kept", [b"", b"no-such-theme\n", b"\xff\xfe\x00", b"x" * 5000])
def test_an_invalid_theme_file_is_ignored(kept: bytes, tmp_path: Path) -> None:
    (tmp_path / "theme").write_bytes(kept)
    assert app_of(tmp_path).theme == themes.DARK.name


def test_a_folder_in_place_of_the_file_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "theme").mkdir()
    assert app_of(tmp_path).theme == themes.DARK.name


async def test_a_choice_that_cannot_be_saved_is_used_and_reported(tmp_path: Path) -> None:
    (tmp_path / "theme").mkdir(parents=True)
    app = app_of(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        app.use_theme(themes.LIGHT.name)
        await until(pilot, "is not remembered")
        assert app.theme == themes.LIGHT.name


def test_a_light_terminal_starts_light_until_a_theme_is_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLORFGBG", "0;15")
    assert app_of(tmp_path).theme == themes.LIGHT.name
    (tmp_path / "theme").write_text(f"{themes.DARK.name}\n", encoding="utf-8")
    assert app_of(tmp_path).theme == themes.DARK.name
