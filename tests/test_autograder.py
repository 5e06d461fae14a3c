"""Autograders: what is packed runs as it would at Gradescope, and what the workflow says exists."""

import base64
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from deepdive import assets, cli
from deepdive.course import Course, load_course
from deepdive.grading import autograder
from deepdive.grading.autograder import AutograderError, run, workflow, write_gradescope
from deepdive.jail.bwrap import find_bwrap
from deepdive.jail.zygote import choose_tier
from tests.conftest import ROOT, Run

COURSE = load_course(ROOT)
HOUR = COURSE.hours[0]
INDEX = "https://example.org/whl/cpu"
needs_jail = pytest.mark.skipif(choose_tier().tier is None, reason="no jail on this machine")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that stands for /autograder: the jail's user can read it, other than pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="deepdive-autograder-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def unpacked(place: Path, hours: tuple[int, ...] = (1,), *, torch_index: str = "", unsafe: bool = False) -> Path:
    """Pack the course and unpack it as Gradescope does."""
    write_gradescope(COURSE, place / "autograder.zip", hours, torch_index=torch_index, unsafe=unsafe)
    source = place / "source"
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(place / "autograder.zip"), str(source)], check=True)
    for name in ("submission", "results"):
        (place / name).mkdir()
    shutil.copy(source / "run_autograder", place / "run_autograder")
    return source


def run_autograder(
    place: Path, python: str = sys.executable, within: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "PYTHON", "DEEPDIVE"))}
    told = {"AUTOGRADER": str(place), "DEEPDIVE_PYTHON": python, "DEEPDIVE_CACHE": str(assets.cache_directory())}
    return subprocess.run(
        [*within, "bash", str(place / "run_autograder")],
        cwd=place,
        env=plain | told,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )


def program(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/usr/bin/env bash\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


# ── Gradescope: what is packed ──────────────────────────────────────────────────────────────────────────────────


def test_the_zip_holds_the_kit_and_the_course_and_no_more(tmp_path: Path) -> None:
    write_gradescope(COURSE, tmp_path / "a.zip", [], torch_index="", unsafe=False)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        names = set(archive.namelist())
        modes = {m.filename: m.external_attr >> 16 & 0o777 for m in archive.infolist()}
    assert {"setup.sh", "run_autograder", "settings.sh"} == {name for name in names if "/" not in name} <= names
    assert [modes[name] for name in ("setup.sh", "run_autograder", "settings.sh")] == [0o755, 0o755, 0o644]
    assert {name.split("/")[1] for name in names if "/" in name} == {
        *("pyproject.toml", "constraints.txt", "README.md", "deepdive", "solutions", "checks")
    }
    for hour in COURSE.hours:
        assert {f"course/solutions/{hour.file_name}", f"course/checks/test_{hour.file_name}"} <= names
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]


@pytest.mark.parametrize("name", ["setup.sh", "run_autograder", "settings.sh"])
def test_the_scripts_are_valid_shell(place: Path, name: str) -> None:
    source = unpacked(place, (1, 2), torch_index=INDEX)
    subprocess.run(["bash", "-n", str(source / name)], check=True)


def test_the_setup_installs_the_kit_with_its_constraints_and_torch_for_cpus(place: Path, tmp_path: Path) -> None:
    """Its programs are stood in for by ones that write down how they were called."""
    source = unpacked(place, torch_index=INDEX)
    log = tmp_path / "log"
    tool = program(tmp_path / "tool", f'echo "$(basename "$0") $*" >> {log}; mkdir -p "{place}/assets"')
    makes = f'[ "$1" = -m ] && mkdir -p "$3/bin" && cp {tool} "$3/bin/python" && cp {tool} "$3/bin/deepdive" || true'
    program(tmp_path / "bin" / "python3.13", makes)
    subprocess.run(
        ["bash", str(source / "setup.sh")],
        env={"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "AUTOGRADER": str(place)},
        check=True,
    )
    torch = next(line for line in (ROOT / "constraints.txt").read_text().splitlines() if line.startswith("torch=="))
    assert log.read_text().splitlines() == [
        f"python -m pip install --index-url {INDEX} {torch}",
        "python -m pip install -c constraints.txt -e .",
        "deepdive assets",
        "deepdive doctor",
    ]


def test_an_autograder_without_sources_or_with_a_strange_address_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AutograderError, match="is no address of a package index"):
        write_gradescope(COURSE, tmp_path / "a.zip", [], torch_index="https://x/$(reboot)", unsafe=False)
    monkeypatch.setattr(autograder.deepdive, "__file__", str(tmp_path / "site-packages" / "deepdive" / "__init__.py"))
    with pytest.raises(AutograderError, match="made from the kit's sources"):
        write_gradescope(COURSE, tmp_path / "a.zip", [], torch_index="", unsafe=False)
    assert not (tmp_path / "a.zip").exists()


# ── Gradescope: what runs ───────────────────────────────────────────────────────────────────────────────────────


def submission(place: Path) -> None:
    """Hour 1's solution, in which `softmax` does not subtract the maximum and `gelu` is still to do."""
    text = (ROOT / "solutions" / HOUR.file_name).read_text(encoding="utf-8")
    wrong = text.replace("np.exp(x - x.max(axis=axis, keepdims=True))", "np.exp(x)")
    head, tail = wrong.split("def gelu(", 1)
    body = tail[tail.index("### BEGIN SOLUTION") : tail.index("### END SOLUTION")]
    assert wrong != text
    (place / "submission" / "mine").mkdir()
    done = f"{head}def gelu({tail.replace(body, 'raise NotImplementedError')}"
    (place / "submission" / "mine" / HOUR.file_name).write_text(done, encoding="utf-8")


@needs_jail
def test_what_is_packed_grades_a_submission_as_gradescope_would(place: Path) -> None:
    source = unpacked(place)
    submission(place)
    kit = source / "course" / "deepdive" / "__init__.py"
    kit.write_text(re.sub(r'__version__ = "[^"]*"', '__version__ = "packed"', kit.read_text()))
    done = run_autograder(place)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads((place / "results" / "results.json").read_text(encoding="utf-8"))
    assert found["extra_data"]["kit"] == "packed"  # and not the kit that is installed here
    assert found["extra_data"]["points_possible"] == sum(exercise.points for exercise in HOUR.exercises)
    tests = {test["name"].split(" · ")[0]: test for test in found["tests"]}
    assert list(tests) == [exercise.name for exercise in HOUR.exercises]
    assert found["score"] == sum(test["score"] for test in tests.values())
    assert 0 < found["score"] < found["extra_data"]["points_possible"]
    assert {name for name, test in tests.items() if test["status"] == "passed"} >= {"causal_mask", "split_heads"}
    assert (tests["softmax"]["status"], tests["softmax"]["score"]) == ("failed", 0)
    assert "softmax" in tests["softmax"]["output"]
    assert tests["gelu"]["name"] == "gelu · todo"
    assert {test["output_format"] for test in tests.values()} == {"text"}
    assert re.match(r"jail: (zygote|cold) · seed \d+ · ", done.stdout)
    assert [path.name for path in (place / "results").iterdir()] == ["results.json"]


@pytest.mark.parametrize(("unsafe", "told"), [(False, ""), (True, "NO JAIL")])
def test_whether_there_is_a_jail_is_said_by_whoever_made_the_autograder(place: Path, unsafe: bool, told: str) -> None:
    unpacked(place, (1, 3), unsafe=unsafe)
    done = run_autograder(place, program(place / "python", 'printf "%s\\n" "$@"'))
    assert (told in done.stdout) is True
    assert ("--unsafe-no-jail" in done.stdout.splitlines()) is unsafe
    assert re.search(r"--hour\n1\n--hour\n3\n", done.stdout)


def test_settings_that_say_neither_are_refused(place: Path) -> None:
    source = unpacked(place)
    settings = source / "settings.sh"
    settings.write_text(settings.read_text().replace("jail=required", "jail="))
    done = run_autograder(place, program(place / "python", "echo graded"))
    assert done.returncode == 2
    assert "it can say required or none" in done.stderr
    assert "graded" not in done.stdout


@needs_jail
def test_where_namespaces_are_refused_nothing_is_written_unless_that_was_asked_for(place: Path) -> None:
    """As in a container without privileges: a sandbox in which nobody may make another user namespace."""
    refusing = [str(find_bwrap()), "--unshare-user", "--disable-userns", "--dev-bind", "/", "/"]
    source = unpacked(place)
    submission(place)
    done = run_autograder(place, within=refusing)
    assert done.returncode == 2
    assert "no jail is to be had here" in done.stderr
    assert list((place / "results").iterdir()) == []
    settings = source / "settings.sh"
    settings.write_text(settings.read_text().replace("jail=required", "jail=none"))
    done = run_autograder(place, within=refusing)
    assert done.returncode == 0, done.stderr
    assert "NO JAIL" in done.stdout
    assert "jail: unsafe" in done.stdout
    assert json.loads((place / "results" / "results.json").read_text(encoding="utf-8"))["score"] > 0


@needs_jail
def test_a_check_that_broke_is_nobodys_zero(small_course: Course, tmp_path: Path) -> None:
    checks = small_course.root / "checks" / "test_hour1_small.py"
    checks.write_text(checks.read_text().replace("first, second = answer", "first, second = nonsense + answer"))
    with pytest.raises(AutograderError, match="1 checks broke, by no fault of the submission's:\n  halves · "):
        run(small_course, "gradescope", small_course.root / "solutions", tmp_path / "results.json", seed=1)
    assert not (tmp_path / "results.json").exists()


@needs_jail
def test_a_submission_with_nothing_in_it_is_told_so(small_course: Course, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    run(small_course, "gradescope", tmp_path / "empty", tmp_path / "results.json", seed=1)
    found = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert (found["score"], len(found["tests"])) == (0, 3)
    assert "no file of answers; one is called hour1_small.py" in found["output"]


@needs_jail
def test_the_command_writes_what_github_classroom_reads(run: Run, small_course: Course, tmp_path: Path) -> None:
    out = tmp_path / "result.txt"
    done = run("deepdive", "autograder", "run", "classroom", "solutions", "--out", str(out), "--seed", "7")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"jail: \w+ · seed 7 · 4 of 4 points\n", done.stdout)
    found = json.loads(base64.b64decode(out.read_text()))
    assert (found["status"], found["max_score"], len(found["tests"])) == ("pass", 4, 3)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("run", "moodle", ".", "--out", "x"), "there is no autograder of moodle; there are gradescope, classroom"),
        (("run", "gradescope", "nowhere", "--out", "x"), "nowhere: there is no such folder or file"),
        (("run", "gradescope", ".", "--out", "x", "--hour", "9"), "there is no hour 9; there are 1"),
        (("gradescope", "--hour", "2"), "there is no hour 2"),
        (("classroom", "--course", "acme"), "'acme' is no repository; it is called OWNER/NAME"),
        (("classroom", "--course", "a/b", "--torch-index", "x y"), "'x y' is no address of a package index"),
    ],
)
def test_a_slip_is_answered_with_a_sentence(run: Run, arguments: tuple[str, ...], told: str) -> None:
    done = run("deepdive", "autograder", *arguments)
    assert (done.returncode, told in done.stderr) == (2, True), done.stderr
    assert "Traceback" not in done.stderr


# ── GitHub Classroom ────────────────────────────────────────────────────────────────────────────────────────────


def steps(**options: Any) -> list[dict[str, Any]]:
    told: dict[str, Any] = {"hours": [], "repository": "acme/nlp", "torch_index": ""} | options
    found = yaml.safe_load(workflow(COURSE, told.pop("hours"), **told))
    listed: list[dict[str, Any]] = found["jobs"]["run-autograding-tests"]["steps"]
    return listed


def commands(listed: list[dict[str, Any]]) -> list[list[str]]:
    """Every call of the kit's command, word by word."""
    lines = [line for step in listed for line in step.get("run", "").splitlines()]
    return [words[1:] for line in lines if (words := shlex.split(line))[:1] == ["deepdive"]]


@pytest.mark.parametrize("hours", [[], [1], [2, 1]])
def test_every_command_of_the_workflow_exists_with_its_options(hours: list[int]) -> None:
    found = commands(steps(hours=hours))
    assert [words[0] for words in found] == ["assets", "doctor", "autograder"]
    for words in found:
        command: Any = typer.main.get_command(cli.app)
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        context = command.make_context(command.name, list(words))  # raises on an option that there is not
        if command.name == "run":
            assert (context.params["form"], context.params["hour"] or []) == ("classroom", sorted(hours))


def test_the_workflow_is_what_github_classroom_expects() -> None:
    text = workflow(COURSE, [1], repository="acme/nlp", torch_index="")
    found = yaml.safe_load(text)
    assert (found["name"], found["on"]) == ("Autograding Tests", ["push", "repository_dispatch"])
    assert found["permissions"] == {"checks": "write", "actions": "read", "contents": "read"}
    job = found["jobs"]["run-autograding-tests"]
    assert job["if"] == "github.actor != 'github-classroom[bot]'"
    *_, grade, report = job["steps"]
    assert report["uses"].startswith("classroom-resources/autograding-grading-reporter@")
    (runner,) = report["with"]["runners"].split(",")
    assert report["env"] == {f"{runner.upper()}_RESULTS": f"${{{{ steps.{grade['id']}.outputs.result }}}}"}
    assert runner == grade["id"]
    assert "«" not in text


def test_the_workflow_grades_in_a_jail_or_not_at_all() -> None:
    listed = steps()
    names = [step.get("name") for step in listed]
    assert names.index("See that there is a jail") < names.index("Grade")
    assert "unsafe" not in workflow(COURSE, [], repository="acme/nlp", torch_index="")
    assert not any("continue-on-error" in step for step in listed)


def test_the_workflow_takes_the_course_from_elsewhere_and_leaves_no_secret_behind() -> None:
    checkouts = [step["with"] for step in steps() if step.get("uses", "").startswith("actions/checkout@")]
    assert [each["persist-credentials"] for each in checkouts] == [False, False]
    assert [each.get("repository") for each in checkouts] == [None, "acme/nlp"]
    assert [each["path"] for each in checkouts] == ["submission", "course"]
    assert all("secrets." not in step.get("run", "") for step in steps())


def test_the_workflow_has_torch_from_where_it_was_told() -> None:
    (command,) = [step["run"] for step in steps(torch_index=INDEX) if step.get("name") == "torch for CPUs"]
    assert shlex.split(command)[:6] == ["python", "-m", "pip", "install", "--index-url", INDEX]
    assert "torch for CPUs" not in [step.get("name") for step in steps()]


def test_the_command_writes_the_workflow_where_github_looks(run: Run, small_course: Course) -> None:
    done = run("deepdive", "autograder", "classroom", "--course", "acme/nlp", "--hour", "1")
    assert done.returncode == 0, done.stderr
    path = small_course.root / ".github" / "workflows" / "classroom.yml"
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["name"] == "Autograding Tests"
