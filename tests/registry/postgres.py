"""A PostgreSQL cluster of its own on a free loopback port, for tests and drills."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.factories import free_port


def postgres_programs():
    """Return the folder of the newest installed PostgreSQL's programs; None without one."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return programs[-1].parent if programs else None


class PostgresCluster:
    """A running cluster; `close` stops it and removes its files."""

    def __init__(self, programs):
        # Not below pytest's folder, which later pytest processes delete while the server runs.
        self.folder = Path(tempfile.mkdtemp(prefix="flanmoe-postgres-"))
        self.programs = programs
        self.user = None
        if os.geteuid() == 0:  # PostgreSQL does not run as root
            shutil.chown(self.folder, "postgres")
            self.user = "postgres"
        port = free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{port}"
        self.options = f"-p {port} -c listen_addresses=127.0.0.1 -k {self.folder} -c fsync=off"
        data = str(self.folder / "data")
        self.call("initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync")
        self.control("start")

    def call(self, program, *words):
        """Run a program of PostgreSQL."""
        subprocess.run(
            [str(self.programs / program), *words],
            check=True, capture_output=True, cwd="/", timeout=120, user=self.user, group=self.user,
        )  # fmt: skip

    def control(self, action, *words):
        """Start, stop or restart the server, and wait for it."""
        log = str(self.folder / "log")
        data = str(self.folder / "data")
        self.call("pg_ctl", "-D", data, "-o", self.options, "-w", "-l", log, action, *words)

    def create_database(self, name):
        """Create a database; return its URL."""
        import psycopg

        with psycopg.connect(f"{self.url}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"{self.url}/{name}"

    def close(self):
        """Stop the server, and remove its files."""
        self.control("stop", "-m", "immediate")
        shutil.rmtree(self.folder)
