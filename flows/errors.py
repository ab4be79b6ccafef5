"""The exception tree of the flows room."""


class FlowError(Exception):
    """Base of every expected failure in `flows`; its text is one line for the user."""


class InvalidParams(FlowError):
    """params.yaml asks for something unknown, of a wrong type, or impossible."""


class NoProject(FlowError):
    """The command was not started inside a flanmoe project."""


class WorkspaceBusy(FlowError):
    """Another run works in the same workspace."""


class ServerError(FlowError):
    """The Prefect server did not start or does not answer."""


class StageFailed(FlowError):
    """A stage ended with an error; the text is the stage's own line."""


class StageInterrupted(FlowError):
    """A stage was stopped, by Ctrl-C or a termination signal."""


class LockRefused(FlowError):
    """DVC could not take its lock just now; trying again helps."""


class StagePreempted(FlowError):
    """A stage was asked to stop and has saved: started again, it goes on."""
