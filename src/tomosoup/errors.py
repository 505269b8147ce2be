"""The one exception that users see."""


class InputError(ValueError):
    """What the user gave cannot be used. The message is one sentence: what was expected, what came, what to do."""


def first_line(error: BaseException) -> str:
    """What an error of a library says, cut to the line that fits into a sentence of ours."""
    return next(iter(str(error).splitlines()), "") or repr(error)
