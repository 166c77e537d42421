"""Paramiko without the task runner that it loads for `Match exec` in SSH configurations, where `ssh -G` is asked.

Loading that takes as long as all the rest of Paramiko.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

__all__ = ["paramiko", "whole"]

_LEFT_OUT = "invoke"

if _LEFT_OUT in sys.modules or "paramiko" in sys.modules:
    import paramiko
else:
    # None makes Python say that there is none, for which Paramiko is prepared.
    sys.modules[_LEFT_OUT] = None  # type: ignore[assignment]
    try:
        import paramiko
    finally:
        del sys.modules[_LEFT_OUT]


def whole() -> None:
    """Loads what was left out, for Paramiko's own reader of configurations."""
    config: Any = import_module("paramiko.config")
    if config.invoke is None:
        config.invoke = import_module(_LEFT_OUT)
