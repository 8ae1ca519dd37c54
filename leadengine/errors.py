"""The one exception a person is meant to read."""


class LeadEngineError(Exception):
    """Something is wrong that a person can put right.

    Args:
        message: one sentence that names the field or thing and its value.
        remedy: one sentence that says what to do about it.
    """

    def __init__(self, message: str, *, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}"


class SettingsError(LeadEngineError):
    """A setting is missing or has a value that cannot work."""


class DatabaseUnavailableError(LeadEngineError):
    """The database cannot be reached, started or used."""
