"""Which processes are below which, as /proc tells."""

from __future__ import annotations

import os
from contextlib import suppress


def descendants(ancestor: int) -> list[int]:
    """The processes below one; what has detached itself by a double fork is found only inside a pid namespace."""
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdecimal():
            with suppress(OSError), open(f"/proc/{name}/stat", "rb", buffering=0) as stat:
                # pid (name of the program, which may hold anything) state parent …
                parents[int(name)] = int(stat.read(4096).rpartition(b") ")[2].split(maxsplit=2)[1])
    found = {ancestor}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found - {ancestor})
