"""What a user can put right, each kind with the exit code that the shell sees."""


class SweepError(Exception):
    """A problem that the user can put right: the message says how, in one line."""

    exit_code = 1
    label = "error"


class CheckFailedError(SweepError):
    """The command ran, but the check that it was asked for does not hold."""

    exit_code = 3


class StoreUnreachableError(SweepError):
    """A database or tracking server does not answer; trying later may help (EX_TEMPFAIL)."""

    exit_code = 75
