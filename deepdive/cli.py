"""The `deepdive` command: one thin layer over the modules that do the work."""

from __future__ import annotations

import io
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from deepdive.course import Course, CourseError, Exercise, find_root, load_course

app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode="markdown")
autograders = typer.Typer(help="Let Gradescope or GitHub Classroom grade what is handed in there.")
app.add_typer(autograders, name="autograder")


def _known_exercises(incomplete: str) -> list[tuple[str, str]]:
    """The exercises whose name a shell may complete, each with what it is about."""
    root = find_root(Path.cwd())
    try:
        exercises = list(load_course(root).exercises) if root else []
    except (CourseError, SyntaxError, OSError):
        return []
    return [(each.name, each.summary) for each in exercises if each.name.startswith(incomplete)]


ExerciseName = Annotated[
    str, typer.Argument(help="The exercise's name, `softmax` for example.", autocompletion=_known_exercises)
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for other programs.")]
GradedHours = Annotated[list[int] | None, typer.Option("--hour", help="Grade only this hour (repeatable).")]
GradedSeed = Annotated[
    int | None, typer.Option(min=0, max=2**63 - 1, help="The seed of the random inputs; fresh when left out.")
]
TorchIndex = Annotated[
    str, typer.Option(metavar="ADDRESS", help="Where pip finds torch for CPUs: pytorch.org's page says so.")
]


@app.callback(invoke_without_command=True)
def start(context: typer.Context, json: AsJson = False) -> None:
    """Learn NLP with the Hugging Face libraries in six hours.

    Without a command: where you stand, and the next step. `pytest` checks everything; `deepdive watch` checks what
    you save, as you save it.
    """
    if context.invoked_subcommand is None:
        from deepdive.bench.standing import record, standing

        course = _course()
        if json:
            _print_json(record(course))
        else:
            _print(standing(course).text(_width()))


@app.command()
def check(
    what: Annotated[
        str,
        typer.Argument(
            help="An exercise, or an hour's number; everything when left out.", autocompletion=_known_exercises
        ),
    ] = "",
    fresh: Annotated[bool, typer.Option("--fresh", help="Try unchanged answers again, too.")] = False,
    json: Annotated[Path | None, typer.Option(help="Write the verdicts to this file.")] = None,
    against: Annotated[
        str, typer.Option(metavar="WHERE", help="Whose answers: solutions, or a folder or file; yours when left out.")
    ] = "",
) -> None:
    """Check your answers, as pytest does.

    deepdive check softmax · deepdive check 2 · deepdive check 1 --against solutions
    """
    import pytest

    course = _course()
    arguments = ["--no-header", "-q"] + (["--fresh"] if fresh else [])
    arguments += ["--deepdive-json", str(json.absolute())] if json else []
    if against:
        named = against in ("exercises", "solutions")
        arguments.append(f"--against={against if named else Path(against).absolute()}")
    if what.isdigit():
        arguments += ["--hour", what]
    elif what:
        arguments += ["--exercise", _exercise(course, what).name]
    os.chdir(course.root)
    sys.exit(pytest.main(arguments))


@app.command()
def watch(
    what: Annotated[
        str,
        typer.Argument(
            help="The exercise at hand: tried at once, and its hints are shown.", autocompletion=_known_exercises
        ),
    ] = "",
    fork: Annotated[
        bool | None,
        typer.Option("--fork/--no-fork", help="How runs begin: what is safe on this machine when left out."),
    ] = None,
) -> None:
    """Check what you save, as you save it: only the exercises that the edit can reach.

    deepdive watch · deepdive watch softmax
    """
    course = _course()
    found = _exercise(course, what) if what else None
    if not (course.root / "exercises").is_dir():
        _stop("exercises/ is missing: deepdive build writes it")
    from deepdive.bench.watch import watch_exercises

    watch_exercises(course, found, fork=fork)


@app.command()
def hint(
    exercise: ExerciseName,
    number: Annotated[int | None, typer.Argument(min=1, help="Which of its hints; the next when left out.")] = None,
    json: AsJson = False,
) -> None:
    """Show the next hint for an exercise: first a question, then a pointer, then nearly the code.

    deepdive hint softmax · deepdive hint softmax 1
    """
    from deepdive.bench.hints import next_hint, print_hint

    course = _course()
    found = _exercise(course, exercise)
    if not found.hints:
        _stop(f"{exercise} has no hints")
    if number is not None and number > len(found.hints):
        _stop(f"{exercise} has {len(found.hints)} hints, no number {number}")
    number = next_hint(course, found) if number is None else number
    if json:
        told = {"exercise": exercise, "number": number, "of": len(found.hints), "hint": found.hints[number - 1]}
        _print_json(told)
    else:
        print_hint(found, number, f"deepdive hint {exercise}")


@app.command()
def diff(
    exercise: ExerciseName,
    spoil: Annotated[bool, typer.Option("--spoil", help="Show it though yours does not pass yet.")] = False,
    stub: Annotated[
        bool, typer.Option("--stub", help="Beside the kit's stub: what a newer kit says about the exercise.")
    ] = False,
) -> None:
    """Show your answer beside the reference, once it passes.

    deepdive diff softmax · deepdive diff softmax --stub
    """
    from rich.console import Console
    from rich.syntax import Syntax

    from deepdive.bench.compare import difference, stub_difference
    from deepdive.bench.standing import passes

    course = _course()
    found = _exercise(course, exercise)
    if not spoil and not stub and not passes(course, found):
        _stop(f"{exercise} does not pass yet, as far as the last run knows; --spoil shows the reference all the same")
    try:
        text = stub_difference(course, found) if stub else difference(course, found)
    except ValueError as error:
        _stop(str(error))
    Console().print(Syntax(text, "diff", background_color="default") if text else "The same, word for word.")


@app.command()
def reset(
    exercise: Annotated[
        str, typer.Argument(help="The exercise to start over.", autocompletion=_known_exercises)
    ] = "",
    everything: Annotated[bool, typer.Option("--all", help="All hours.")] = False,
) -> None:
    """Start an exercise over: its stub comes back, and `deepdive undo` brings yours back."""
    from deepdive.bench.starting_over import CannotReset, reset_all
    from deepdive.bench.starting_over import reset as reset_one

    course = _course()
    if everything:
        typer.echo(f"All stubs are back; {len(reset_all(course))} files of yours are kept: deepdive undo")
        return
    if not exercise:
        _stop("say which exercise, or --all")
    found = _exercise(course, exercise)
    try:
        reset_one(course, found)
    except CannotReset as error:
        _stop(str(error))
    typer.echo(f"{exercise} is a stub again; yours is kept: deepdive undo")


@app.command()
def undo() -> None:
    """Bring back what the last reset replaced; say it again for the one before."""
    from deepdive.bench.starting_over import undo as undo_last

    path = undo_last(_course())
    if path is None:
        _stop("there is nothing to undo")
    typer.echo(f"{path.name} is as it was before the reset")


@app.command()
def plan(
    hour: Annotated[int | None, typer.Argument(help="Which hour; all in brief when left out.")] = None,
    json: AsJson = False,
) -> None:
    """Show the six hours, or one hour's timeline and links, and how many minutes are left.

    deepdive plan · deepdive plan 2
    """
    from deepdive.bench.standing import minutes_left

    course = _course()
    if json:
        wanted = _hours(course, None if hour is None else [hour])
        hours = [each for each in course.hours if each.number in wanted]
        left = ((each, minutes_left(course, each)) for each in hours)
        _print_json([{"hour": h.number, "title": h.title, "minutes_left": m, "plan": h.plan} for h, m in left])
        return
    if hour is None:
        for each in course.hours:
            typer.echo(f"{each.number}  {each.title}: {minutes_left(course, each)} minutes of exercises left")
        typer.echo("\ndeepdive plan 1  shows an hour's timeline and links")
        return
    if hour not in {each.number for each in course.hours}:
        _stop(f"there is no hour {hour}; there are {', '.join(str(each.number) for each in course.hours)}")
    found = course.hour(hour)
    _print(f"Hour {found.number} · {found.title}\n\n{found.plan}\n")
    typer.echo(f"about {minutes_left(course, found)} minutes of exercises left")


@app.command()
def show(
    picture: Annotated[
        str, typer.Argument(help="attention, pieces, positions, lengths, failure, training or deployment.")
    ],
    about: Annotated[
        str, typer.Argument(help="Its sentence; of `failure` the exercise, of `training` the project's folder.")
    ] = "",
    svg: Annotated[Path | None, typer.Option(help="Write it to this file, as SVG, instead.")] = None,
) -> None:
    """Show a picture, drawn by your own function once it passes.

    deepdive show attention "The cat sat on the mat." · deepdive show pieces "Transformers are amazing"
    """
    from deepdive.assets import AssetError, use_offline
    from deepdive.pictures.gallery import CannotShow, Functions, draw
    from deepdive.pictures.show import print_pictures, write_pictures

    course = _course()
    if picture == "deployment":
        typer.echo("Four models are made and measured, which takes a minute or two.", err=True)
    try:
        use_offline()
        pictures = draw(Functions(course), picture, about)
        if svg is None:
            print_pictures(pictures)
        else:
            for path in write_pictures(pictures, svg):
                typer.echo(f"{path} is written")
    except (CannotShow, AssetError) as error:
        _stop(str(error))
    except OSError as error:
        _stop(f"{error.filename or svg} cannot be written: {error.strerror}")


@app.command()
def report(
    out: Annotated[Path | None, typer.Option(help="The file; report.html beside exercises/ if left out.")] = None,
) -> None:
    """Write one page of your hours: the board, what is next, and what is wrong, in pictures."""
    from datetime import datetime

    from deepdive.assets import AssetError, use_offline
    from deepdive.report.learner import learner_page

    course = _course()
    path = out or course.root / "report.html"
    try:
        use_offline()
        path.write_text(learner_page(course, datetime.now().astimezone()), encoding="utf-8")
    except AssetError as error:
        _stop(str(error))
    except OSError as error:
        _stop(f"{path} cannot be written: {error.strerror}")
    typer.echo(f"{path} is written: open it in a browser")


@app.command()
def project(
    budget: Annotated[
        str, typer.Option(help="quick: minutes on a laptop. full: the plan's own, best on a GPU.")
    ] = "quick",
    out: Annotated[Path | None, typer.Option(help="The folder; project/ beside exercises/ if left out.")] = None,
    seed: Annotated[int, typer.Option(help="Of all that is random.")] = 0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over, whatever is in the folder.")] = False,
) -> None:
    """Hour 5's mini-project: fine-tune DistilBERT on IMDb, with pictures and a model card.

    With your own functions where they pass. Interrupt it when you like: the same command goes on.
    """
    from deepdive.assets import AssetError, use_offline
    from deepdive.project import BUDGETS, CannotRun, run_project

    course = _course()
    if budget not in BUDGETS:
        _stop(f"there is no budget {budget!r}: {' or '.join(BUDGETS)}")
    folder = out or course.root / "project"
    try:
        use_offline()
        result = run_project(course, BUDGETS[budget], folder, seed=seed, fresh=fresh)
    except (CannotRun, AssetError) as error:
        _stop(str(error))
    except KeyboardInterrupt:
        _stop("interrupted: the same command goes on from the last checkpoint")
    except OSError as error:
        _stop(f"{error.filename or folder} cannot be written: {error.strerror}")
    measured = result.measured
    if result.repeated:
        typer.echo("This run is finished; --fresh trains anew.")
    typer.echo(
        f"right on {measured['accuracy']:.1%} of reviews it has not seen; TF-IDF with logistic regression "
        f"{measured['tfidf']:.1%}, always the same label {measured['majority']:.1%}"
    )
    typer.echo(f"{folder / 'README.md'} is the model's card")


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
def notebook(
    way: Annotated[str, typer.Argument(help="`build` writes notebooks/; `export` and `import` carry your answers.")],
    hour: Annotated[int | None, typer.Argument(help="Which hour; all when left out.")] = None,
) -> None:
    """Work in notebooks: write them, or carry your answers from them to exercises/ (export) or back (import)."""
    from deepdive.bench.exchange import Exchange, NothingToDo

    if way not in ("build", "export", "import"):
        _stop(f"{way} is no way to go; there are build, export (notebook to module) and import (module to notebook)")
    course = _course()
    try:
        for line in Exchange(course, hour).go(way):
            typer.echo(line)
    except (NothingToDo, ValueError, OSError) as error:
        _stop(str(error))


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

    course = _course()
    hours, names = _hours(course, hour), {_exercise(course, name).name for name in exercise or ()}
    exercises = [each for each in course.exercises if each.hour in hours and (not names or each.name in names)]
    use_one_thread()
    problems: list[str] = []
    with ExitStack() as stack:
        stack.enter_context(scratch())
        try:
            use_offline()
            jail = stack.enter_context(open_jail(hours, unsafe=False)) if jailed else None
        except (AssetError, RuntimeError) as error:
            _stop(str(error))
        for figures, found in prove_all(course, exercises, jail, seed=seed, mutants=mutants):
            typer.echo(figures)
            problems += found
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
    seed: GradedSeed = None,
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

    course = _course()
    hours = _hours(course, hour)
    places = _places(submissions or [])
    if gradebook is None and (roster or cluster or replay or workers):
        _stop("--roster, --workers, --cluster and --replay need --gradebook")
    if gradebook is not None and json:
        _stop("--json is for boards without a gradebook; `deepdive export jsonl` writes what a gradebook holds")
    if cluster and workers:
        _stop("--workers are processes of this machine; a cluster has as many as were started for it")
    if replay and (places or cluster or workers):
        _stop("--replay judges what is in the gradebook, here: leave out submissions, --cluster and --workers")
    if not places and gradebook is None:
        _stop("say what to grade: a folder, a zip, a notebook or a file")
    try:
        if gradebook is None:
            from deepdive.grading.session import grade_all

            seed = secrets.randbits(32) if seed is None else seed
            grade_all(course, places, hours, seed, json, unsafe=unsafe_no_jail)
            return
        from deepdive.grading import console  # and with it a database: not for a single board

        options = console.Options(hours, seed, workers, cluster, unsafe_no_jail)
        if replay:
            sys.exit(0 if console.replay(course, gradebook, replay, options) else 1)
        summary = console.grade_class(course, places, gradebook, roster, options)
        sys.exit(1 if summary.problems else 0)
    except RuntimeError as error:
        _stop(str(error))
    except OSError as error:
        _stop(_told(error))
    except KeyboardInterrupt:
        typer.echo("\nstopped", err=True)
        sys.exit(130)


@app.command()
def export(
    form: Annotated[str, typer.Argument(metavar="FORMAT", help="Which one; a wrong name lists them.")],
    gradebook: Annotated[str, typer.Option(help="The gradebook's file, or database URL.")],
    out: Annotated[Path, typer.Option(help="The folder to write to.")],
    policy: Annotated[Path | None, typer.Option(help="TOML: which attempt counts, what lateness costs.")] = None,
    roster: Annotated[
        Path | None, typer.Option(help="CSV of the course: who handed in nothing gets a row, too, with no points.")
    ] = None,
    hour: Annotated[
        list[int] | None, typer.Option(help="Only this hour's points (repeatable); all if left out.")
    ] = None,
) -> None:
    """Write the marks of a gradebook as other systems read them, or as pages to read."""
    from deepdive.grading import console
    from deepdive.grading.export import FORMATS

    if form not in FORMATS:
        _stop(f"there is no format {form}; there are {', '.join(sorted(FORMATS))}")
    course = _course()
    course = course.only(_hours(course, hour))
    try:
        for path in console.export(course, gradebook, form, out, policy, roster):
            typer.echo(path)
    except RuntimeError as error:
        _stop(str(error))
    except OSError as error:
        _stop(_told(error))


@app.command()
def similar(
    submissions: Annotated[list[Path], typer.Argument(help="Folders, zips, notebooks or files, of whole classes.")],
    hour: Annotated[list[int] | None, typer.Option(help="Only this hour (repeatable).")] = None,
    roster: Annotated[Path | None, typer.Option(help="CSV with id, and any of name, email, login, section.")] = None,
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("similar.html"),
) -> None:
    """Say which students' answers resemble one another: a page for a person to read, never a mark."""
    course = _course()
    hours = _hours(course, hour)
    places = _places(submissions)

    from rich.console import Console

    from deepdive.grading.classlist import Roster, class_of, read_roster
    from deepdive.grading.similarity import compare
    from deepdive.report.similar import similarity_page

    try:
        known = read_roster(roster) if roster else Roster()
        handed_in = (each for place in places for each in class_of(place, course, known))
        with Console(stderr=True).status("reading") as status:
            found = compare(course, handed_in, hours, tell=lambda read: status.update(f"{read} files read"))
        out.write_text(similarity_page(found), encoding="utf-8")
    except ValueError as error:
        _stop(str(error))
    except OSError as error:
        _stop(_told(error))
    for pair in found.pairs[:10]:
        first, second = (student.name or student.id for student in pair.students)
        _print(f"hour {pair.hour} · {pair.share:4.0%} · {first}, {second}")
    for each in found.left_out:
        _print(f"not compared  {each.student.name or each.student.id}, {each.file}: {each.why}")
    typer.echo(f"{out} shows the passages, and how to read them")


@autograders.command("gradescope")
def autograder_gradescope(
    out: Annotated[Path, typer.Option(help="The zip to write.")] = Path("autograder.zip"),
    hour: GradedHours = None,
    torch_index: TorchIndex = "",
    unsafe_no_jail: Annotated[
        bool, typer.Option("--unsafe-no-jail", help="Grade without a jail: where Gradescope's container allows none.")
    ] = False,
) -> None:
    """Write the zip that Gradescope's "Configure autograder" takes."""
    from deepdive.grading.autograder import AutograderError, write_gradescope

    course = _course()
    _hours(course, hour)
    try:
        write_gradescope(course, out, hour or [], torch_index=torch_index, unsafe=unsafe_no_jail)
    except AutograderError as error:
        _stop(str(error))
    except OSError as error:
        _stop(_told(error))
    typer.echo(f"{out} is written; it holds the solutions: give it to nobody but Gradescope")


@autograders.command("classroom")
def autograder_classroom(
    course_repository: Annotated[
        str, typer.Option("--course", metavar="OWNER/NAME", help="The private repository that holds this course.")
    ],
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path(".github/workflows/classroom.yml"),
    hour: GradedHours = None,
    torch_index: TorchIndex = "",
) -> None:
    """Write the workflow that grades an assignment of GitHub Classroom."""
    from deepdive.grading.autograder import AutograderError, workflow

    course = _course()
    _hours(course, hour)
    try:
        text = workflow(course, hour or [], repository=course_repository, torch_index=torch_index)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    except AutograderError as error:
        _stop(str(error))
    except OSError as error:
        _stop(_told(error))
    typer.echo(f"{out} is written; its first lines say what the organisation has to have")


@autograders.command("run")
def autograder_run(
    form: Annotated[str, typer.Argument(metavar="FORMAT", help="Whose autograder this is; a wrong name lists them.")],
    submission: Annotated[Path, typer.Argument(help="The submission's folder or file.")],
    out: Annotated[Path, typer.Option(help="The file to write the result to.")],
    hour: GradedHours = None,
    seed: GradedSeed = None,
    unsafe_no_jail: Annotated[
        bool, typer.Option("--unsafe-no-jail", help="Run the submission without a jail, with all your rights.")
    ] = False,
) -> None:
    """Grade one submission, as the autograders do; nothing is written where it cannot be judged rightly."""
    import secrets

    from deepdive.grading.autograder import FORMS
    from deepdive.grading.autograder import run as run_one

    if form not in FORMS:
        _stop(f"there is no autograder of {form}; there are {', '.join(FORMS)}")
    course = _course()
    course = course.only(_hours(course, hour))
    _places([submission])
    seed = secrets.randbits(32) if seed is None else seed
    try:
        mark = run_one(course, form, submission, out, seed=seed, unsafe=unsafe_no_jail)
    except RuntimeError as error:
        _stop(str(error))
    except OSError as error:
        _stop(_told(error))
    _print(f"jail: {mark.tier} · seed {seed} · {mark.raw:g} of {mark.possible:g} points")


@app.command()
def doctor(json: AsJson = False) -> None:
    """Say what may keep the kit from working here, and what to change. Fails where others' code cannot be graded."""
    from deepdive.bench.doctor import findings

    root = find_root(Path.cwd())
    found = findings(_course() if root else None)
    if json:
        _print_json(found)
    for each in [] if json else found:
        _print(f"{each.about}: {each.found}")
        for line in (*each.reasons, *(f"to do: {change}" for change in each.to_do)):
            _print(f"  {line}")
    if any(each.about == "jail" and each.found == "none" for each in found):
        sys.exit(1)


def main() -> None:
    """Run the command; what a person did wrong ends in a sentence, not in a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a sign shows a question mark
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        app(prog_name="deepdive")
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # whoever read the output has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        _stop(f"{error.filename or 'a file'}: {error.strerror or error}")


def _exercise(course: Course, name: str) -> Exercise:
    try:
        return course.exercise(name)
    except KeyError as error:
        _stop(error.args[0])


def _hours(course: Course, wanted: list[int] | None) -> set[int]:
    known = {each.number for each in course.hours}
    if strange := sorted(set(wanted or ()) - known):
        _stop(f"there is no hour {strange[0]}; there are {', '.join(map(str, sorted(known)))}")
    return set(wanted or known)


def _places(wanted: list[Path]) -> list[Path]:
    if missing := [place for place in wanted if not place.exists()]:
        _stop(f"{missing[0]}: there is no such folder or file")
    return wanted


def _print(text: str) -> None:
    """To a terminal that may know ASCII only."""
    from deepdive.report.terminal import say

    say(text)


def _print_json(value: object) -> None:
    import msgspec

    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode("utf-8"))


def _width() -> int:
    import shutil

    return shutil.get_terminal_size().columns


def _course() -> Course:
    root = find_root(Path.cwd())
    if root is None:
        _stop(f"there is no course here: {Path.cwd()} is not inside a folder with solutions/ and checks/")
    try:
        return load_course(root)
    except (CourseError, SyntaxError) as error:
        _stop(f"the course cannot be read: {error}")


def _told(error: OSError) -> str:
    """Which file it is about, and what is wrong with it."""
    name = error.filename2 or error.filename
    return f"{name}: {error.strerror}" if name and error.strerror else str(error)


def _stop(message: str) -> NoReturn:
    typer.echo(f"deepdive: {message}", err=True)
    sys.exit(2)


if __name__ == "__main__":
    main()
