"""What share of a graded job's time is the checks' own work, hour by hour, and what the rest of it goes to.

Right submissions, each unlike any other by a comment, are judged one after the other by one working process, as
`deepdive grade --gradebook --workers 1` does. The same checks run on the solution in this process, where there is no
jail, no copying and no gradebook; that is their own work. Both are warm: the first of each hour is not counted.

    python benchmarks/own_work.py 5 1 2 3 4      # so many submissions, of these hours
"""

from __future__ import annotations

import os
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.jailed import in_process, timed
from deepdive.assets import use_offline
from deepdive.course import Course, Hour, load_course
from deepdive.grading.classlist import HandedIn
from deepdive.grading.classrun import Progress, judge_all, marks, to_do
from deepdive.grading.executors import Local
from deepdive.grading.gradebook import Gradebook, open_gradebook
from deepdive.grading.intake import Submission
from deepdive.grading.jobs import Keys
from deepdive.grading.marks import Student
from deepdive.grading.policy import Policy
from deepdive.grading.work import Setup
from deepdive.scratch import scratch
from deepdive.verdict import State

ROOT = Path(__file__).parent.parent


def main(count: int, numbers: list[int]) -> None:
    use_offline()
    course = load_course(ROOT)
    print(f"load {os.getloadavg()[0]:.1f} at the start; medians of {count} submissions")
    print(
        "| hour | a job | of it, in checks | the same checks in process | own work | to be ready, and the first job |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    jobs, own = 0.0, 0.0
    with scratch():
        for hour in course.hours:
            if hour.number in numbers:
                job, here = row(course, hour, count)
                jobs, own = jobs + job, own + here
    print(f"| all | {jobs:.2f} s | | {own:.2f} s | {own / jobs:.0%} | |")


def row(course: Course, hour: Hour, count: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder, open_gradebook(Path(folder) / "class.db") as book:
        began = perf_counter()
        local = Local(Setup(str(ROOT), (hour.number,)), 1)
        try:
            _, *rest = judged(book, course, hour, local, count + 1)
        finally:
            local.close()
        whole = perf_counter() - began
        seconds = in_checks(book, course)
    here = [timed(lambda: in_process(course, hour)) for _ in range(count + 1)][1:]
    job, own = median(rest), median(here)
    start = whole - sum(rest)
    told = f"{job:.2f} s | {median(seconds) / job:.0%} | {own:.2f} s | {own / job:.0%} | {start:.1f} s"
    print(f"| {hour.number} | {told} |", flush=True)
    return job, own


def judged(book: Gradebook, course: Course, hour: Hour, local: Local, count: int) -> list[float]:
    """Seconds from one job's verdicts in the gradebook to the next one's."""
    right = (ROOT / "solutions" / hour.file_name).read_bytes()
    students = [f"s{number:02}" for number in range(count)]
    files = {student: {hour.file_name: right + f"\n# {student}\n".encode()} for student in students}
    book.add_submissions(HandedIn(Student(student), Submission(student, file)) for student, file in files.items())
    keys, ends = Keys(course, 0), [perf_counter()]

    def note(progress: Progress) -> None:
        ends.append(perf_counter())

    judge_all(book, local, keys, to_do(book, course, keys, {hour.number}), tell=note)
    return [end - begin for begin, end in pairwise(ends)]


def in_checks(book: Gradebook, course: Course) -> list[float]:
    """Of every submission but the first, the seconds within checks; all of them have to be right."""
    found = marks(book, course, Keys(course, 0), Policy())
    tried = [[v for v in mark.record.verdicts if not v.file] for mark in found]
    wrong = [v for verdicts in tried for v in verdicts if v.state not in (State.PASSED, State.NOT_APPLICABLE)]
    if wrong:
        print(f"not right: {wrong}", file=sys.stderr)
    return [sum(verdict.seconds for verdict in verdicts) for verdicts in tried[1:]]


if __name__ == "__main__":
    main(int(sys.argv[1]), [int(number) for number in sys.argv[2:]])
