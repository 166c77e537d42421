"""Compose projects: parsed as Compose does, edited byte by byte.

project = compose.read(["/srv/mon/compose.yaml"], fetch)
project.service("prometheus").command
compose.edit(project, "prometheus", compose.Change(flags={"web.config.file": "/etc/prometheus/tls/web.yml"}))
"""

from wizard.config_files.compose.edits import Change, edit
from wizard.config_files.compose.forms import Mount
from wizard.config_files.compose.healthcheck import Demands
from wizard.config_files.compose.project import Definition, Project, Service, read
from wizard.config_files.compose.values import Healthcheck, Port, Volume

__all__ = [
    "Change",
    "Definition",
    "Demands",
    "Healthcheck",
    "Mount",
    "Port",
    "Project",
    "Service",
    "Volume",
    "edit",
    "read",
]
