"""The tables of the inbox, and how its database is opened."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    insert,
    select,
)
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, OperationalError, ProgrammingError

from airflow_provider_messaging.core.errors import ConfigurationError

METADATA = MetaData()

SEEN = Table(
    "messaging_webhook_seen",
    METADATA,
    # A digest of source and id.
    Column("key", String(32), primary_key=True),
    Column("received", BigInteger, nullable=False, index=True),
)
"""Every event of the retention, by which it is recognised when it comes again."""

INBOX = Table(
    "messaging_webhook_inbox",
    METADATA,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("kind", String(32), nullable=False),
    Column("day", String(10), nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("size", Integer, nullable=False),
    Column("payload", Text, nullable=False),
    Column("segment", String(32)),
    Index("messaging_webhook_inbox_segment", "segment", "kind", "day"),
)
"""What is received and not landed yet. `segment` is the one it belongs to, empty until then."""

SEGMENTS = Table(
    "messaging_webhook_segments",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("path", String(255), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("events", Integer, nullable=False),
    Column("sealed", BigInteger, nullable=False),
    Column("landed", BigInteger),
)
"""Segments: their rows are fixed when they are sealed, and deleted from the inbox when they are landed."""

LEASE = Table(
    "messaging_webhook_lease",
    METADATA,
    Column("name", String(32), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("last_stamp", BigInteger, nullable=False),
)
"""Who seals, until when, and the stamp of the last segment."""

SEALER = "sealer"
_SETTING = "[messaging] webhooks_inbox"
_SECONDS_FOR_LOCK = 30
_SECONDS_TO_CONNECT = 10


def open_engine(url: str) -> Engine:
    """Return an engine for the inbox, without connecting.

    :raises ConfigurationError: if it is no URL of PostgreSQL or SQLite, or the driver is not installed.
    """
    try:
        parsed = make_url(url)
        if parsed.drivername == "postgres":
            parsed = parsed.set(drivername="postgresql")
        backend = parsed.get_backend_name()
        if backend not in {"postgresql", "sqlite"}:
            raise ConfigurationError(f"{_SETTING} must be PostgreSQL or SQLite, not {backend}", setting=_SETTING)
        if backend == "sqlite":
            engine = create_engine(parsed, connect_args={"timeout": _SECONDS_FOR_LOCK})
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return engine
        return create_engine(
            parsed,
            pool_size=3,
            max_overflow=2,
            pool_timeout=_SECONDS_FOR_LOCK,
            pool_pre_ping=True,
            connect_args={"connect_timeout": _SECONDS_TO_CONNECT},
        )
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        message = f"{_SETTING} can't be used ({type(error).__name__}): PostgreSQL needs the extra 'postgres'"
        raise ConfigurationError(message, setting=_SETTING) from None


def create_tables(engine: Engine) -> None:
    """Make the tables that are not there; several receivers may do so at once."""
    for last in (False, False, True):
        try:
            METADATA.create_all(engine)
            break
        except (IntegrityError, ProgrammingError, OperationalError):
            # Another one was between our look and our statement.
            if last:
                raise
    try:
        with engine.begin() as connection:
            if connection.execute(select(LEASE.c.name).where(LEASE.c.name == SEALER)).first() is None:
                connection.execute(insert(LEASE), {"name": SEALER, "owner": "", "until": 0, "last_stamp": 0})
    except IntegrityError:
        pass


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver would begin transactions at its own discretion.
    connection.isolation_level = None
    # Readers do not wait for the writer, and a commit is on the disk: with NORMAL the power takes the last ones along.
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


def _begin_sqlite(connection: Connection) -> None:
    # One that reads first and then writes can't wait for another writer, it fails: writers say so at once.
    reads = connection.get_execution_options().get("reads", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
