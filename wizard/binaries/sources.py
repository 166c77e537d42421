"""Reads the machine's package sources, in both formats of apt, and makes a private apt configuration of them."""

from __future__ import annotations

import platform
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from wizard.errors import ProgramUnavailableError

_ONE_LINE = re.compile(r"deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)(?P<rest>[^#]*)")
_OPTIONS = {
    "arch": "Architectures",
    "signed-by": "Signed-By",
    "trusted": "Trusted",
    "check-valid-until": "Check-Valid-Until",
}


@dataclass(frozen=True, slots=True)
class Source:
    """One address and suite; `options` are further deb822 fields, as (name, value) with the value as in the file."""

    uri: str
    suite: str
    components: tuple[str, ...]
    options: tuple[tuple[str, str], ...] = ()

    def stanza(self) -> str:
        """The source in deb822 format."""
        fields = [("Types", "deb"), ("URIs", self.uri), ("Suites", self.suite)]
        if self.components:
            fields.append(("Components", " ".join(self.components)))
        return "".join(f"{name}: {value}\n" for name, value in [*fields, *self.options])


def codename() -> str:
    """The codename of the machine's release, e.g. bookworm; '' if os-release has none."""
    try:
        return platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    except OSError:
        return ""


def private_config(home: Path, *, suite: str) -> Path:
    """Writes an apt configuration to `home` that uses the machine's own mirror, with separate lists and cache.

    Args:
        home: folder for it; created if it is missing.
        suite: another suite, or '' for the machine's own.

    Raises:
        ProgramUnavailableError: the machine's sources name no mirror of its distribution.
        OSError: `home` cannot be written.
    """
    home = home.absolute()
    for name in ("lists/partial", "cache/archives/partial", "parts"):
        (home / name).mkdir(parents=True, exist_ok=True)
    found = choose(machine_sources(), own=codename(), suite=suite)
    if not found:
        raise ProgramUnavailableError("this machine's package sources name no mirror of its distribution")
    (home / "parts" / "firescreen.sources").write_text(
        "\n".join(source.stanza() for source in found), encoding="utf-8"
    )
    # The hooks would clean, index or report on the machine's own cache.
    text = f"""
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "{home}/parts";
Dir::Etc::preferences "/dev/null";
Dir::State::lists "{home}/lists";
Dir::Cache "{home}/cache";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
Acquire::Retries "1";
Acquire::Languages "none";
APT::Sandbox::User "root";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""
    config = home / "apt.conf"
    config.write_text(text, encoding="utf-8")
    return config


def choose(found: list[Source], *, own: str, suite: str) -> list[Source]:
    """Chooses the distribution's own sources; for another suite only the main archive, with that suite's name."""
    sources = [source for source in found if "main" in source.components] or found
    if not suite:
        return [source for source in sources if own and source.suite.split("-")[0] == own] or sources
    main = [source for source in sources if source.suite == own] or [
        source for source in sources if "-" not in source.suite and "/" not in source.suite
    ]
    return [replace(source, suite=suite) for source in dict.fromkeys(main)][:1]


def machine_sources() -> list[Source]:
    """All sources that apt uses on this machine."""
    found: list[Source] = []
    for path in _files():
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        found.extend(_stanzas(text) if path.suffix == ".sources" else _lines(text))
    return found


def _files() -> list[Path]:
    """The files of package sources, according to apt's settings."""
    ended = subprocess.run(
        ["apt-config", "shell", "LIST", "Dir::Etc::sourcelist/f", "PARTS", "Dir::Etc::sourceparts/d"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    named = dict(re.findall(r"^(LIST|PARTS)='([^']*)'", ended.stdout, re.MULTILINE))
    parts = Path(named.get("PARTS", "/etc/apt/sources.list.d"))
    inside = sorted(parts.iterdir()) if parts.is_dir() else []
    return [
        Path(named.get("LIST", "/etc/apt/sources.list")),
        *(path for path in inside if path.suffix in (".list", ".sources")),
    ]


def _lines(text: str) -> Iterator[Source]:
    for line in text.splitlines():
        match = _ONE_LINE.match(line.strip())
        if match:
            pairs = (option.partition("=") for option in (match["options"] or "").split())
            options = tuple(
                (_OPTIONS[key.lower()], value.replace(",", " "))
                for key, _, value in pairs
                if key.lower() in _OPTIONS
            )
            yield Source(match["uri"], match["suite"], tuple(match["rest"].split()), options)


def _stanzas(text: str) -> Iterator[Source]:
    for block in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        name = ""
        for line in block.splitlines():
            if line.startswith("#"):
                continue
            if line[:1] in (" ", "\t") and name:
                fields[name] += f"\n{line}"
            elif ":" in line:
                name, _, value = line.partition(":")
                name = name.strip().lower()
                fields[name] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() == "no":
            continue
        wanted = {option.lower(): option for option in _OPTIONS.values()}
        options = tuple((wanted[key], value) for key, value in fields.items() if key in wanted)
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield Source(uri, suite, tuple(fields.get("components", "").split()), options)
