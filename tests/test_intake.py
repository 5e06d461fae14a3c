"""What of a folder, a zip or a file is taken as somebody's answers, and that whatever is not has its reason."""

import io
import os
import resource
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from deepdive.course import Course
from deepdive.grading import intake
from deepdive.grading.intake import MAX_BYTES, MOST_ENTRIES, MOST_ZIPS, Submission, hour_of, take

NAME = "hour1_small.py"
Tree = dict[str, str | bytes]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "handed in"
    folder.mkdir()
    return folder


def write(folder: Path, files: Tree) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def zip_of(files: Tree, kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", kind) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return packed.getvalue()


def taken_from_zip(content: bytes, folder: Path, course: Course) -> Submission:
    (folder / "jane.zip").write_bytes(content)
    return take(folder / "jane.zip", course)


def the_reason(submission: Submission) -> str:
    (reason,) = submission.refused
    return reason


# --- folders ---


def test_a_file_is_found_a_few_folders_deep(small_course: Course, place: Path) -> None:
    assert take(write(place, {f"a/b/c/d/e/{NAME}": "x = 1"}), small_course).files == {NAME: b"x = 1"}


def test_no_file_is_found_deeper_than_that(small_course: Course, place: Path) -> None:
    submission = take(write(place, {f"a/b/c/d/e/f/{NAME}": "x = 1"}), small_course)
    assert submission.files == {}
    assert NAME in the_reason(submission)


def test_a_folder_without_answers_is_told_what_they_are_called(small_course: Course, place: Path) -> None:
    assert the_reason(take(place, small_course)) == f"no file of answers; one is called {NAME}"


def test_exercises_come_before_other_folders(small_course: Course, place: Path) -> None:
    submission = take(write(place, {NAME: "top", f"exercises/{NAME}": "theirs"}), small_course)
    assert submission.files == {NAME: b"theirs"}
    assert the_reason(submission) == f"{NAME}: another file of that name was taken"


@pytest.mark.parametrize("folder", ["solutions", "checks", ".git", "__MACOSX", ".ipynb_checkpoints"])
def test_what_a_clone_of_the_kit_holds_is_not_theirs(small_course: Course, place: Path, folder: str) -> None:
    write(place, {f"{folder}/{NAME}": "x = 1"})
    assert take(place, small_course).files == {}
    assert taken_from_zip(zip_of({f"{folder}/{NAME}": "x = 1"}), place, small_course).files == {}


@pytest.mark.parametrize("link", ["file", "folder"])
def test_no_link_is_followed(small_course: Course, place: Path, tmp_path: Path, link: str) -> None:
    elsewhere = write(tmp_path / "elsewhere", {NAME: "secret = 1"})
    if link == "file":
        (place / NAME).symlink_to(elsewhere / NAME)
    else:
        (place / "exercises").symlink_to(elsewhere)
    assert take(place, small_course).files == {}


def test_a_pipe_and_a_device_are_refused_without_waiting_for_them(small_course: Course, place: Path) -> None:
    (place / "a").mkdir()
    os.mkfifo(place / NAME)
    try:
        os.mknod(place / "a" / NAME, stat.S_IFCHR | 0o600, os.makedev(1, 5))
    except PermissionError:
        os.mkfifo(place / "a" / NAME)
    submission = take(place, small_course)
    assert submission.files == {}
    assert len(submission.refused) == 2


def test_a_refused_file_leaves_room_for_the_next(small_course: Course, place: Path) -> None:
    write(place, {f"exercises/{NAME}": b"#" * (MAX_BYTES + 1), NAME: "x = 1"})
    submission = take(place, small_course)
    assert submission.files == {NAME: b"x = 1"}
    assert "larger than 1 MiB" in the_reason(submission)


@pytest.mark.parametrize(
    "name",
    [NAME, "Hour1_Small.PY", "hour1_small (1).py", "hour1_small(12).py", "hour1_small-3.py", "hour1_small.ipynb"],
)
def test_a_name_as_browsers_and_canvas_change_it_is_the_same(small_course: Course, name: str) -> None:
    assert hour_of(name, small_course) == NAME


@pytest.mark.parametrize(
    "name", ["hour1_small.py.txt", "my_hour1_small.py", "hour2_small.py", "._hour1_small.py", ""]
)
def test_another_name_is_another(small_course: Course, name: str) -> None:
    assert hour_of(name, small_course) is None


def test_a_first_download_comes_before_its_copies(small_course: Course, place: Path) -> None:
    submission = take(write(place, {"hour1_small (1).py": "copy", NAME: "first"}), small_course)
    assert submission.files == {NAME: b"first"}


@pytest.mark.parametrize("kind", ["files", "folders"])
def test_an_endless_folder_is_looked_at_in_part(
    small_course: Course, place: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(intake, "MOST_ENTRIES", 50)
    for number in range(60):
        path = place / f"{number:03}"
        path.mkdir() if kind == "folders" else path.touch()
    write(place, {f"z/{NAME}": "x = 1"})
    submission = take(place, small_course)
    assert submission.files == {}
    assert "more than 50 files and folders" in the_reason(submission)


def test_a_name_that_is_not_utf8_can_be_shown(small_course: Course, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"J\xe4ne")
    submission = take(write(folder, {NAME: "x = 1"}), small_course)
    assert submission.files
    assert "J\\udce4ne" in submission.name.encode().decode()


# --- zips ---


def test_a_zip_is_a_folder(small_course: Course, place: Path) -> None:
    content = zip_of({f"hours/exercises/{NAME}": "theirs", f"hours/solutions/{NAME}": "ours", "hours/README.md": ""})
    assert taken_from_zip(content, place, small_course).files == {NAME: b"theirs"}


def test_names_as_windows_writes_them_are_folders(small_course: Course, place: Path) -> None:
    assert taken_from_zip(zip_of({f"a\\{NAME}": "x = 1"}), place, small_course).files == {NAME: b"x = 1"}


@pytest.mark.parametrize("name", [f"../{NAME}", f"a/../../{NAME}", f"/etc/{NAME}", f"C:/{NAME}", f"..\\{NAME}"])
def test_a_name_that_leads_out_is_refused(small_course: Course, place: Path, name: str) -> None:
    submission = taken_from_zip(zip_of({name: "x = 1"}), place, small_course)
    assert submission.files == {}
    assert "leads out of the zip" in the_reason(submission)
    assert sorted(path.name for path in place.parent.rglob(NAME)) == [NAME] * 2  # the course's own


def test_a_link_in_a_zip_is_refused(small_course: Course, place: Path) -> None:
    link = zipfile.ZipInfo(NAME)
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    assert "symbolic link" in the_reason(taken_from_zip(packed.getvalue(), place, small_course))


def test_a_file_too_deep_in_a_zip_is_refused(small_course: Course, place: Path) -> None:
    assert "folders deep" in the_reason(taken_from_zip(zip_of({f"a/b/c/d/e/f/{NAME}": ""}), place, small_course))


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def test_a_member_that_inflates_past_the_cap_is_refused_before_it_fills_the_memory(
    small_course: Course, place: Path
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(NAME, "w") as member:
        for _ in range(200):
            member.write(bytes(1 << 20))
    before = peak()
    submission = taken_from_zip(packed.getvalue(), place, small_course)
    assert "larger than 1 MiB" in the_reason(submission)
    assert peak() - before < 50 << 20


def test_a_member_that_lies_about_its_size_is_refused(small_course: Course, place: Path) -> None:
    content = bytearray(zip_of({NAME: bytes(4 << 20)}))
    directory = content.rindex(b"PK\x01\x02")
    content[directory + 24 : directory + 28] = (100).to_bytes(4, "little")
    submission = taken_from_zip(bytes(content), place, small_course)
    assert submission.files == {}
    assert submission.refused


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packing_that_inflates_by_the_gigabyte_is_not_unpacked(small_course: Course, place: Path, kind: int) -> None:
    assert "ordinary zip" in the_reason(taken_from_zip(zip_of({NAME: "x = 1"}, kind), place, small_course))


def encrypted() -> bytes:
    content = bytearray(zip_of({NAME: "x = 1"}))
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(header) + flags] |= 1
    return bytes(content)


def with_broken_bytes() -> bytes:
    content = bytearray(zip_of({NAME: "x = 1\n" * 100}))
    content[40:50] = b"\xff" * 10
    return bytes(content)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (encrypted, "encrypted"),
        (with_broken_bytes, "cannot be read from the zip"),
        (lambda: zip_of({NAME: "x = 1" * 100})[:80], "not a zip that can be read"),
        (lambda: zip_of({NAME: "x = 1" * 100})[20:], ""),
        (lambda: b"", "not a zip that can be read"),
        (lambda: os.urandom(1000), "not a zip that can be read"),
    ],
)
def test_a_zip_that_cannot_be_read_is_refused_with_the_reason(
    small_course: Course, place: Path, make: Callable[[], bytes], reason: str
) -> None:
    submission = taken_from_zip(make(), place, small_course)
    assert submission.files == {}
    assert reason in the_reason(submission)


def test_of_a_zip_of_a_hundred_thousand_files_the_first_are_looked_at(small_course: Course, place: Path) -> None:
    files: Tree = {NAME: "x = 1", **{f"{number}.txt": "" for number in range(100_000)}}
    submission = taken_from_zip(zip_of(files, zipfile.ZIP_STORED), place, small_course)
    assert submission.files == {NAME: b"x = 1"}
    assert f"of which {MOST_ENTRIES:,} were looked at" in the_reason(submission)


def test_a_zip_that_lists_more_than_fits_is_not_opened(
    small_course: Course, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "MOST_MEMBERS", 10)
    content = zip_of({f"{number}.txt": "" for number in range(11)})
    assert "more than 10 files" in the_reason(taken_from_zip(content, place, small_course))


def test_a_zip_in_a_students_zip_stays_closed(small_course: Course, place: Path) -> None:
    submission = taken_from_zip(zip_of({"a.zip": zip_of({NAME: "x = 1"})}), place, small_course)
    assert submission.files == {}
    assert "no file of answers" in the_reason(submission)


def test_the_zips_in_a_folder_are_opened_but_not_without_end(small_course: Course, place: Path) -> None:
    bomb = zip_of({NAME: b"\0" * (MAX_BYTES + 1)})
    write(place, {f"{number}.zip": bomb for number in range(MOST_ZIPS)} | {"z.zip": zip_of({NAME: "x = 1"})})
    submission = take(place, small_course)
    assert submission.files == {}
    assert submission.refused[0] == f"{MOST_ZIPS + 1} zips, of which {MOST_ZIPS} were opened"
    assert len(submission.refused) == MOST_ZIPS + 1


# --- single files ---


def test_a_file_of_another_name_is_told_the_right_one(small_course: Course, place: Path) -> None:
    submission = take(write(place, {"answers.py": "x = 1"}) / "answers.py", small_course)
    assert the_reason(submission) == f"no file of answers; one is called {NAME}"
