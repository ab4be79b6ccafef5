"""Warnings of library code on the command line."""

import logging

import pytest

from flows.log_handler import PACKAGES, configure_logging


@pytest.fixture
def project_loggers():
    """The project's loggers, without their handlers during the test."""
    loggers = [logging.getLogger(package) for package in PACKAGES]
    handlers = [logger.handlers for logger in loggers]
    for logger in loggers:
        logger.handlers = []
    yield loggers
    for logger, before in zip(loggers, handlers, strict=True):
        logger.handlers = before


def test_configure_logging_writes_warnings_once_to_stderr(project_loggers, capsys):
    configure_logging()
    configure_logging()
    logging.getLogger("models.training.trainer").warning("loss of %s is high", "moe_base")
    logging.getLogger("data_pipelines.stages.fetch").error("no rows")
    logging.getLogger("registry").info("not shown")
    logging.getLogger("another.library").warning("not of the project")
    assert capsys.readouterr().err.splitlines()[:2] == [
        "warning: loss of moe_base is high",
        "error: no rows",
    ]
