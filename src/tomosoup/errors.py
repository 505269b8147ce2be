"""The one exception that users see."""


class InputError(ValueError):
    """What the user gave cannot be used. The message is one sentence: what was expected, what came, what to do."""
