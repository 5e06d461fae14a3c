"""What a jail costs: a job's fixed cost, against a cold start of the same imports, and what a thousand jobs leave.

    python benchmarks/jail.py 1000

A job is empty: it says hello and ends. Its cost is the time from asking for it to knowing how it ended. The cold
start is bwrap, the same imports and the same empty job.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from statistics import median, quantiles

sys.path.insert(0, str(Path(__file__).parent.parent))

from deepdive.jail.bounds import DEFAULT, MIB
from deepdive.jail.bwrap import Room
from deepdive.jail.zygote import Cold, Jail, Zygote, choose_tier

IMPORTS = (("numpy",), ("numpy", "torch"), ("numpy", "torch", "transformers", "datasets"))
COLD_STARTS = 3


def main(jobs: int) -> None:
    choice = choose_tier()
    if choice.tier != "zygote":
        sys.exit("\n".join((*choice.reasons, *choice.changes)))
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    print("| imports | warm job: median, 95% of them within | cold job: median | ratio |")
    print("| --- | --- | --- | --- |")
    for imports in IMPORTS:
        room = Room(imports=imports, entry="deepdive.jail.inside:hello")
        with Zygote(room) as jail:
            warm = [seconds_of_a_job(jail) for _ in range(100)]
        cold = [seconds_of_a_job(Cold(room)) for _ in range(COLD_STARTS)]
        ratio = median(cold) / median(warm)
        within = quantiles(warm, n=20)[-1]
        figures = f"{median(warm) * 1e3:.1f} ms, {within * 1e3:.1f} ms | {median(cold):.2f} s | {ratio:.0f}×"
        print(f"| {', '.join(imports)} | {figures} |", flush=True)
    print(f"\n| after | {' | '.join(FOOTPRINT)} |\n| --- {'| --- ' * len(FOOTPRINT)}|")
    with Zygote(Room(imports=IMPORTS[-1], entry="deepdive.jail.inside:hello")) as jail:
        for done in range(jobs + 1):
            if done in (1, jobs // 2, jobs):  # the first job may still bring something of its own
                time.sleep(0.3)
                print(f"| {done} jobs | {' | '.join(map(str, footprint(jail)))} |", flush=True)
            seconds_of_a_job(jail)


def seconds_of_a_job(jail: Jail) -> float:
    began = time.perf_counter()
    job = jail.job(DEFAULT)
    said = job.socket.recv(5)
    ending = job.wait()
    seconds = time.perf_counter() - began
    if said != b"hello" or ending.exit != 0:
        sys.exit(f"a job failed: {ending}")
    return seconds


FOOTPRINT = ("processes", "descriptors here", "descriptors inside", "mounts here", "mounts inside", "memory inside")


def footprint(jail: Zygote) -> tuple[int, int, int | str, int, int | str, str]:
    """What the jail holds, seen from here."""
    assert jail.pid is not None
    family, at = [jail.pid], 0
    while at < len(family):
        for children in Path(f"/proc/{family[at]}/task").glob("*/children"):
            family += map(int, children.read_text().split())
        at += 1
    inside = Path(f"/proc/{family[-1]}")
    resident = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in family)
    try:
        held: int | str = len(os.listdir(inside / "fd"))
        mounts: int | str = len((inside / "mountinfo").read_text().splitlines())
    except PermissionError:  # it lets nobody look but root
        held = mounts = "?"
    here = len(Path("/proc/self/mountinfo").read_text().splitlines())
    memory = f"{resident * os.sysconf('SC_PAGESIZE') / MIB:.1f} MiB"
    return len(family), len(os.listdir("/proc/self/fd")), held, here, mounts, memory


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
