"""Exports a stack as an Ansible playbook, for people who outgrow the wizard.

Works on a plan as data, without a connection. Secrets are encrypted before they are written to the disk, and no export
contains the key of the CA.
"""

from __future__ import annotations

from wizard.export.ansible import Export, refuse_folder

__all__ = ["Export", "refuse_folder"]
