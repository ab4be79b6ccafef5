"""Exceptions of `data_pipelines`."""


class DataError(Exception):
    """Base class of all expected failures in `data_pipelines`; the message is one line."""


class SourceError(DataError):
    """A source file is missing, truncated, malformed, or does not match its pinned hash."""


class ExpectationFailed(DataError):
    """A blocking expectation failed; the message names it."""


class CorruptShard(DataError):
    """A packed shard or its manifest is unreadable or does not match its checksum."""


class DataVersionChanged(DataError):
    """The packed data is not the version that a run trained on."""
