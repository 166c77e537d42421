"""Writes a man page for the program and for each of its commands, from the texts that --help prints.

`python tests/tools/man_pages.py FOLDER`
"""

from __future__ import annotations

import sys

import click
from click_man.core import write_man_pages  # type: ignore[import-untyped]

import wizard
from wizard.cli import firescreen

# Commands are imported on first use; click-man only documents imported ones.
context = click.Context(firescreen)
for name in firescreen.list_commands(context):
    firescreen.get_command(context, name)
sys.exit(write_man_pages("firescreen", firescreen, version=wizard.__version__, target_dir=sys.argv[1]))
