"""A learner's commands: where you stand, checking, hints, and what can be shown."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from deepdive.cli.common import (
    AsJson,
    ExerciseName,
    app,
    course_here,
    exercise_called,
    hours_wanted,
    known_exercises,
    print_json,
    print_text,
    stop,
    terminal_width,
)


@app.callback(invoke_without_command=True)
def start(context: typer.Context, json: AsJson = False) -> None:
    """Learn NLP with the Hugging Face libraries in six hours.

    Without a command: where you stand, and the next step. `pytest` checks everything; `deepdive watch` checks what
    you save, as you save it.
    """
    if context.invoked_subcommand is None:
        from deepdive.bench.standing import record, standing

        course = course_here()
        if json:
            print_json(record(course))
        else:
            print_text(standing(course).text(terminal_width()))


@app.command()
def check(
    what: Annotated[
        str,
        typer.Argument(
            help="An exercise, or an hour's number; everything when left out.", autocompletion=known_exercises
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

    course = course_here()
    arguments = ["--no-header", "-q"] + (["--fresh"] if fresh else [])
    arguments += ["--deepdive-json", str(json.absolute())] if json else []
    if against:
        named = against in ("exercises", "solutions")
        arguments.append(f"--against={against if named else Path(against).absolute()}")
    if what.isdigit():
        arguments += ["--hour", what]
    elif what:
        arguments += ["--exercise", exercise_called(course, what).name]
    os.chdir(course.root)
    sys.exit(pytest.main(arguments))


@app.command()
def watch(
    what: Annotated[
        str,
        typer.Argument(
            help="The exercise at hand: tried at once, and its hints are shown.", autocompletion=known_exercises
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
    course = course_here()
    found = exercise_called(course, what) if what else None
    if not (course.root / "exercises").is_dir():
        stop("exercises/ is missing: deepdive build writes it")
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

    course = course_here()
    found = exercise_called(course, exercise)
    if not found.hints:
        stop(f"{exercise} has no hints")
    if number is not None and number > len(found.hints):
        stop(f"{exercise} has {len(found.hints)} hints, no number {number}")
    number = next_hint(course, found) if number is None else number
    if json:
        told = {"exercise": exercise, "number": number, "of": len(found.hints), "hint": found.hints[number - 1]}
        print_json(told)
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

    course = course_here()
    found = exercise_called(course, exercise)
    if not spoil and not stub and not passes(course, found):
        stop(f"{exercise} does not pass yet, as far as the last run knows; --spoil shows the reference all the same")
    try:
        text = stub_difference(course, found) if stub else difference(course, found)
    except ValueError as error:
        stop(str(error))
    Console().print(Syntax(text, "diff", background_color="default") if text else "The same, word for word.")


@app.command()
def reset(
    exercise: Annotated[str, typer.Argument(help="The exercise to start over.", autocompletion=known_exercises)] = "",
    everything: Annotated[bool, typer.Option("--all", help="All hours.")] = False,
) -> None:
    """Start an exercise over: its stub comes back, and `deepdive undo` brings yours back."""
    from deepdive.bench.starting_over import CannotReset, reset_all
    from deepdive.bench.starting_over import reset as reset_one

    course = course_here()
    if everything:
        typer.echo(f"All stubs are back; {len(reset_all(course))} files of yours are kept: deepdive undo")
        return
    if not exercise:
        stop("say which exercise, or --all")
    found = exercise_called(course, exercise)
    try:
        reset_one(course, found)
    except CannotReset as error:
        stop(str(error))
    typer.echo(f"{exercise} is a stub again; yours is kept: deepdive undo")


@app.command()
def undo() -> None:
    """Bring back what the last reset replaced; say it again for the one before."""
    from deepdive.bench.starting_over import undo as undo_last

    path = undo_last(course_here())
    if path is None:
        stop("there is nothing to undo")
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

    course = course_here()
    if json:
        wanted = hours_wanted(course, None if hour is None else [hour])
        hours = [each for each in course.hours if each.number in wanted]
        left = ((each, minutes_left(course, each)) for each in hours)
        print_json([{"hour": h.number, "title": h.title, "minutes_left": m, "plan": h.plan} for h, m in left])
        return
    if hour is None:
        for each in course.hours:
            typer.echo(f"{each.number}  {each.title}: {minutes_left(course, each)} minutes of exercises left")
        typer.echo("\ndeepdive plan 1  shows an hour's timeline and links")
        return
    if hour not in {each.number for each in course.hours}:
        stop(f"there is no hour {hour}; there are {', '.join(str(each.number) for each in course.hours)}")
    found = course.hour(hour)
    print_text(f"Hour {found.number} · {found.title}\n\n{found.plan}\n")
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

    course = course_here()
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
        stop(str(error))
    except OSError as error:
        stop(f"{error.filename or svg} cannot be written: {error.strerror}")


@app.command()
def report(
    out: Annotated[Path | None, typer.Option(help="The file; report.html beside exercises/ if left out.")] = None,
) -> None:
    """Write one page of your hours: the board, what is next, and what is wrong, in pictures."""
    from datetime import datetime

    from deepdive.assets import AssetError, use_offline
    from deepdive.report.learner import learner_page

    course = course_here()
    path = out or course.root / "report.html"
    try:
        use_offline()
        path.write_text(learner_page(course, datetime.now().astimezone()), encoding="utf-8")
    except AssetError as error:
        stop(str(error))
    except OSError as error:
        stop(f"{path} cannot be written: {error.strerror}")
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

    course = course_here()
    if budget not in BUDGETS:
        stop(f"there is no budget {budget!r}: {' or '.join(BUDGETS)}")
    folder = out or course.root / "project"
    try:
        use_offline()
        result = run_project(course, BUDGETS[budget], folder, seed=seed, fresh=fresh)
    except (CannotRun, AssetError) as error:
        stop(str(error))
    except KeyboardInterrupt:
        stop("interrupted: the same command goes on from the last checkpoint")
    except OSError as error:
        stop(f"{error.filename or folder} cannot be written: {error.strerror}")
    measured = result.measured
    if result.repeated:
        typer.echo("This run is finished; --fresh trains anew.")
    typer.echo(
        f"right on {measured['accuracy']:.1%} of reviews it has not seen; TF-IDF with logistic regression "
        f"{measured['tfidf']:.1%}, always the same label {measured['majority']:.1%}"
    )
    typer.echo(f"{folder / 'README.md'} is the model's card")


@app.command()
def notebook(
    way: Annotated[str, typer.Argument(help="`build` writes notebooks/; `export` and `import` carry your answers.")],
    hour: Annotated[int | None, typer.Argument(help="Which hour; all when left out.")] = None,
) -> None:
    """Work in notebooks: write them, or carry your answers from them to exercises/ (export) or back (import)."""
    from deepdive.bench.exchange import Exchange, NothingToDo

    if way not in ("build", "export", "import"):
        stop(f"{way} is no way to go; there are build, export (notebook to module) and import (module to notebook)")
    course = course_here()
    try:
        for line in Exchange(course, hour).go(way):
            typer.echo(line)
    except (NothingToDo, ValueError, OSError) as error:
        stop(str(error))
