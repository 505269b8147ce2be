"""Measures how the readers end on spoilt files: the fuzz tests of the suite with as many examples as there is time for.

    python -m runs.checks.fuzz --examples 20000 [--only CSV MRC]

Prints, for each reader, how many spoilt files it was given, how many it read, and how many it refused with a sentence.
It stops at the first file that ends otherwise, and prints it. Readers and mutations are those of the tests.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from readers import READERS, mutations


def fuzz(name: str, examples: int) -> None:
    """One reader, and its line."""
    reader, read, given_files, began = READERS[name], 0, 0, time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        valid = reader.valid(Path(folder))

        @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(st.data())
        def run(data: st.DataObject) -> None:
            nonlocal read, given_files
            given_files += 1
            read += reader.check(Path(folder), data.draw(mutations(valid)))

        run()
    seconds = time.perf_counter() - began
    print(
        f"{name:24} {given_files:7} files, {read:6} read, {given_files - read:7} refused, {seconds:6.0f} s", flush=True
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--examples", type=int, default=20_000)
    parser.add_argument("--only", nargs="*", choices=list(READERS), default=list(READERS))
    options = parser.parse_args()
    for each in options.only:
        fuzz(each, options.examples)
