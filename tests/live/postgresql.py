"""A PostgreSQL of the tests' own, in a temporary directory, reached by a Unix socket there."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from lab.servers import PATIENCE, eventually

from . import needs

#: Where Debian has the programs that are for the database's own user, by version; POSTGRESQL names another place.
DIRECTORIES = os.environ.get("POSTGRESQL", "/usr/lib/postgresql")
#: PostgreSQL does not run as root.
UNPRIVILEGED = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.getuid() == 0 else {}


def program(name: str) -> str:
    """Return the path of one of PostgreSQL's programs, the newest there is."""
    versions = sorted(Path(DIRECTORIES).glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
    return str(versions[-1]) if versions else needs.program(name, "postgresql")


class PostgreSQL:
    """A running one."""

    def __init__(self, connections: int) -> None:
        """Start one that takes so many connections."""
        needs.module("psycopg", "psycopg[binary,pool]")
        initdb, postgres = program("initdb"), program("postgres")
        self.directory = Path(tempfile.mkdtemp(prefix="postgresql"))
        if UNPRIVILEGED:
            shutil.chown(self.directory, UNPRIVILEGED["user"], UNPRIVILEGED["group"])
        data = str(self.directory / "data")
        create = [initdb, "-D", data, "-U", "tests", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(
            create, check=True, capture_output=True, timeout=PATIENCE * 3, cwd=self.directory, **UNPRIVILEGED
        )
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.directory),
            "fsync": "off",
            "max_connections": str(connections),
        }
        command = [postgres, "-D", data, *(part for item in options.items() for part in ("-c", "=".join(item)))]
        with (self.directory / "log").open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.directory, **UNPRIVILEGED)
        try:
            eventually(self._is_ready)
        except BaseException:
            self.stop()
            raise

    def _is_ready(self) -> bool:
        import psycopg

        assert self.process.poll() is None, (self.directory / "log").read_text()
        try:
            self.ask("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def ask(self, sql: str, *parameters: Any) -> list[Any]:
        """Return the first column of a query's rows."""
        import psycopg

        with psycopg.connect(f"host={self.directory} user=tests dbname=postgres", autocommit=True) as connection:
            cursor = connection.execute(sql, parameters)
            return [row[0] for row in cursor] if cursor.description else []

    def backends(self, name: str) -> list[int]:
        """Return the processes that serve the connections of the application of that name."""
        return self.ask("SELECT pid FROM pg_stat_activity WHERE application_name = %s", name)

    def settings(self, name: str, **more: Any) -> dict[str, Any]:
        """Return Django's settings for a database of it; ``name`` is that of the application."""
        options = {"application_name": name, **more.pop("OPTIONS", {})}
        engine = {"ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "USER": "tests"}
        return {"DATABASES": {"default": {**engine, "HOST": str(self.directory), "OPTIONS": options, **more}}}

    def stop(self) -> None:
        """Stop it without waiting for its clients."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)
