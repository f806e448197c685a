"""What can go wrong, as exceptions."""

from __future__ import annotations

import os
import re
import traceback

_SDK = os.path.dirname(__file__) + os.sep

#: Where Python's own modules are; `os` does not say it, for a component has that built in.
STANDARD_LIBRARY = os.path.dirname(traceback.__file__) + os.sep


class Error(Exception):
    """Why a processor could not handle an event, in words for the person who reads why it was parked.

    The host gets exactly this text, without a traceback; `raise Error("reading the rates") from error` adds the cause to it. Any other
    exception that leaves `reduce` or `after_append` is reported with its traceback.
    """


class ShapeError(ValueError):
    """JSON that is not of the shape asked for. Its text names the place and what was there: `payload.items[2].price: expected a number, got a string`."""

    def __init__(self, expected: str, got: object) -> None:
        super().__init__(expected, got)
        self.expected = expected
        self.got = got
        self.path = ""

    def inside(self, step: str) -> ShapeError:
        """This error, one level further out."""
        self.path = step + self.path
        return self

    def __str__(self) -> str:
        got = self.got if isinstance(self.got, _Absent) else kind(self.got)
        return f"{self.path.removeprefix('.') or 'JSON'}: expected {self.expected}, got {got}"


class AppendError(Exception):
    """An append that the host refused. Decide by the class, or by `case`; `reason` is for people."""

    #: The case of the contract: `paused`, `conflict`, `denied`, `invalid` or `unavailable`.
    case = "unavailable"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"append refused as {self.case}: {self.reason}"


class AppendPaused(AppendError):
    """The stream is paused; the text says why. It may succeed later."""

    case = "paused"


class AppendConflict(AppendError):
    """The expected offset is not the next one. It will not succeed unchanged."""

    case = "conflict"


class AppendDenied(AppendError):
    """The processor may not do this: too deep in a chain of answers, or over a quota. It will not succeed unchanged."""

    case = "denied"


class AppendInvalid(AppendError):
    """The path, the type, the key, the payload or the metadata is malformed. It will not succeed unchanged."""

    case = "invalid"


class AppendUnavailable(AppendError):
    """The host cannot write now. It may succeed later."""

    case = "unavailable"


APPEND_ERRORS: dict[str, type[AppendError]] = {
    error.case: error for error in (AppendPaused, AppendConflict, AppendDenied, AppendInvalid, AppendUnavailable)
}


class _Absent:
    def __repr__(self) -> str:
        return "nothing"


ABSENT = _Absent()


def kind(value: object) -> str:
    """What a JSON value is, in JSON's own words."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return f"the number {value}"
        case str():
            return "a string"
        case list():
            return "an array"
        case dict():
            return "an object"
    return type(value).__name__


def explain(error: BaseException) -> str:
    """What the host is told about an exception: the text of an `Error`, else type, message and where it happened."""
    if isinstance(error, Error):
        cause = f": {error.__cause__}" if error.__cause__ else ""
        return _sound(f"{error}{cause}")
    message = "".join(traceback.format_exception_only(error)).strip()
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith((_SDK, STANDARD_LIBRARY))] or frames
    # In a component the folders of the build are called /0, /1 and so on.
    places = re.sub(r'File "/\d+/', 'File "', "".join(traceback.format_list(own)))
    return _sound(f"{message}\n{places}".rstrip())


def _sound(text: str) -> str:
    """A text that UTF-8 can hold: half a surrogate pair is shown as its escape."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
