"""Logging of the command line: warnings of the project's modules, one line each on stderr."""

from __future__ import annotations

import logging

import click

from flows.packages import PACKAGES


class StderrHandler(logging.Handler):
    """Write a record as `LEVEL: TEXT` to the current `sys.stderr`, through click."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(f"{record.levelname.lower()}: {self.format(record)}", err=True)


def configure_logging() -> None:
    """Send records of the project's loggers at WARNING and above to stderr.

    Each logger gets one handler, however often this is called. Library code only writes to
    `logging.getLogger(__name__)`.
    """
    for package in PACKAGES:
        logger = logging.getLogger(package)
        if not any(isinstance(handler, StderrHandler) for handler in logger.handlers):
            logger.addHandler(StderrHandler(logging.WARNING))
