"""The exception tree of the models room."""


class ModelError(Exception):
    """Base of every expected failure in `models`; its text is one line for the user."""


class ConfigError(ModelError):
    """A configuration that no model can be built from."""


class UnknownModel(ModelError):
    """A preset or a run that does not exist."""


class UnknownSuite(ModelError):
    """An evaluation suite that does not exist, or whose file is wrong."""


class CorruptCheckpoint(ModelError):
    """A weights or checkpoint file that is cut, altered, or of another model."""


class DataMismatch(ModelError):
    """Shards that do not fit the model or the tokenizer they are used with."""


class Diverged(ModelError):
    """Training produced a loss that is not a finite number."""


class ProcessLost(ModelError):
    """Another training process died, or did not answer in time."""


class CheckpointFailed(ModelError):
    """A checkpoint that could not be written; earlier ones are as they were."""


class Preempted(ModelError):
    """Training was asked to stop, has saved a checkpoint, and can go on from it."""


class OutOfMemory(ModelError):
    """Memory ran out while training."""
