"""The command `docs`: prints the reference manual, which lies in `assets/docs`, a topic a file."""

from __future__ import annotations

import difflib
from pathlib import Path

import click

from wizard import assets
from wizard.cli import output
from wizard.cli.options import as_json
from wizard.errors import InputError


def _topics() -> dict[str, Path]:
    """Each topic's name and its file."""
    return {path.stem: path for path in sorted(assets.path("docs").glob("*.md"), key=lambda path: path.stem)}


def _title(path: Path) -> str:
    """The heading in a topic's first line."""
    return path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


@click.command()
@click.argument("topic", required=False)
@as_json
def docs(topic: str | None, as_json: bool) -> None:
    """Print a topic of the manual; without TOPIC, list the topics."""
    with output.explained():
        topics = _topics()
        if topic is None:
            if as_json:
                output.data([{"topic": name, "title": _title(path)} for name, path in topics.items()])
                return
            width = max(map(len, topics))
            for name, path in topics.items():
                click.echo(f"{name:<{width}}  {_title(path)}")
            return
        name = "-".join(topic.lower().split())
        if name not in topics:
            near = difflib.get_close_matches(name, topics, n=3, cutoff=0.6)
            advice = f"Try {' or '.join(near)}" if near else "List the topics with: firescreen docs"
            raise InputError(f"The manual has no topic '{topic[:60]}'", where="firescreen docs", todo=advice)
        text = topics[name].read_text(encoding="utf-8")
        if as_json:
            output.data({"topic": name, "title": _title(topics[name]), "text": text})
        else:
            click.echo(text, nl=False)
