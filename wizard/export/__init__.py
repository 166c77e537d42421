"""The same plan for another engine: a stack as an Ansible playbook, for who outgrows the wizard.

Gets a plan as data and holds no connection. Promises: what is a secret is encrypted before it touches the disk,
and the key of the CA is in no export.
"""

from __future__ import annotations

from wizard.export.ansible import Export, refuse_folder

__all__ = ["Export", "refuse_folder"]
