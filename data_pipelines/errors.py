"""The exception tree of the data room."""


class DataError(Exception):
    """Base of every expected failure in `data_pipelines`; its text is one line for the user."""


class SourceError(DataError):
    """A source file is missing, cut, changed since it was pinned, or not of its format."""


class ExpectationFailed(DataError):
    """A blocking expectation does not hold; the report says which."""


class CorruptShard(DataError):
    """A packed shard or its manifest does not match its checksum or cannot be read."""
