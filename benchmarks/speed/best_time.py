"""How the benchmarks time a call: the fastest of several, as other work on the machine only adds seconds."""

import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def best_time(work: Callable[[], Result], *, repeats: int = 3) -> tuple[float, Result]:
    """The seconds of the fastest call, and the result of the last."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - start)
    return min(times), result
