"""Exceptions of the `flows` package; the text of each is one line for the user."""


class FlowError(Exception):
    """Base of every expected failure in `flows`."""


class InvalidParams(FlowError):
    """A parameter is unknown, has the wrong type, or conflicts with another; one line per error."""


class RenamedVariable(FlowError):
    """An environment variable of an earlier release is set under its old name."""


class NotInProject(FlowError):
    """The current directory is not inside a flanmoe project."""


class WorkspaceBusy(FlowError):
    """Another run holds the lock of the workspace."""


class ServerError(FlowError):
    """The Prefect server did not start or does not answer."""


class InvalidDeployment(FlowError):
    """prefect.yaml has an error, or a deployment's parameters do not fit its flow."""


class ServiceEnded(FlowError):
    """A service of `flanmoe up` ended by itself."""


class StageFailed(FlowError):
    """A stage ended with an error; the text is the stage's error line."""


class QuotaExceeded(StageFailed):
    """The quota of GPU hours is used up."""


class StageInterrupted(FlowError):
    """A stage was stopped by SIGINT or SIGTERM, or not started because the run is ending."""


class LockRefused(FlowError):
    """DVC could not acquire its lock; a retry helps."""


class StagePreempted(FlowError):
    """A stage received SIGTERM and saved its state; a retry resumes it."""


class InvalidStudy(FlowError):
    """A study does not exist, or its file has errors; one line per error."""


class UnmatchedCompute(InvalidStudy):
    """Models of a study that must have the same compute cannot be matched."""
