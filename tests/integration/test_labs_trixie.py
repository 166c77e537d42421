"""Every lab with trixie's programs, by hand and done for you."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.lab_plays import play_all

pytestmark = [pytest.mark.matrix, pytest.mark.slow, pytest.mark.timeout(600)]


def test_by_hand(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play_all(tmp_path, cache, monkeypatch, suite="trixie", by_hand=True)


def test_done_for_you(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play_all(tmp_path, cache, monkeypatch, suite="trixie", by_hand=False)
