"""What share of a graded job's time is the checks' own work, hour by hour.

A job is all that `deepdive grade --gradebook` does for one file once it is under way: reading it from the gradebook,
its jail, its checks, the messages between two processes, and its verdicts on disk. The checks' own work is what they
take on the same answers in this process, where nothing of that stands between. Interleaved in one run, on right
submissions that are each unlike any other by a comment; the first pair only imports and loads.

    python benchmarks/own_work.py 5 1 2 3 4      # so many submissions, of these hours
"""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from time import perf_counter

import msgspec

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.jailed import in_process, timed
from deepdive.assets import use_offline
from deepdive.course import Course, Hour, load_course
from deepdive.grading.classlist import HandedIn
from deepdive.grading.classrun import jobs_of, to_do
from deepdive.grading.gradebook import Gradebook, open_gradebook
from deepdive.grading.intake import Submission
from deepdive.grading.jobs import Job, Keys
from deepdive.grading.marks import Student
from deepdive.grading.work import Done, Jails, judged
from deepdive.scratch import scratch
from deepdive.threads import use_one_thread
from deepdive.verdict import State, Verdict

ROOT = Path(__file__).parent.parent


def main(count: int, numbers: list[int]) -> None:
    use_one_thread()
    use_offline()
    course = load_course(ROOT)
    print(f"load {os.getloadavg()[0]:.1f} at the start; medians of {count} submissions")
    print("| hour | a job | of it, within checks | the checks in process | own work: lowest, median, highest |")
    print("| --- | --- | --- | --- | --- |")
    with scratch():
        totals = [row(course, hour, count) for hour in course.hours if hour.number in numbers]
    job, own = (sum(column) for column in zip(*totals, strict=True))
    print(f"| all | {job:.2f} s | | {own:.2f} s | {own / job:.0%} |")


def row(course: Course, hour: Hour, count: int) -> tuple[float, float]:
    """Seconds of a job, and of its checks in this process."""
    with (
        tempfile.TemporaryDirectory() as folder,
        open_gradebook(Path(folder) / "class.db") as book,
        ExitStack() as end,
    ):
        keys, pairs = handed_in(book, course, hour, count + 1), []
        jails = Jails(end, unsafe=False)
        for job in jobs_of(book, keys, to_do(book, course, keys, {hour.number})):
            own = timed(lambda: in_process(course, hour))
            began = perf_counter()
            verdicts = graded(book, keys, course, job, jails)
            pairs.append((perf_counter() - began, own, sum(verdict.seconds for verdict in verdicts)))
    warm = pairs[1:]
    job_seconds, own_seconds, within = (median(column) for column in zip(*warm, strict=True))
    shares = sorted(own / job for job, own, _ in warm)
    told = f"{shares[0]:.0%}, {median(shares):.0%}, {shares[-1]:.0%}"
    print(
        f"| {hour.number} | {job_seconds:.2f} s | {within / job_seconds:.0%} | {own_seconds:.2f} s | {told} |",
        flush=True,
    )
    return job_seconds, own_seconds


def handed_in(book: Gradebook, course: Course, hour: Hour, count: int) -> Keys:
    right = (ROOT / "solutions" / hour.file_name).read_bytes()
    students = [f"s{number:02}" for number in range(count)]
    files = {student: {hour.file_name: right + f"\n# {student}\n".encode()} for student in students}
    book.add_submissions(HandedIn(Student(student), Submission(student, file)) for student, file in files.items())
    return Keys(course, 0)


def graded(book: Gradebook, keys: Keys, course: Course, job: Job, jails: Jails) -> list[Verdict]:
    """What becomes of a job between the gradebook and the gradebook, in one process instead of two."""
    (again,) = jobs_of(book, keys, [(job.hour, job.source)])
    asked = msgspec.json.decode(msgspec.json.encode(again), type=Job)
    done = judged(course, asked, jails.of(asked.hour, asked.content))
    told = msgspec.json.decode(msgspec.json.encode(done), type=Done)
    checks = {check.key: check for check in job.checks}
    book.add_verdicts(1, job.source, [(checks[key], verdict) for key, verdict in told.verdicts])
    wrong = [v for _, v in told.verdicts if v.state not in (State.PASSED, State.NOT_APPLICABLE)]
    if wrong or told.problem:
        print(f"not right: {told.problem} {wrong}", file=sys.stderr)
    return [verdict for _, verdict in told.verdicts]


if __name__ == "__main__":
    main(int(sys.argv[1]), [int(number) for number in sys.argv[2:]])
