"""The exception tree of the registry."""


class RegistryError(Exception):
    """Base of every expected failure in `registry`; its text is one line for the user."""


class Unreachable(RegistryError):
    """The database cannot be opened or does not answer."""


class InvalidRecord(RegistryError):
    """A run or evaluation record that does not match its schema, or its files."""


class UnknownVersion(RegistryError):
    """No model, version or champion of that name."""


class UnknownCost(RegistryError):
    """Nothing of that name that accuracy can be held against."""


class GateFailed(RegistryError):
    """A promotion that the gates refuse."""


class NotComparable(RegistryError):
    """Two evaluations of different items, prompts or versions."""
