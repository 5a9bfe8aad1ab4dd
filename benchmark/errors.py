"""The errors a user can act on. Every message says what was found, what was expected and what to do."""


class SuiteError(Exception):
    """Base of all errors that are the input's fault, not the code's; printed without a traceback."""


class SettingsError(SuiteError):
    """An unknown setting, a value of the wrong type, an unknown profile or cell pattern."""


class DataError(SuiteError):
    """A dataset folder, annotation list or image that is missing, unreadable or contradictory."""


class RunError(SuiteError):
    """A run that cannot start or go on: run folder not writable, disk full, device missing, locked."""
