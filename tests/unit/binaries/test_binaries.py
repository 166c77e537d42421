"""The real programs are found, or downloaded completely and verified, or an error lists what was tried."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes import run_program
from wizard import assets, binaries
from wizard.binaries import releases, sources, store
from wizard.errors import ProgramUnavailableError

Archive = Callable[..., binaries.Table]


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files; a path that ends in .cut is sent half, one in .away redirects to an http address."""

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        found = Path(self.translate_path(self.path))
        if found.with_name(found.name + ".cut").exists():
            content = found.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
        elif found.with_name(found.name + ".away").exists():
            self.send_response(302)
            self.send_header("Location", "http://192.0.2.1/archive.tar.gz")
            self.end_headers()
        else:
            super().do_GET()


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the URL at which it is served."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield folder, f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def no_apt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without the programs and without apt."""
    (tmp_path / "nothing").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setattr(binaries, "_MORE_FOLDERS", ())


@pytest.fixture
def released(mirror: tuple[Path, str], tmp_path: Path, node_exporter: str) -> Archive:
    """Makes an archive of the real program like an upstream release, and the table of its checksums."""

    def make(
        *, pinned: str = "right", extra: tarfile.TarInfo | None = None, program: bool = True
    ) -> binaries.Table:
        top = f"node_exporter-9.9.9.{releases.this_platform()}"
        place = mirror[0] / "prometheus/node_exporter/releases/download/v9.9.9"
        place.mkdir(parents=True)
        archive = place / f"{top}.tar.gz"
        with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
            if program:
                tar.add(node_exporter, f"{top}/node_exporter")
            licence = tarfile.TarInfo(f"{top}/LICENSE")
            licence.size = 4
            tar.addfile(licence, io.BytesIO(b"free"))
            if extra:
                tar.addfile(extra, io.BytesIO(b"x" * extra.size))
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        sums = {"right": {releases.this_platform(): digest}, "wrong": {releases.this_platform(): "0" * 64}}
        (place / "sha256sums.txt").write_text(f"{'1' * 64}  other.tar.gz\n{digest}  {archive.name}\n")
        data = json.loads(assets.path("programs.json").read_text())
        data["releases"]["node_exporter"] = {"version": "9.9.9", "sha256": sums.get(pinned, {})}
        path = tmp_path / "programs.json"
        path.write_text(json.dumps(data))
        return binaries.load(path)

    return make


def remaining_files(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("*") if path.is_file() and not path.name.endswith(".lock")]


@pytest.mark.parametrize("pinned", ["right", "published"])
@pytest.mark.usefixtures("no_apt")
def test_a_release_with_the_right_checksum_runs(
    released: Archive, mirror: tuple[Path, str], tmp_path: Path, pinned: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = released(pinned=pinned)
    monkeypatch.setenv("FIRESCREEN_DOWNLOADS", mirror[1])
    messages: list[str] = []
    found = binaries.find("node_exporter", cache=tmp_path / "cache", table=table, progress=messages.append)
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", found.version)
    assert "9.9.9" in found.path
    assert [path.name for path in remaining_files(tmp_path / "cache")] == ["node_exporter"]
    assert any("Downloading" in line for line in messages)
    # The second time, it is taken from the cache without a network.
    assert binaries.find("node_exporter", cache=tmp_path / "cache", table=table, fetch=False) == found


def _outside() -> tarfile.TarInfo:
    entry = tarfile.TarInfo("../../evil")
    entry.size = 4
    return entry


def _link() -> tarfile.TarInfo:
    entry = tarfile.TarInfo(f"node_exporter-9.9.9.{releases.this_platform()}/node_exporter")
    entry.type, entry.linkname = tarfile.SYMTYPE, "LICENSE"
    return entry


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("wrong", "is not the archive that was released"),
        ("cut", "broke off"),
        ("gone", "404"),
        ("away", "not https"),
        ("outside", "cannot be trusted"),
        ("link", "not a regular file"),
        ("empty", "holds no node_exporter"),
        ("unlisted", "names no sum"),
    ],
)
@pytest.mark.usefixtures("no_apt")
def test_a_bad_release_is_refused_and_leaves_nothing(
    released: Archive, mirror: tuple[Path, str], tmp_path: Path, how: str, words: str
) -> None:
    extra = {"outside": _outside, "link": _link}.get(how)
    table = released(
        pinned={"wrong": "wrong", "unlisted": "published"}.get(how, "right"),
        extra=extra() if extra else None,
        program=how not in ("link", "empty"),
    )
    archive = next(mirror[0].rglob("*.tar.gz"))
    if how in ("cut", "away"):
        archive.with_name(f"{archive.name}.{how}").touch()
    if how == "gone":
        archive.unlink()
    if how == "unlisted":
        (archive.parent / "sha256sums.txt").write_text("")
    cache = tmp_path / "cache"
    with pytest.raises(ProgramUnavailableError, match=words) as refused:
        binaries.find("node_exporter", cache=cache, table=table, base=mirror[1])
    assert remaining_files(cache) == []
    assert not (tmp_path / "evil").exists()
    assert refused.value.todo


@pytest.mark.usefixtures("no_apt")
def test_downloads_use_https_or_loopback_only(tmp_path: Path) -> None:
    for base in ("http://192.0.2.1", "ftp://127.0.0.1", "file:///etc", "http://localhost.example"):
        with pytest.raises(ProgramUnavailableError, match="is not https"):
            binaries.find("promtool", cache=tmp_path, base=base)
    assert remaining_files(tmp_path) == []


def test_the_pinned_checksums_are_complete() -> None:
    table = binaries.load()
    for release in table.releases.values():
        assert all(re.fullmatch(r"[0-9a-f]{64}", value) for value in release.sha256.values())
    assert all(row.release in table.releases for row in table.rows if row.release)


def test_programs_from_packages_run(cache: Path, prometheus: str, promtool: str) -> None:
    assert subprocess.run([promtool, "--version"], check=False).returncode == 0
    assert binaries.version_of(prometheus) == binaries.version_of(promtool) != ""
    found = binaries.available("prometheus", cache)
    assert found is not None
    assert found.path == prometheus


def test_each_program_is_asked_for_its_version_by_its_own_option(cache: Path) -> None:
    found = binaries.find("caddy", cache=cache)
    assert re.match(r"2[.]\d+[.]\d+", found.version)
    assert not binaries.version_of(
        prometheus_web := binaries.find("prometheus-web", cache=cache).path, word="x"
    )
    assert binaries.version_of(prometheus_web)


def test_htpasswd_runs_with_its_libraries(cache: Path) -> None:
    found = binaries.find("htpasswd", cache=cache)
    ended = subprocess.run(
        [found.path, "-niBC", "5", "me"], input=b"secret", capture_output=True, check=True, timeout=20
    )
    assert ended.stdout.startswith(b"me:$2y$05$")


def test_each_debian_suite_has_its_own_folder(cache: Path) -> None:
    found = binaries.find("node_exporter", cache=cache, suite="trixie")
    assert "packages/trixie-" in found.path
    assert tuple(map(int, found.version.split(".")[:2])) >= (1, 9)


def test_an_unreachable_mirror_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    parts = tmp_path / "parts"
    (tmp_path / "lists" / "partial").mkdir(parents=True)
    parts.mkdir()
    (parts / "bad.list").write_text(
        f"deb [signed-by=/none] http://127.0.0.1:{free_port}/debian bookworm main\n"
    )
    config = tmp_path / "apt.conf"
    config.write_text(
        f'Dir::Etc::sourcelist "/dev/null";\nDir::Etc::sourceparts "{parts}";\n'
        f'Dir::State::lists "{tmp_path}/lists";\nDir::Cache "{tmp_path}/apt";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(config))
    with pytest.raises(
        ProgramUnavailableError, match=r"node_exporter cannot be found or fetched.*apt says"
    ) as refused:
        binaries.find("node_exporter", cache=tmp_path / "cache", suite="trixie")
    assert "Install" in refused.value.todo
    assert not (tmp_path / "cache" / "packages" / "trixie-x86_64" / "prometheus-node-exporter").exists()


@pytest.mark.usefixtures("no_apt")
def test_an_error_lists_all_sources_that_were_tried(tmp_path: Path) -> None:
    with pytest.raises(ProgramUnavailableError, match=r"not installed.*nothing was fetched"):
        binaries.find("prometheus", cache=tmp_path, fetch=False)
    with pytest.raises(ProgramUnavailableError, match=r"no apt-get"):
        binaries.find("htpasswd", cache=tmp_path)
    with pytest.raises(ProgramUnavailableError, match=r"not a program that Firescreen knows"):
        binaries.find("bash", cache=tmp_path)


@pytest.mark.usefixtures("no_apt")
def test_all_missing_programs_are_named_with_their_packages(tmp_path: Path) -> None:
    with pytest.raises(ProgramUnavailableError, match=r"needed and not here: htpasswd\.") as refused:
        binaries.find_all(["htpasswd"], cache=tmp_path)
    assert "apt install apache2-utils" in refused.value.todo
    assert f"copy the folder {tmp_path}" in refused.value.todo


def test_processes_share_a_download_and_clean_up_after_a_killed_one(tmp_path: Path) -> None:
    """One process downloads, the others wait for it; files that a killed process left are removed."""
    folder = tmp_path / "programs"
    leftover = tmp_path / ".programs.part-old"
    leftover.mkdir()
    (leftover / "half").touch()
    script = (
        "import os, sys; from pathlib import Path; from wizard.binaries import store\n"
        "def fill(part):\n"
        "    (part / 'whole').write_text(str(os.getpid())); print('filled', flush=True)\n"
        "store.publish(Path(sys.argv[1]), fill)\n"
    )
    argv = [sys.executable, "-c", script, str(folder)]
    root = str(Path(__file__).parents[3])
    children = [
        subprocess.Popen(argv, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": root})
        for _ in range(4)
    ]
    outputs = [child.communicate(timeout=60)[0] for child in children]
    assert [child.returncode for child in children] == [0] * 4
    assert outputs.count(b"filled\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [".programs.lock", "programs"]


def test_a_failed_download_leaves_nothing(tmp_path: Path) -> None:
    def fill(part: Path) -> None:
        (part / "half").touch()
        raise ProgramUnavailableError("no")

    with pytest.raises(ProgramUnavailableError):
        store.publish(tmp_path / "programs", fill)
    assert [path.name for path in tmp_path.iterdir()] == [".programs.lock"]


def test_apt_sources_are_read_in_both_formats() -> None:
    own = sources.Source("http://m.example/debian", "bookworm", ("main",), (("Signed-By", "/k.gpg"),))
    lines = "# deb http://no.example x main\ndeb [arch=amd64,arm64 signed-by=/k.gpg] http://m.example/debian bookworm main # x\ndeb-src http://m.example/debian bookworm main\n"
    (read,) = sources._lines(lines)
    assert (read.uri, read.suite, read.components) == (own.uri, own.suite, own.components)
    assert dict(read.options) == {"Architectures": "amd64 arm64", "Signed-By": "/k.gpg"}
    text = (
        "Types: deb deb-src\n# a comment\nURIs: http://m.example/debian\nSuites: bookworm bookworm-updates\n"
        "Components: main\nSigned-By:\n -----BEGIN\n .\n -----END\n\n"
        "Types: deb\nURIs: http://off.example\nSuites: bookworm\nComponents: main\nEnabled: no\n\n"
        "Types: deb\nURIs: http://extra.example/apt\nSuites: stable\nComponents: contrib\n"
    )
    found = list(sources._stanzas(text))
    assert [(source.uri, source.suite) for source in found] == [
        ("http://m.example/debian", "bookworm"),
        ("http://m.example/debian", "bookworm-updates"),
        ("http://extra.example/apt", "stable"),
    ]
    assert "-----BEGIN\n .\n" in found[0].stanza()
    (other,) = sources.choose(found, own="bookworm", suite="sid")
    assert (other.uri, other.suite) == ("http://m.example/debian", "sid")
    assert len(sources.choose(found, own="bookworm", suite="")) == 2


@pytest.mark.parametrize("name", ["alertmanager", "amtool"])
def test_a_program_that_reads_its_packages_folder_runs_uninstalled(
    name: str, cache: Path, tmp_path: Path
) -> None:
    """Two programs of Debian search their templates in /usr/share, where nothing is installed."""
    found = binaries.find(name, cache=cache, suite="sid")
    assert found.version
    config = tmp_path / "alertmanager.yml"
    config.write_text("route:\n  receiver: nobody\nreceivers:\n  - name: nobody\n")
    if name == "amtool":
        checked = subprocess.run([found.path, "check-config", str(config)], check=False, timeout=30)
        assert checked.returncode == 0
        return
    argv = [
        *(found.path, f"--config.file={config}", f"--storage.path={tmp_path}", "--cluster.listen-address="),
        "--web.listen-address=127.0.0.1:99999",  # so that it ends by itself, after its templates
    ]
    ended = run_program(argv, timeout=30)
    assert "default.tmpl" not in ended.stderr + ended.stdout
    assert "99999" in ended.stderr + ended.stdout
