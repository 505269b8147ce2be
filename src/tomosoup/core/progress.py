"""How far long work has come: the one callback that every long function takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

Progress = Callable[[str, int, int], None]
"""`progress(what, done, total)`: called as work advances; `total` may grow."""


def no_progress(what: str, done: int, total: int) -> None:
    """The `Progress` that shows nothing."""


def no_log(text: str) -> None:
    """The `log` that drops messages."""


def tracked(progress: Progress, what: str, items: Sequence[T]) -> Iterator[T]:
    """The items one by one; `progress` is called before each and after the last."""
    for i, item in enumerate(items):
        progress(what, i, len(items))
        yield item
    progress(what, len(items), len(items))


def part(progress: Progress, number: int, of: int, *, size: int = 1, what: str | None = None) -> Progress:
    """The progress of a part of some work: of its `of` equal shares, the `size` ones from `number` (from 0) on.

    `what` names the work, in place of what the part calls itself.
    """

    def report(own: str, done: int, total: int) -> None:
        progress(what or own, number * total + size * done, of * total)

    return report
