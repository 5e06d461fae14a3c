"""What a jail costs a right submission, hour by hour, and whether speed checks judge the same on both sides of it.

Interleaved in one run: the checks of an hour on its solution in this process, and the same in a jail that is warm.

    python benchmarks/jailed.py hours 1 2 3 4        # ratios of times
    python benchmarks/jailed.py long 2 5             # two pairs of hour 5's check that trains for minutes
    python benchmarks/jailed.py speed 100 1          # the speed checks so often, both ways, idle and busy
    python benchmarks/jailed.py speed 100 1 --only busy
"""

from __future__ import annotations

import argparse
import inspect
import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.speed_checks import busy_cores, idle, watched
from deepdive.answers import Answer
from deepdive.assets import use_offline
from deepdive.course import Course, Exercise, Hour, load_course
from deepdive.diagnose import right_answer, unheard
from deepdive.grading.intake import Submission
from deepdive.grading.jailed import JailedFile
from deepdive.grading.run import grade
from deepdive.grading.session import open_jail
from deepdive.jail.zygote import Jail
from deepdive.judge import judge
from deepdive.measure import Speedup
from deepdive.proof import CheckFunction, Kind, Known, checks_of, try_answer
from deepdive.scratch import scratch
from deepdive.threads import use_one_thread
from deepdive.verdict import State, Verdict

ROOT = Path(__file__).parent.parent
ROUNDS = 5


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["hours", "long", "speed"])
    parser.add_argument("numbers", type=int, nargs="+", help="hours; for long and speed, first how often")
    parser.add_argument("--only", choices=["idle", "busy"], help="on the machine as it is, or with every core busy")
    asked = parser.parse_args()
    use_one_thread()
    use_offline()
    course = load_course(ROOT)
    runs, numbers = (0, asked.numbers) if asked.what == "hours" else (asked.numbers[0], asked.numbers[1:])
    hours = [hour for hour in course.hours if hour.number in numbers]
    with scratch(), unheard():
        if asked.what == "hours":
            compare_hours(hours, course)
        elif asked.what == "long":
            compare_long_checks(hours, course, runs)
        else:
            compare_speed_checks(hours, course, runs, [asked.only] if asked.only else ["idle", "busy"])


def compare_hours(hours: list[Hour], course: Course) -> None:
    say("| hour | load | in process | jailed | ratio: lowest, median, highest |")
    say("| --- | --- | --- | --- | --- |")
    for hour in hours:
        with open_jail({hour.number}, unsafe=False) as jail:
            pairs = []
            for count in range(ROUNDS + 1):
                here = timed(lambda hour=hour: in_process(course, hour))
                there = timed(lambda hour=hour, jail=jail: in_jail(course, hour, jail))
                pairs += [(here, there)] if count else []  # the first imports and loads
        ratios = [there / here for here, there in pairs]
        seconds = f"{median(h for h, _ in pairs):.2f} s | {median(t for _, t in pairs):.2f} s"
        span = f"{min(ratios):.2f}, {median(ratios):.2f}, {max(ratios):.2f}"
        say(f"| {hour.number} | {os.getloadavg()[0]:.1f} | {seconds} | {span} |")


def timed(job: Callable[[], list[Verdict]]) -> float:
    began = perf_counter()
    verdicts = job()
    seconds = perf_counter() - began
    wrong = [v for v in verdicts if v.state not in (State.PASSED, State.NOT_APPLICABLE)]
    if wrong:
        say(f"not right: {wrong}")
    return seconds


def in_process(course: Course, hour: Hour) -> list[Verdict]:
    return [v for exercise in hour.exercises for v in try_answer(course, solution(course, exercise)).verdicts]


def in_jail(course: Course, hour: Hour, jail: Jail) -> list[Verdict]:
    return grade(course, submission(hour), jail, seed=0, hours={hour.number}, long=False)


def solution(course: Course, exercise: Exercise) -> Known:
    return Known(exercise, Kind.SOLUTION, exercise.name, right_answer(course, exercise))


def submission(hour: Hour) -> Submission:
    return Submission("solution", {hour.file_name: (ROOT / "solutions" / hour.file_name).read_bytes()})


def compare_long_checks(hours: list[Hour], course: Course, pairs: int) -> None:
    """Each check that takes minutes, on the solution: so many pairs, in process and jailed by turns."""
    for hour in hours:
        for exercise in hour.exercises:
            for check, seconds in checks_of(course, exercise, long=True):
                if check in [quick for quick, _ in checks_of(course, exercise)]:
                    continue
                for _ in range(pairs):
                    with open_jail({hour.number}, unsafe=False) as jail:  # before the clock starts
                        here = timed(lambda e=exercise, c=check, s=seconds: [judged(course, e, c, s)])
                        file = JailedFile(jail, hour.number, submission(hour).files[hour.file_name], "solution")
                        there = timed(lambda e=exercise, c=check, s=seconds, f=file: [judged(course, e, c, s, f)])
                        file.close()
                    words = f"{here:.1f} s in process, {there:.1f} s jailed, ratio {there / here:.3f}"
                    say(f"{exercise.name}, {check.__name__}: {words}")


def judged(
    course: Course, exercise: Exercise, check: CheckFunction, seconds: float, file: JailedFile | None = None
) -> Verdict:
    """The verdict of one check on the solution, in this process or on a file in a jail."""
    answer = file.answer(exercise, seconds) if file else Answer(exercise, right_answer(course, exercise), seconds)
    return judge(course, exercise, check, answer)


def compare_speed_checks(hours: list[Hour], course: Course, runs: int, machines: list[str]) -> None:
    say("| check | machine | load | in process | ratio: lowest, median, highest | jailed | ratio |")
    say("| --- | --- | --- | --- | --- | --- | --- |")
    for hour in hours:
        found = [
            (exercise, check, seconds)
            for exercise in hour.exercises
            for check, seconds in checks_of(course, exercise)
            if any(word in inspect.getsource(check) for word in ("faster_than(", "is_faster("))
        ]
        if not found:
            continue
        with open_jail({hour.number}, unsafe=False) as jail:
            for exercise, check, seconds in found:
                for machine in machines:
                    with busy_cores() if machine == "busy" else idle():
                        here, there = Tried(), Tried()
                        for seed in range(runs):
                            here.judge(course, check, Answer(exercise, right_answer(course, exercise), seconds), seed)
                            file = JailedFile(jail, hour.number, submission(hour).files[hour.file_name], "solution")
                            there.judge(course, check, file.answer(exercise, seconds), seed)
                            file.close()
                    say(f"| {exercise.name} | {machine} | {os.getloadavg()[0]:.1f} | {here} | {there} |")


class Tried:
    """One speed check, tried again and again: the verdicts, and the ratios that were measured."""

    def __init__(self) -> None:
        self.verdicts = Counter[str]()
        self.speedups: list[Speedup] = []

    def judge(self, course: Course, check: CheckFunction, answer: Answer, seed: int) -> None:
        with watched(self.speedups, slow=False):
            self.verdicts[str(judge(course, answer.exercise, check, answer, seed=seed).state)] += 1

    def __str__(self) -> str:
        words = ", ".join(f"{count} {state}" for state, count in self.verdicts.items())
        ratios = [speedup.ratio for speedup in self.speedups]
        return f"{words} | {min(ratios):.1f}, {median(ratios):.1f}, {max(ratios):.1f}"


def say(line: str) -> None:
    print(line, file=sys.__stdout__, flush=True)  # what the answers print is not heard


if __name__ == "__main__":
    main()
