"""Starts bwrap for root, as somebody else.

Limits on processes do not bind root, and root's bwrap leaves a /proc in which no fresh one may be mounted, so bwrap
must be run by a real, ordinary user. That user cannot reach what lies below a closed folder such as /root, a Python
of pyenv for one. This program puts within reach what the jail is to show and nothing else: in a mount namespace of
its own it covers each closed folder with an empty one and binds there, at its own path, what is to be shown.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from . import linux

_EVERYBODY_MAY_PASS = 0o001


def main(orders: str) -> None:
    """Become the user, with these paths in reach, and run the command: `{"uid", "paths", "command"}` as JSON."""
    said = json.loads(orders)
    paths = [Path(path) for path in said["paths"]]
    for path in paths:
        if not readable_by_all(path):
            sys.exit(
                f"{path} can be read by its owner alone, and so not by a jail that root starts: chmod -R o+rX {path}"
            )
    make_reachable(paths)
    os.chdir("/")
    os.setgroups([])
    os.setresgid(said["uid"], said["uid"], said["uid"])
    os.setresuid(said["uid"], said["uid"], said["uid"])
    os.execve(said["command"][0], said["command"], {})


def readable_by_all(path: Path) -> bool:
    wanted = 0o005 if path.is_dir() else 0o004
    return path.stat().st_mode & wanted == wanted


def closed_folder(path: Path) -> Path | None:
    """The uppermost folder on the way to `path` that an ordinary user cannot pass."""
    for folder in reversed(path.parents):
        if not folder.stat().st_mode & _EVERYBODY_MAY_PASS:
            return folder
    return None


def make_reachable(paths: list[Path]) -> None:
    """Let everybody reach these paths, and what lies below them, in this process and those it starts."""
    hidden = [(path, folder) for path in paths if (folder := closed_folder(path)) is not None]
    if not hidden:
        return
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount(None, "/", None, linux.MS_REC | linux.MS_PRIVATE)
    opened = [(path, os.open(path, os.O_PATH)) for path, _ in hidden]
    for folder in sorted({folder for _, folder in hidden}):
        linux.mount("tmpfs", str(folder), "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=755,size=1m")
    os.umask(0o022)
    for path, descriptor in sorted(opened):
        source = f"/proc/self/fd/{descriptor}"
        if not path.exists():  # below a folder that was bound before, it is there already
            if os.path.isdir(source):
                path.mkdir(parents=True)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
            linux.mount(source, str(path), None, linux.MS_BIND | linux.MS_REC)
        os.close(descriptor)


if __name__ == "__main__":
    main(sys.argv[1])
