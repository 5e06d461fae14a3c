"""An instructor's commands: grading classes, writing marks, and the autograders of other systems."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from deepdive.cli.common import (
    app,
    course_here,
    hours_wanted,
    places_there,
    print_text,
    stop,
    told_in_a_sentence,
)

autograders = typer.Typer(help="Let Gradescope or GitHub Classroom grade what is handed in there.")
app.add_typer(autograders, name="autograder")

GradedHours = Annotated[list[int] | None, typer.Option("--hour", help="Grade only this hour (repeatable).")]
GradedSeed = Annotated[
    int | None, typer.Option(min=0, max=2**63 - 1, help="The seed of the random inputs; fresh when left out.")
]
TorchIndex = Annotated[
    str, typer.Option(metavar="ADDRESS", help="Where pip finds torch for CPUs: pytorch.org's page says so.")
]


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

    course = course_here()
    hours = hours_wanted(course, hour)
    places = places_there(submissions or [])
    if gradebook is None and (roster or cluster or replay or workers):
        stop("--roster, --workers, --cluster and --replay need --gradebook")
    if gradebook is not None and json:
        stop("--json is for boards without a gradebook; `deepdive export jsonl` writes what a gradebook holds")
    if cluster and workers:
        stop("--workers are processes of this machine; a cluster has as many as were started for it")
    if replay and (places or cluster or workers):
        stop("--replay judges what is in the gradebook, here: leave out submissions, --cluster and --workers")
    if not places and gradebook is None:
        stop("say what to grade: a folder, a zip, a notebook or a file")
    try:
        with told_in_a_sentence(RuntimeError):
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
        stop(f"there is no format {form}; there are {', '.join(sorted(FORMATS))}")
    course = course_here()
    course = course.only(hours_wanted(course, hour))
    with told_in_a_sentence(RuntimeError):
        for path in console.export(course, gradebook, form, out, policy, roster):
            typer.echo(path)


@app.command()
def similar(
    submissions: Annotated[list[Path], typer.Argument(help="Folders, zips, notebooks or files, of whole classes.")],
    hour: Annotated[list[int] | None, typer.Option(help="Only this hour (repeatable).")] = None,
    roster: Annotated[Path | None, typer.Option(help="CSV with id, and any of name, email, login, section.")] = None,
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("similar.html"),
) -> None:
    """Say which students' answers resemble one another: a page for a person to read, never a mark."""
    course = course_here()
    hours = hours_wanted(course, hour)
    places = places_there(submissions)

    from rich.console import Console

    from deepdive.grading.classlist import Roster, class_of, read_roster
    from deepdive.grading.similarity import compare
    from deepdive.report.similar import similarity_page

    with told_in_a_sentence(ValueError):
        known = read_roster(roster) if roster else Roster()
        handed_in = (each for place in places for each in class_of(place, course, known))
        with Console(stderr=True).status("reading") as status:
            found = compare(course, handed_in, hours, tell=lambda read: status.update(f"{read} files read"))
        out.write_text(similarity_page(found), encoding="utf-8")
    for pair in found.pairs[:10]:
        first, second = (student.name or student.id for student in pair.students)
        print_text(f"hour {pair.hour} · {pair.share:4.0%} · {first}, {second}")
    for each in found.left_out:
        print_text(f"not compared  {each.student.name or each.student.id}, {each.file}: {each.why}")
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

    course = course_here()
    hours_wanted(course, hour)
    with told_in_a_sentence(AutograderError):
        write_gradescope(course, out, hour or [], torch_index=torch_index, unsafe=unsafe_no_jail)
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

    course = course_here()
    hours_wanted(course, hour)
    with told_in_a_sentence(AutograderError):
        text = workflow(course, hour or [], repository=course_repository, torch_index=torch_index)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
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
        stop(f"there is no autograder of {form}; there are {', '.join(FORMS)}")
    course = course_here()
    course = course.only(hours_wanted(course, hour))
    places_there([submission])
    seed = secrets.randbits(32) if seed is None else seed
    with told_in_a_sentence(RuntimeError):
        mark = run_one(course, form, submission, out, seed=seed, unsafe=unsafe_no_jail)
    print_text(f"jail: {mark.tier} · seed {seed} · {mark.raw:g} of {mark.possible:g} points")
