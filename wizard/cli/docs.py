"""The command `docs`: prints the manual, which is in `assets/docs`, one file for each topic."""

from __future__ import annotations

import difflib
import sys

import click

from wizard import glossary
from wizard.cli import line_breaks, output
from wizard.cli.options import as_json
from wizard.errors import InputError


@click.command()
@click.argument("topic", required=False)
@as_json
def docs(topic: str | None, as_json: bool) -> None:
    """Print a topic of the manual; without TOPIC, list the topics.

    \b
    Examples:
      firescreen docs
      firescreen docs upkeep
    """
    with output.print_errors():
        topics = glossary.manual()
        if topic is None:
            if as_json:
                output.data([{"topic": name, "title": glossary.title(text)} for name, text in topics.items()])
                return
            width = max(map(len, topics))
            for name, text in topics.items():
                click.echo(f"{name:<{width}}  {glossary.title(text)}")
            return
        name = "-".join(topic.lower().split())
        if name not in topics:
            near = difflib.get_close_matches(name, topics, n=3, cutoff=0.6)
            advice = f"Try {' or '.join(near)}" if near else "List the topics with: firescreen docs"
            raise InputError(f"The manual has no topic '{topic[:60]}'", where="firescreen docs", todo=advice)
        text = topics[name]
        if as_json:
            output.data({"topic": name, "title": glossary.title(text), "text": text})
        else:
            click.echo(line_breaks.markdown(text, line_breaks.of_terminal(sys.stdout)), nl=False)
