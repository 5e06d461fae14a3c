"""Which processes are below which, as /proc tells."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def descendants(ancestor: int) -> list[int]:
    """The processes below one; what has detached itself by a double fork is found only inside a pid namespace."""
    parents: dict[int, int] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            pid, _, rest = status.read_text(errors="replace").partition(" (")
            parents[int(pid)] = int(rest.rpartition(") ")[2].split()[1])
    found = {ancestor}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found - {ancestor})
