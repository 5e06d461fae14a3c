"""The `deepdive` command: one thin layer over the modules that do the work."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from deepdive.course import Course, CourseError, find_root, load_course

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Learn NLP with the Hugging Face libraries in six hours. To check your answers, run `pytest`.",
)


@app.command()
def hint(
    exercise: Annotated[str, typer.Argument(help="The exercise's name, `softmax` for example.")],
    number: Annotated[int, typer.Argument(min=1, help="Which of its hints: each gives away more.")] = 1,
) -> None:
    """Show a hint for an exercise: first a question, then a pointer, then nearly the code."""
    from rich.console import Console
    from rich.markdown import Markdown

    course = _course()
    try:
        found = course.exercise(exercise)
    except KeyError as error:
        _stop(error.args[0])
    if not found.hints:
        _stop(f"{exercise} has no hints")
    if number > len(found.hints):
        _stop(f"{exercise} has {len(found.hints)} hints, no number {number}")
    console = Console(width=min(Console().width, 100))
    console.print(f"{exercise} · hint {number} of {len(found.hints)}\n", style="bold", highlight=False)
    console.print(Markdown(found.hints[number - 1]))
    if number < len(found.hints):
        console.print(f"\nStill stuck?  deepdive hint {exercise} {number + 1}", style="dim", highlight=False)


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

    course = _course()
    try:
        results = write_stubs(course, into or course.root / "exercises", force=force)
    except (CourseError, OSError) as error:
        _stop(str(error))
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
        _stop(str(error))
    for name, problem in mended.items():
        typer.echo(f"{name} was damaged and has been built anew: {problem}")
    if not quiet:
        place = f", in {store.cache_directory()}" if described["source"] == "embedded" else ""
        typer.echo(f"{described['source']} assets{place}")
        for name, asset in described["assets"].items():
            typer.echo(f"  {name}: {' '.join(filter(None, (asset['what'], asset['stand_in'])))}")


@app.command()
def proof(
    hour: Annotated[int | None, typer.Option(help="Only this hour.")] = None,
    seed: Annotated[int, typer.Option(help="The seed of the checks' random inputs.")] = 0,
    mutants: Annotated[
        bool,
        typer.Option(
            "--mutants",
            help="Also mutate the solutions and see that the checks notice; takes about a minute an hour.",
        ),
    ] = False,
) -> None:
    """Prove the checks: try every right and every wrong answer that is known, and say what became of each."""
    import warnings

    from deepdive.assets import use_offline
    from deepdive.mutants import ControlError, survey_of
    from deepdive.proof import prove, table
    from deepdive.scratch import scratch

    use_offline()
    course = _course()
    exercises = [e for e in course.exercises if hour in (None, e.hour)]
    if not exercises:
        _stop(f"there is no hour {hour}")
    warnings.simplefilter("ignore")  # wrong answers divide by zero
    with scratch():
        trials = [trial for exercise in exercises for trial in prove(course, exercise, seed=seed)]
    typer.echo(table(trials))
    problems = [f"{t.known.exercise.name}, {t.known.kind} {t.known.name}: {t.problem}" for t in trials if t.problem]
    if mutants:
        try:
            survey = survey_of(course, exercises, seed=seed)
        except ControlError as error:
            problems.append(str(error))
        else:
            typer.echo(survey.summary)
            problems += survey.problems
    for problem in problems:
        typer.echo(problem, err=True)
    if problems:
        sys.exit(1)


@app.command()
def grade(
    submissions: Annotated[
        list[Path] | None, typer.Argument(help="Folders, zips, notebooks or files; with a gradebook, whole classes.")
    ] = None,
    hour: Annotated[list[int] | None, typer.Option(help="Only this hour (repeatable).")] = None,
    seed: Annotated[int | None, typer.Option(help="The seed of the random inputs; fresh when left out.")] = None,
    json: Annotated[Path | None, typer.Option(help="A folder for the verdicts, one file a submission.")] = None,
    gradebook: Annotated[
        str | None, typer.Option(help="Keep everything in this file, or database URL, and judge only what is new.")
    ] = None,
    roster: Annotated[Path | None, typer.Option(help="CSV with id, and any of name, email, login, section.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; as many as fit when left out.")] = None,
    cluster: Annotated[str, typer.Option(help="A Dask scheduler, tcp://host:8786, to use its workers.")] = "",
    replay: Annotated[str, typer.Option(help="Judge this student's submissions again, as they were judged.")] = "",
    unsafe_no_jail: Annotated[
        bool, typer.Option("--unsafe-no-jail", help="Run the submissions without a jail, with all your rights.")
    ] = False,
) -> None:
    """Grade submissions: the same checks as pytest's, with the submitted code in a jail.

    deepdive grade jane/                                    one board

    deepdive grade submissions/ --gradebook class.db        a class; run it again to go on
    """
    import secrets

    from deepdive.grading import console
    from deepdive.grading.session import grade_all

    course = _course()
    known = {each.number for each in course.hours}
    if strange := sorted(set(hour or ()) - known):
        _stop(f"there is no hour {strange[0]}; there are {', '.join(map(str, sorted(known)))}")
    places = submissions or []
    if missing := [place for place in places if not place.exists()]:
        _stop(f"{missing[0]}: there is no such folder or file")
    if gradebook is None and (roster or cluster or replay or workers):
        _stop("--roster, --workers, --cluster and --replay need --gradebook")
    if not places and gradebook is None:
        _stop("say what to grade: a folder, a zip, a notebook or a file")
    hours = set(hour or known)
    options = console.Options(hours, seed, workers, cluster, unsafe_no_jail)
    try:
        if gradebook is None:
            grade_all(
                course, places, hours, secrets.randbits(32) if seed is None else seed, json, unsafe=unsafe_no_jail
            )
        elif replay:
            sys.exit(0 if console.replay(course, gradebook, replay, options) else 1)
        else:
            summary = console.grade_class(course, places, gradebook, roster, options)
            sys.exit(1 if summary.problems else 0)
    except RuntimeError as error:
        _stop(str(error))


@app.command()
def export(
    form: Annotated[str, typer.Argument(metavar="FORMAT", help="Which one; a wrong name lists them.")],
    gradebook: Annotated[str, typer.Option(help="The gradebook's file, or database URL.")],
    out: Annotated[Path, typer.Option(help="The folder to write to.")],
    policy: Annotated[Path | None, typer.Option(help="TOML: which attempt counts, what lateness costs.")] = None,
) -> None:
    """Write the marks of a gradebook as other systems read them, or as pages to read."""
    from deepdive.grading import console
    from deepdive.grading.export import FORMATS

    if form not in FORMATS:
        _stop(f"there is no format {form}; there are {', '.join(sorted(FORMATS))}")
    try:
        for path in console.export(_course(), gradebook, form, out, policy):
            typer.echo(path)
    except RuntimeError as error:
        _stop(str(error))


@app.command()
def doctor() -> None:
    """Say whether this machine can grade in a jail and, when it cannot, what to change."""
    from deepdive.jail.zygote import choose_tier

    choice = choose_tier()
    typer.echo(f"jail: {choice.tier or 'none'}")
    for reason in choice.reasons:
        typer.echo(f"  {reason}")
    for change in choice.changes:
        typer.echo(f"  to do: {change}")
    if choice.tier is None:
        sys.exit(1)


def main() -> None:
    """Run the command; what a person did wrong ends in a sentence, not in a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a sign shows a question mark
    app()


def _course() -> Course:
    root = find_root(Path.cwd())
    if root is None:
        _stop(f"there is no course here: {Path.cwd()} is not inside a folder with solutions/ and checks/")
    try:
        return load_course(root)
    except (CourseError, SyntaxError) as error:
        _stop(f"the course cannot be read: {error}")


def _stop(message: str) -> NoReturn:
    typer.echo(f"deepdive: {message}", err=True)
    sys.exit(2)


if __name__ == "__main__":
    main()
