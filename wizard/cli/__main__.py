"""`python -m wizard.cli`: the command line without the wizard."""

from wizard.cli import main

main()
