"""The list of all checks, grouped by id."""

from __future__ import annotations

import difflib
from typing import Final

from wizard.audit import (
    api_checks,
    certificate_checks,
    client_checks,
    exposure_checks,
    file_checks,
    grafana_checks,
    neighbour_checks,
    password_checks,
    proxy_checks,
    tls_checks,
    version_checks,
)
from wizard.audit.report import Check
from wizard.errors import InputError

CHECKS: Final[tuple[Check, ...]] = (
    *exposure_checks.CHECKS,
    *api_checks.CHECKS,
    *tls_checks.CHECKS,
    *certificate_checks.CHECKS,
    *password_checks.CHECKS,
    *file_checks.CHECKS,
    *client_checks.CHECKS,
    *neighbour_checks.CHECKS,
    *proxy_checks.CHECKS,
    *grafana_checks.CHECKS,
    *version_checks.CHECKS,
    *grafana_checks.VERSION_CHECKS,
)


def check_of(name: str) -> Check:
    """The check with an id, in upper or lower case.

    Raises:
        InputError: there is no such check; names the most similar id.
    """
    wanted = name.strip().upper()
    for check in CHECKS:
        if check.id == wanted:
            return check
    near = difflib.get_close_matches(wanted, [check.id for check in CHECKS], n=1, cutoff=0.5)
    raise InputError(
        f"there is no check {name!r}",
        todo=f"Did you mean {near[0]}?" if near else f"Choose from: {', '.join(each.id for each in CHECKS)}",
    )
