"""The errors a user sees, each with the exit code the command line ends with.

A message is one line: what is wrong, which value, what to do.
"""


class AnalyticsError(Exception):
    """Something failed; the published data is untouched. Exit code 1."""

    exit_code = 1


class ConfigError(AnalyticsError):
    """A setting or argument is wrong: names it, shows the value, says what is allowed. Exit code 2."""

    exit_code = 2


class BusyError(AnalyticsError):
    """Another run holds the lock. Exit code 3."""

    exit_code = 3


class SourceUnavailableError(AnalyticsError):
    """The source (MongoDB server, projects directory) cannot be reached; trying again may help."""


class KilledError(AnalyticsError):
    """A run was killed before its end; the run after it says so."""


class KernelDiedError(AnalyticsError):
    """The process that runs the notebooks ended in the middle of one, as when a library aborts it."""


class ValidationFailedError(AnalyticsError):
    """The data did not pass validation: names expectation, table and number of rows. Nothing was published."""


def first_line(error: BaseException) -> str:
    """What an error of a library says, without rules and the paragraphs that follow; its kind when it says nothing."""
    lines = [line for line in str(error).strip().splitlines() if not line.startswith(("===", "---"))]
    return lines[0].strip() if lines else type(error).__name__
