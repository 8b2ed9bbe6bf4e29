"""Errors of the functions in `api`. No message holds a value that was sent or received."""

from typing import Any


class ResponseValidationError(ValueError):
    """The response breaks the contract.

    Attributes:
        reason (str): What was expected, without the value that came instead.
        field (str | None): Name of the JSON field at fault; None if it is the response as a whole.
        status_code (int | None): HTTP status of the response; None if a model was read from elsewhere.
        content (bytes): The body, to look at; it may hold secrets, so it is in no message and no pickle.
    """

    def __init__(self, reason: str, field: str | None = None, status_code: int | None = None) -> None:
        super().__init__(reason, field, status_code)
        self.reason = reason
        self.field = field
        self.status_code = status_code
        self.content = b""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy all but the body."""
        return type(self), (self.reason, self.field, self.status_code)

    def __str__(self) -> str:
        status = "" if self.status_code is None else f" with status {self.status_code}"
        field = "" if self.field is None else f" in {self.field}"
        return f"The response{status} breaks the contract{field}: {self.reason}"


class UnexpectedStatus(Exception):
    """The contract does not name the status of the response, and `raise_on_unexpected_status` is set.

    Attributes:
        status_code (int): HTTP status of the response.
    """

    def __init__(self, status_code: int) -> None:
        super().__init__(status_code)
        self.status_code = status_code

    def __str__(self) -> str:
        return f"The contract does not name status {self.status_code}"


__all__ = ["ResponseValidationError", "UnexpectedStatus"]
