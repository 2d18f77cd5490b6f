"""The newest Blender with a window: Debian's own package, in a folder that holds a small Debian system.

Only root on Linux can enter such a folder. Nothing outside the cache folder changes: debootstrap and Debian's keys
are fetched into it, and every mount lives in a namespace that ends with its process.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.blender.rigs.cache import RigUnavailable, cache_folder, ensure

SUITE = "sid"
PACKAGES = (
    "blender",
    "imagemagick",
    "libegl1",
    "libgl1-mesa-dri",
    "python3-cattr",  # Blender's own extension code imports it
    "python3-numpy",
    "python3-requests",
    "xdotool",
    "xvfb",
)
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SETUP_SECONDS = 1100


def ensure_debian() -> Path:
    """The folder with Debian and Blender in it, set up at the first call (about a minute, 1.7 GB).

    Raises :class:`RigUnavailable` with the reason.
    """
    _require_a_fitting_machine()
    return ensure(cache_folder() / f"debian-{SUITE}", f"{SUITE}: {' '.join(PACKAGES)}", _build)


def enter(folder: Path, command: Sequence[str], mounts: Mapping[Path, str] | None = None) -> list[str]:
    """The command line that runs ``command`` inside ``folder``, as process 1 of namespaces of its own.

    When the outer process is killed, everything inside ends, and the mounts with it. ``mounts``: folders of this
    machine and where they appear inside.
    """
    lines = [
        'mount -t proc proc "$0/proc"',
        'mount --rbind /dev "$0/dev"',
        'mount -t tmpfs tmpfs "$0/tmp"',
    ]
    arguments: list[str] = []
    for outside, inside in (mounts or {}).items():
        (folder / inside.lstrip("/")).mkdir(parents=True, exist_ok=True)
        lines.append(f'mount --bind "$1" "$0{inside}"; shift')
        arguments.append(str(outside))
    lines.append('exec chroot "$0" "$@"')
    unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child=KILL"]
    return [*unshare, "bash", "-e", "-c", "; ".join(lines), str(folder), *arguments, *command]


def _require_a_fitting_machine() -> None:
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise RigUnavailable("the window needs Linux on x86_64")
    if os.geteuid() != 0:
        raise RigUnavailable("the window needs root, to set up and enter a Debian system in a folder")
    missing = [tool for tool in ("unshare", "nsenter", "chroot", "mount", "bash") if not shutil.which(tool)]
    if missing:
        raise RigUnavailable(f"the window needs {', '.join(missing)}")
    probe = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True, text=True, timeout=60
    )
    if probe.returncode:
        raise RigUnavailable(f"this machine does not let root make namespaces: {probe.stderr.strip()}")


def _build(folder: Path) -> None:
    debootstrap, options, env = _debootstrap()
    _must(
        ["unshare", "--mount", str(debootstrap), "--variant=minbase", *options, SUITE, str(folder)],
        env=_setup_environment() | env,
    )
    install = ["apt-get", "install", "--yes", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0"]
    install += ["-o", "Dpkg::Options::=--force-unsafe-io", *PACKAGES]
    _must(enter(folder, install), env=_setup_environment())
    _must(enter(folder, ["apt-get", "clean"]), env=_setup_environment())


def _debootstrap() -> tuple[Path, list[str], dict[str, str]]:
    """The program, its options and its variables: from this machine, or fetched into the cache."""
    present = shutil.which("debootstrap")
    keyrings = list(Path("/usr/share/keyrings").glob("debian-archive-keyring.*"))
    if present and keyrings:
        return Path(present), [f"--keyring={keyrings[0]}"], {}
    packages = ("debootstrap", "debian-archive-keyring")
    folder = ensure(cache_folder() / "debootstrap", " ".join(packages), lambda into: _fetch_packages(packages, into))
    keyring = min((folder / "usr/share/keyrings").glob("debian-archive-keyring.*"))
    variables = {"DEBOOTSTRAP_DIR": str(folder / "usr/share/debootstrap")}
    return folder / "usr/sbin/debootstrap", [f"--keyring={keyring}"], variables


def _fetch_packages(packages: Sequence[str], into: Path) -> None:
    """Unpack Debian packages into a folder, without installing them."""
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise RigUnavailable("the window needs debootstrap, which is not here and cannot be fetched without apt-get")
    env = _setup_environment()
    state = into / "apt"
    own_state = ["-o", f"Dir::State::lists={state / 'lists'}", "-o", f"Dir::Cache={state / 'cache'}"]
    own_state += ["-o", "APT::Sandbox::User=root"]
    try:
        _must(["apt-get", "download", *packages], cwd=into, env=env)
    except RigUnavailable:
        # The machine's own package lists are missing or old; they are not ours to renew, so here is a second set.
        (state / "lists/partial").mkdir(parents=True)
        (state / "cache/archives/partial").mkdir(parents=True)
        # A failing third-party source does not matter: the download says whether the lists were enough.
        subprocess.run(["apt-get", *own_state, "update"], env=env, capture_output=True, timeout=SETUP_SECONDS)
        _must(["apt-get", *own_state, "download", *packages], cwd=into, env=env)
    for package in into.glob("*.deb"):
        _must(["dpkg", "-x", str(package), str(into)], env=env)
        package.unlink()
    shutil.rmtree(state, ignore_errors=True)


def _setup_environment() -> dict[str, str]:
    proxies = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    return proxies | {"PATH": SYSTEM_PATH, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8", "HOME": "/root"}


def _must(command: list[str], *, env: dict[str, str], cwd: Path | None = None) -> None:
    try:
        subprocess.run(
            command,
            check=True,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SETUP_SECONDS,
            stdin=subprocess.DEVNULL,
            env=env,
            cwd=cwd,
        )
    except subprocess.TimeoutExpired as slow:
        raise RigUnavailable(f"'{' '.join(command)}' did not end within {SETUP_SECONDS} s") from slow
    except subprocess.CalledProcessError as failed:
        lines = f"{failed.stdout}\n{failed.stderr}".strip().splitlines()[-3:]
        raise RigUnavailable(f"{' / '.join(lines)} (from {' '.join(command)})") from failed
