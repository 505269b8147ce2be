"""The one exception that users see, and the sentences for all others."""


class InputError(ValueError):
    """What the user gave cannot be used. The message is one sentence: what was expected, what came, what to do."""

    code = "input"
    """What kind of failure it is, for programs: one word."""

    def __init__(self, text: str, *, code: str | None = None) -> None:
        super().__init__(text)
        if code:
            self.code = code


def abbreviated(text: str, *, most: int = 300) -> str:
    """A text to stand in a sentence: without its middle where it is longer than `most` characters."""
    return text if len(text) <= most else f"{text[: most // 2]} ... {text[-most // 4 :]}"


def first_line(error: BaseException) -> str:
    """The first line of a library's message, to stand in one of our sentences."""
    return abbreviated(next(iter(str(error).splitlines()), "") or repr(error))


def as_sentence(error: Exception) -> str:
    """An error as one sentence for users."""
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, MemoryError):
        return "There is not enough memory: pick with smaller windows (`plane`), or on a machine with more."
    if isinstance(error, OSError):
        return f"The operating system refused: {error}."
    return f"{type(error).__name__}: {first_line(error)}."


def counted(number: int, noun: str) -> str:
    """1 run, 2 runs."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def shortened(names: list[str], *, most: int = 12) -> str:
    """The names in one line; the rest counted where there are many."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
