"""The one way to a database connection, whether the server is embedded or somebody else's."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import URL, Engine, create_engine

from leadengine.errors import DatabaseUnavailableError, SettingsError
from leadengine.settings import Settings
from warehouse.embedded import PORT, SUPERUSER, EmbeddedPostgres

MINIMUM_SERVER_VERSION = 150_000
_ASYNCPG_OPTIONS = frozenset(
    {
        "sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslpassword", "sslnegotiation",
        "ssl_min_protocol_version", "ssl_max_protocol_version", "target_session_attrs",
        "krbsrvname", "gsslib", "options",
    }
)  # fmt: skip


class Database:
    """A PostgreSQL database and the forms in which the libraries want its address.

    Args:
        host: a host name, or the folder of a Unix socket.
        port: TCP port, or the number in the socket's name.
        user: role to connect as.
        password: its password; any word where none is asked for, since dlt refuses an empty one.
        dbname: the database.
        options: further libpq parameters, such as ``sslmode``.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        user: str,
        password: str,
        dbname: str,
        options: dict[str, str] | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self.user = user
        self._password = password
        self.dbname = dbname
        self._options = options or {}

    def __repr__(self) -> str:
        return f"Database({self.user}@{self.host}:{self.port}/{self.dbname})"

    def named(self, dbname: str) -> "Database":
        """Another database on the same server."""
        return Database(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self._password,
            dbname=dbname,
            options=self._options,
        )

    @cached_property
    def libpq_url(self) -> str:
        """The address as a libpq URL, password included: never log it."""
        return self.sqlalchemy_url(driver=None)

    def asyncpg_parameters(self) -> dict[str, Any]:
        """The address as :func:`asyncpg.connect` takes it, password included: never log it.

        Of libpq's further parameters it has those that asyncpg knows; it would send any other to
        the server as a setting, which refuses it.
        """
        known = {name: value for name, value in self._options.items() if name in _ASYNCPG_OPTIONS}
        return {
            "dsn": f"postgresql://?{urlencode(known)}" if known else None,
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "password": self._password,
            "database": self.dbname,
        }

    def sqlalchemy_url(self, driver: str | None = "psycopg", schema: str | None = None) -> str:
        """The address as an SQLAlchemy URL, password included: never log it.

        Args:
            driver: ``psycopg``, ``psycopg2``, or None for a plain ``postgresql://`` URL.
            schema: becomes the search path, for libraries that know no schemas.
        """
        query = dict(self._options)
        if self.host.startswith("/"):
            # Great Expectations refuses a URL without a host; libpq lets the query win.
            host = "localhost"
            query |= {"host": self.host, "port": str(self.port)}
            port = None
        else:
            host, port = self.host, self.port
        if schema is not None:
            query["options"] = f"-csearch_path={schema}"
        return URL.create(
            f"postgresql+{driver}" if driver else "postgresql",
            username=self.user,
            password=self._password,
            host=host,
            port=port,
            database=self.dbname,
            query=query,
        ).render_as_string(hide_password=False)

    @cached_property
    def engine(self) -> Engine:
        """A pooled SQLAlchemy engine on the psycopg driver."""
        return create_engine(self.sqlalchemy_url(), pool_pre_ping=True)

    @contextmanager
    def connect(self, **options: Any) -> Iterator[psycopg.Connection]:
        """A psycopg connection in a transaction: committed at the end, rolled back on an error.

        Raises:
            DatabaseUnavailableError: the server cannot be reached or refuses us, or the
                connection is lost before the end.
        """
        connection = self._open(**options)
        is_lost = False
        try:
            with connection:
                try:
                    yield connection
                finally:
                    is_lost = connection.broken
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            # The commit at the end can find it lost as well.
            if not (is_lost or connection.broken):
                raise
            raise DatabaseUnavailableError(
                f"The database {self.dbname} at {self.host}:{self.port} went away:"
                f" {str(error).strip().splitlines()[0]}.",
                remedy="Start it, then try again; a transaction that was not committed is undone.",
            ) from error

    def _open(self, **options: Any) -> psycopg.Connection:
        parameters: dict[str, Any] = {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "password": self._password,
            "dbname": self.dbname,
            "connect_timeout": 10,
            "application_name": "leadengine",
            **self._options,
        }
        try:
            return psycopg.connect(make_conninfo("", **parameters), **options)
        except psycopg.OperationalError as error:
            # The first line says it; the rest is libpq's advice.
            reason = str(error).strip().splitlines()[0].rpartition("failed: ")[2]
            raise DatabaseUnavailableError(
                f"The database {self.dbname} at {self.host}:{self.port} cannot be used: {reason}.",
                remedy="Start it, or correct DATABASE_URL (empty: the embedded one).",
            ) from error

    def dbt_env(self) -> dict[str, str]:
        """What ``dbt_project/profiles.yml`` reads."""
        return {
            "LEADENGINE_PG_HOST": self.host,
            "LEADENGINE_PG_PORT": str(self.port),
            "LEADENGINE_PG_USER": self.user,
            "LEADENGINE_PG_PASSWORD": self._password,
            "LEADENGINE_PG_DBNAME": self.dbname,
        }

    def check(self) -> int:
        """Connects once.

        Returns:
            The server's version as PostgreSQL numbers it, such as 180004.

        Raises:
            DatabaseUnavailableError: it cannot be reached, or is older than PostgreSQL 15.
        """
        with self.connect() as connection:
            version = connection.info.server_version
        if version < MINIMUM_SERVER_VERSION:
            raise DatabaseUnavailableError(
                f"The server at {self.host}:{self.port} is PostgreSQL {version // 10_000}.",
                remedy="Use PostgreSQL 15 or newer.",
            )
        return version


_embedded: dict[str, EmbeddedPostgres] = {}


def open_database(settings: Settings) -> Database:
    """The database that the settings name, started if it is the embedded one.

    Raises:
        SettingsError: DATABASE_URL is not a PostgreSQL URL, or the state folder is not writable.
        DatabaseUnavailableError: the server cannot be started, reached, or is too old.
    """
    if settings.database_url is not None:
        database = _parse(settings.database_url.get_secret_value())
        database.check()
        return database
    home = settings.prepare_home()
    server = _embedded.setdefault(str(home), EmbeddedPostgres(home))
    server.start()
    return Database(
        host=str(server.socket_dir),
        port=PORT,
        user=SUPERUSER,
        password="local",  # noqa: S106 # pragma: allowlist secret - trust on a private socket
        dbname="postgres",
    )


def release_embedded() -> None:
    """Lets go of every embedded server this process uses (also done when it ends)."""
    for server in _embedded.values():
        server.release()
    _embedded.clear()


def _parse(url: str) -> Database:
    try:
        # SQLAlchemy's way of naming a driver is common in DATABASE_URL; libpq does not know it.
        scheme, _, rest = url.partition("://")
        parts = conninfo_to_dict(f"{scheme.split('+')[0]}://{rest}")
    except psycopg.ProgrammingError as error:
        raise SettingsError(
            "DATABASE_URL is not a PostgreSQL URL.",
            remedy="Write it as postgresql://USER:...@HOST:5432/DATABASE.",
        ) from error
    known = {key: str(value) for key, value in parts.items() if value is not None}
    return Database(
        host=known.pop("host", "localhost"),
        port=int(known.pop("port", "5432")),
        user=known.pop("user", "postgres"),
        password=known.pop("password", "none"),
        dbname=known.pop("dbname", "postgres"),
        options=known,
    )
