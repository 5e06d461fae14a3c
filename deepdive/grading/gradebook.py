"""The gradebook: who handed in what, and every verdict, for good.

Nothing in it is ever changed: verdicts are added under keys that say what they depend on (`jobs.Keys`), so that
adding one twice adds nothing, and a run that was killed goes on where it was. Scores are not in it; they are worked
out from verdicts, points and policy whenever somebody asks.

SQLite by default, one file in WAL mode; any URL that SQLAlchemy knows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from deepdive.grading.classlist import HandedIn
from deepdive.grading.jobs import CheckKey, digest
from deepdive.grading.marks import Student
from deepdive.verdict import State, Verdict

VERSION = 2
_CHUNK = 500  # keys asked for, or rows added, at once; SQLite takes 32,766 parameters, older ones 999
_MOST_BYTES = 16 << 20  # of files that are held to be added together

_metadata = sa.MetaData()
_schema = sa.Table("schema", _metadata, sa.Column("version", sa.Integer, primary_key=True))
_runs = sa.Table(
    "runs",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("started", sa.DateTime(timezone=True), nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("kit", sa.String(40), nullable=False),
    sa.Column("tier", sa.String(40), nullable=False),
    sa.Column("assets", sa.Text, nullable=False),
)
_sources = sa.Table(
    "sources",
    _metadata,
    sa.Column("sha256", sa.String(64), primary_key=True),
    sa.Column("content", sa.LargeBinary, nullable=False),
)
_submissions = sa.Table(
    "submissions",
    _metadata,
    sa.Column("digest", sa.String(64), primary_key=True),  # of the student, the files and the time
    sa.Column("number", sa.Integer, nullable=False),  # in the order in which they were taken in
    sa.Column("student", sa.String(200), nullable=False, index=True),
    sa.Column("about", sa.Text, nullable=False),  # the student, as JSON
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("submitted", sa.DateTime(timezone=True)),
    sa.Column("late", sa.Boolean, nullable=False),
    sa.Column("files", sa.Text, nullable=False),  # the sha256 of each hour's file, as JSON
    sa.Column("refused", sa.Text, nullable=False),
)
_verdicts = sa.Table(
    "verdicts",
    _metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("source", sa.String(64), nullable=False),
    sa.Column("judge", sa.String(40), nullable=False, server_default=""),  # empty in verdicts of version 1
    sa.Column("hour", sa.Integer, nullable=False),
    sa.Column("exercise", sa.String(100), nullable=False),
    sa.Column("check_name", sa.String(200), nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("run", sa.Integer, nullable=False),
    sa.Column("verdict", sa.Text, nullable=False),
)
# Holds all that the questions about a whole class ask for, so that none of them reads a verdict itself.
_by_source = sa.Index("verdicts_by_source", _verdicts.c.source, _verdicts.c.judge, _verdicts.c.state)


class GradebookError(RuntimeError):
    """The gradebook cannot be opened or was written by another version; the message says what to do."""


@dataclass(frozen=True)
class Entry:
    """One submission as the gradebook holds it.

    Args:
        student: whose.
        name: what it was called.
        files: sha256 of each hour's file, by the file's name in the course.
        refused: what was not taken, and why.
        submitted: when it was handed in, in UTC.
        late: whether the course system called it late.
        number: the order in which submissions were taken in.
    """

    student: Student
    name: str
    files: Mapping[str, str]
    refused: tuple[str, ...]
    submitted: datetime | None
    late: bool
    number: int


class Gradebook:
    """An open gradebook; one process writes to it at a time.

    Args:
        where: a file, or a URL that SQLAlchemy knows.
        make: make the file if it is not there.

    Raises:
        GradebookError: it cannot be opened, or is of another version of the kit.
    """

    def __init__(self, where: str | Path, *, make: bool = True) -> None:
        if "://" not in str(where):
            _look_at(Path(where), make=make)
        url = str(where) if "://" in str(where) else f"sqlite:///{Path(where).absolute()}"
        try:
            self._engine = sa.create_engine(url)
            if self._engine.dialect.name == "sqlite":
                sa.event.listen(self._engine, "connect", _set_up_sqlite)
            with self._engine.begin() as connection:
                if self._engine.dialect.name == "sqlite":
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                _metadata.create_all(connection)
                version = connection.execute(sa.select(sa.func.max(_schema.c.version))).scalar()
                if version is None:
                    connection.execute(_schema.insert().values(version=VERSION))
                    version = VERSION
                _migrate(connection, version)
        except (sa.exc.SQLAlchemyError, ImportError, ValueError) as error:
            said = str(getattr(error, "orig", None) or error).partition("\n")[0]
            raise GradebookError(f"the gradebook {shown(where)} cannot be opened: {said}") from error

    def close(self) -> None:
        self._engine.dispose()

    # --- writing: only ever adding ---

    def start_run(self, seed: int, kit: str, tier: str, assets: str) -> int:
        """Note that a run begins; gives its number."""
        with self._engine.begin() as connection:
            added = connection.execute(
                _runs.insert().values(started=datetime.now(UTC), seed=seed, kit=kit, tier=tier, assets=assets)
            )
            assert added.inserted_primary_key is not None
            number: int = added.inserted_primary_key[0]
            return number

    def add_submissions(self, handed_in: Iterable[HandedIn]) -> int:
        """Add submissions, each with its files; what is there already is left as it is. How many are new."""
        with self._engine.begin() as connection:
            known = set(connection.execute(sa.select(_submissions.c.digest)).scalars())
            first = len(known)
            sources, rows = dict[str, bytes](), list[dict[str, Any]]()
            for each in handed_in:
                files = {name: digest(content) for name, content in sorted(each.submission.files.items())}
                if (key := _digest_of(each, files)) in known:
                    continue
                known.add(key)
                sources |= {files[name]: content for name, content in each.submission.files.items()}
                rows.append(_row(each, key, files, len(known)))
                if len(rows) == _CHUNK or sum(map(len, sources.values())) > _MOST_BYTES:
                    self._add(connection, sources, rows)
                    sources, rows = {}, []
            self._add(connection, sources, rows)
        return len(known) - first

    def _add(self, connection: sa.Connection, sources: dict[str, bytes], rows: list[dict[str, Any]]) -> None:
        self._insert(connection, _sources, [{"sha256": key, "content": content} for key, content in sources.items()])
        self._insert(connection, _submissions, rows)

    def add_verdicts(self, run: int, source: str, found: Iterable[tuple[CheckKey, Verdict]]) -> None:
        """Add the verdicts of one job, all or none of them; a key that has one keeps it."""
        with self._engine.begin() as connection:
            rows = [
                {
                    "key": check.key,
                    "source": source,
                    "judge": check.judge,
                    "hour": verdict.hour,
                    "exercise": verdict.exercise,
                    "check_name": verdict.check,
                    "state": str(verdict.state),
                    "run": run,
                    "verdict": _json(verdict),
                }
                for check, verdict in found
            ]
            self._insert(connection, _verdicts, rows)

    def _insert(self, connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        """Insert rows, but for those whose primary key is there."""
        name = self._engine.dialect.name
        if rows and name in ("sqlite", "postgresql"):
            from sqlalchemy.dialects import postgresql, sqlite

            dialect: Any = {"sqlite": sqlite, "postgresql": postgresql}[name]
            connection.execute(dialect.insert(table).on_conflict_do_nothing(), rows)
            return
        (key,) = table.primary_key.columns
        for row in rows:
            if not _is_there(connection, key, row[key.name]):
                connection.execute(table.insert().values(row))

    # --- reading ---

    def last_seed(self) -> int | None:
        """The seed of the last run; None when there was none."""
        with self._engine.connect() as connection:
            seed: int | None = connection.execute(sa.select(_runs.c.seed).order_by(_runs.c.id.desc())).scalar()
            return seed

    def tiers(self) -> dict[int, str]:
        """By run, the jail it used."""
        with self._engine.connect() as connection:
            return {row.id: row.tier for row in connection.execute(sa.select(_runs.c.id, _runs.c.tier))}

    def count(self) -> int:
        """How many submissions there are."""
        with self._engine.connect() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(_submissions)).scalar() or 0

    def entries(self, student: str | None = None) -> list[Entry]:
        """All submissions, or one student's, in the order in which they were taken in."""
        query = sa.select(_submissions).order_by(_submissions.c.number)
        if student is not None:
            query = query.where(_submissions.c.student == student)
        with self._engine.connect() as connection:
            return [_entry(row) for row in connection.execute(query).mappings()]

    def source(self, sha256: str) -> bytes:
        """The bytes of a file that was handed in. Raises KeyError when it was not."""
        with self._engine.connect() as connection:
            found = connection.execute(sa.select(_sources.c.content).where(_sources.c.sha256 == sha256)).scalar()
        if found is None:
            raise KeyError(sha256)
        return bytes(found)

    def known(self, keys: Iterable[str]) -> set[str]:
        """Those of the keys that have a verdict."""
        return {row[0] for row in self._by_key([_verdicts.c.key], keys)}

    def verdicts(self, keys: Iterable[str]) -> dict[str, Verdict]:
        """The verdicts of these keys, as far as there are."""
        rows = self._by_key([_verdicts.c.key, _verdicts.c.verdict], keys)
        return {key: msgspec.json.decode(text, type=Verdict) for key, text in rows}

    def judged(self, judges: Collection[str]) -> dict[str, int]:
        """By file, how many verdicts of these judges it has."""
        query = sa.select(_verdicts.c.source, sa.func.count()).where(_verdicts.c.judge.in_(judges))
        with self._engine.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(query.group_by(_verdicts.c.source))}

    def states(self, judges: Collection[str]) -> dict[str, Mapping[str, State]]:
        """By file, the state of its verdict by each of these judges, as far as there is one."""
        told = sa.func.aggregate_strings(_verdicts.c.judge + ":" + _verdicts.c.state, ",")
        query = sa.select(_verdicts.c.source, told).where(_verdicts.c.judge.in_(judges))
        parsed: dict[str, Mapping[str, State]] = {}  # most files of a class have the same as some other
        found = {}
        with self._engine.connect() as connection:
            for source, text in connection.execute(query.group_by(_verdicts.c.source)):
                if text not in parsed:
                    pairs = (pair.split(":") for pair in text.split(","))
                    parsed[text] = {judge: State(state) for judge, state in pairs}
                found[source] = parsed[text]
        return found

    def _by_key(self, columns: list[Any], keys: Iterable[str]) -> Iterator[Any]:
        wanted = list(keys)
        with self._engine.connect() as connection:
            for start in range(0, len(wanted), _CHUNK):
                chunk = wanted[start : start + _CHUNK]
                yield from connection.execute(sa.select(*columns).where(_verdicts.c.key.in_(chunk)))


@contextmanager
def open_gradebook(where: str | Path, *, make: bool = True) -> Iterator[Gradebook]:
    """A gradebook, closed at the end of the block."""
    book = Gradebook(where, make=make)
    try:
        yield book
    finally:
        book.close()


def _look_at(path: Path, *, make: bool) -> None:
    """Say what SQLite only says that it cannot open. Raises GradebookError."""
    if path.is_dir():
        raise GradebookError(f"the gradebook {path} cannot be opened: it is a folder")
    if not path.parent.is_dir():
        raise GradebookError(f"the gradebook {path} cannot be opened: there is no folder {path.parent}")
    if not make and not path.exists():
        raise GradebookError(f"there is no gradebook {path} yet: `deepdive grade` makes one, given submissions")


def shown(where: str | Path) -> str:
    """Where a gradebook is, without a password."""
    with suppress(sa.exc.ArgumentError, ValueError):
        return sa.make_url(str(where)).render_as_string(hide_password=True)
    return str(where)


def _row(each: HandedIn, key: str, files: dict[str, str], number: int) -> dict[str, Any]:
    return {
        "digest": key,
        "number": number,
        "student": each.student.id,
        "about": _json(each.student),
        "name": each.submission.name,
        "submitted": _in_utc(each.submitted),
        "late": each.late,
        "files": _json(files),
        "refused": _json(each.submission.refused),
    }


def _is_there(connection: sa.Connection, key: sa.Column[Any], value: str) -> bool:
    return connection.execute(sa.select(key).where(key == value)).first() is not None


def _migrate(connection: sa.Connection, version: int) -> None:
    """Bring an older gradebook up to date; each step adds, none takes away."""
    if version > VERSION:
        raise ValueError(f"it is of version {version}, newer than this kit's {VERSION}: update the kit")
    if version < 2:  # verdicts did not say what judged them; that counted with an older kit, and is judged again
        connection.exec_driver_sql("ALTER TABLE verdicts ADD COLUMN judge VARCHAR(40) DEFAULT '' NOT NULL")
        _by_source.create(connection)
        connection.execute(_schema.insert().values(version=2))


def _set_up_sqlite(connection: Any, record: Any) -> None:
    connection.execute("PRAGMA journal_mode=WAL")  # readers never wait, and a kill loses no committed row
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA busy_timeout=10000")


def _digest_of(each: HandedIn, files: dict[str, str]) -> str:
    return digest(_json([each.student.id, files, each.submission.refused, each.submitted, each.late]).encode())


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _in_utc(time: datetime | None) -> datetime | None:
    """SQLite keeps no time zone, so that all times in it are UTC's."""
    if time is None:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _entry(row: Any) -> Entry:
    return Entry(
        student=msgspec.json.decode(row["about"], type=Student),
        name=row["name"],
        files=msgspec.json.decode(row["files"], type=dict[str, str]),
        refused=tuple(msgspec.json.decode(row["refused"], type=list[str])),
        submitted=_in_utc(row["submitted"]),
        late=row["late"],
        number=row["number"],
    )
