"""Commands for the kit itself: its stubs, its assets, the proof of its checks, and what this machine lacks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from deepdive.cli.common import (
    AsJson,
    app,
    course_here,
    exercise_called,
    hours_wanted,
    print_json,
    print_text,
    stop,
)
from deepdive.course import CourseError, find_root


@app.command()
def build(
    into: Annotated[Path | None, typer.Argument(help="The folder to write to; exercises/ when left out.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace files you have worked on; copies are kept.")
    ] = False,
) -> None:
    """Write the stubs of all hours. What you have written is never replaced unless you say --force."""
    from deepdive.build import Written
    from deepdive.build import build as write_stubs

    course = course_here()
    try:
        results = write_stubs(course, into or course.root / "exercises", force=force)
    except (CourseError, OSError) as error:
        stop(str(error))
    for built in results:
        kept = f" (your file is kept as {built.backup.name})" if built.backup else ""
        typer.echo(f"{built.path.name}: {built.written}{kept}")
    if any(built.written is Written.KEPT for built in results):
        typer.echo("To start over with fresh stubs: deepdive build --force")


@app.command()
def assets(
    verify: Annotated[
        bool, typer.Option("--verify", help="Read every prepared file again; mend what is damaged.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but what goes wrong.")] = False,
) -> None:
    """Prepare the weights, vocabularies and reviews that the exercises use, once, and say what they are."""
    from deepdive import assets as store

    try:
        store.prepare_with_progress()
        mended = {name: problem for name, problem in store.verify().items() if problem} if verify else {}
        described = store.describe()
    except store.AssetError as error:
        stop(str(error))
    for name, problem in mended.items():
        typer.echo(f"{name} was damaged and has been built anew: {problem}")
    if not quiet:
        place = f", in {store.cache_directory()}" if described["source"] == "embedded" else ""
        typer.echo(f"{described['source']} assets{place}")
        for name, asset in described["assets"].items():
            typer.echo(f"  {name}: {' '.join(filter(None, (asset['what'], asset['stand_in'])))}")


@app.command()
def proof(
    hour: Annotated[list[int] | None, typer.Option(help="Only this hour (repeatable).")] = None,
    exercise: Annotated[list[str] | None, typer.Option(help="Only this exercise (repeatable).")] = None,
    seed: Annotated[int, typer.Option(help="The seed of the checks' random inputs.")] = 0,
    mutants: Annotated[
        bool,
        typer.Option(
            "--mutants",
            help="Also mutate the solutions and see that the checks notice; takes about a minute an hour.",
        ),
    ] = False,
    jailed: Annotated[
        bool,
        typer.Option("--jailed", help="Also hand every answer in, and see that it is judged the same in a jail."),
    ] = False,
) -> None:
    """Prove the checks: try every right and every wrong answer that is known, and say what became of each."""
    from contextlib import ExitStack

    from deepdive.assets import AssetError, use_offline
    from deepdive.grading.proof import prove_all
    from deepdive.grading.session import open_jail
    from deepdive.scratch import scratch
    from deepdive.threads import use_one_thread

    course = course_here()
    hours, names = hours_wanted(course, hour), {exercise_called(course, name).name for name in exercise or ()}
    exercises = [each for each in course.exercises if each.hour in hours and (not names or each.name in names)]
    use_one_thread()
    problems: list[str] = []
    with ExitStack() as stack:
        stack.enter_context(scratch())
        try:
            use_offline()
            jail = stack.enter_context(open_jail(hours, unsafe=False)) if jailed else None
        except (AssetError, RuntimeError) as error:
            stop(str(error))
        for figures, found in prove_all(course, exercises, jail, seed=seed, mutants=mutants):
            typer.echo(figures)
            problems += found
    for problem in problems:
        typer.echo(problem, err=True)
    if problems:
        sys.exit(1)


@app.command()
def doctor(json: AsJson = False) -> None:
    """Say what may keep the kit from working here, and what to change. Fails where others' code cannot be graded."""
    from deepdive.bench.doctor import findings

    root = find_root(Path.cwd())
    found = findings(course_here() if root else None)
    if json:
        print_json(found)
    for each in [] if json else found:
        print_text(f"{each.about}: {each.found}")
        for line in (*each.reasons, *(f"to do: {change}" for change in each.to_do)):
            print_text(f"  {line}")
    if any(each.about == "jail" and each.found == "none" for each in found):
        sys.exit(1)
