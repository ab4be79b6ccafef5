"""Exceptions of the package `models`."""


class ModelError(Exception):
    """Base of every expected failure in `models`; its text is one line for the user."""


class ConfigError(ModelError):
    """A model or training configuration is invalid."""


class UnknownModel(ModelError):
    """A preset or a run does not exist."""


class UnknownSuite(ModelError):
    """An evaluation suite does not exist, or its file is invalid."""


class CorruptCheckpoint(ModelError):
    """A weights or checkpoint file is truncated, altered, or of another architecture."""


class DataMismatch(ModelError):
    """Shards do not match the model or the tokenizer."""


class Diverged(ModelError):
    """The training loss is not finite or keeps exploding."""


class ProcessLost(ModelError):
    """Another rank died, or did not respond in time."""


class RanksDisagree(ModelError):
    """The ranks of a run have other parameters, code, data or folders."""


class RunInUse(ModelError):
    """Another process trains the run."""


class RunTakenOver(ModelError):
    """Another process has taken over the run that this one trains."""


class CheckpointFailed(ModelError):
    """A checkpoint could not be written; earlier checkpoints are unchanged."""


class Preempted(ModelError):
    """Training was stopped by a signal after saving a checkpoint, and can resume from it."""


class OutOfMemory(ModelError):
    """Training ran out of memory."""
