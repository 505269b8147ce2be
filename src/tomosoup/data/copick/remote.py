"""Files that are not on a disk of this machine: how they are opened, and what goes wrong as one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import fsspec  # type: ignore[import-untyped]

from tomosoup.core.errors import InputError, first_line

S3 = ("s3://", "s3a://")
"""First characters of URLs of S3-compatible storage."""
LIBRARIES = {"aiobotocore", "aiohttp", "botocore", "gql", "requests", "urllib3"}
"""Libraries whose errors concern storage, like those of the operating system."""
PATIENCE = 5.0
"""Seconds that a server is given to answer when a project is opened, twice."""


def with_fresh_listings(config: dict[str, Any]) -> dict[str, Any]:
    """A copick configuration whose S3 folders are listed anew each time.

    s3fs keeps listings for good: picks that another process writes or deletes would be missed or read in vain.
    """
    return config | {
        f"{part}_fs_args": {"use_listings_cache": False, **arguments} for part, _, arguments in _s3_roots(config)
    }


def check_storage(config: dict[str, Any], *, name: str) -> None:
    """Ask the S3 servers of a copick configuration once for its roots; `name` is what errors call it.

    Raises `InputError` within seconds where a server does not answer or refuses, where a bucket is not there, or where
    nothing is below `static_root`.
    """
    for part, url, arguments in _s3_roots(config):
        advice = f"check {part}_root and {part}_fs_args (endpoint_url, key, secret) in {name}"
        limits = {"connect_timeout": PATIENCE, "read_timeout": PATIENCE, "retries": {"max_attempts": 1}}
        settings = limits | (arguments.get("config_kwargs") or {})
        with StorageErrors(f"{part}_root {url}", advice=advice):
            storage = fsspec.filesystem("s3", **{**arguments, "config_kwargs": settings})
            storage.retries = 1
            bucket, key, _ = storage.split_path(url.rstrip("/"))
            found = storage.call_s3("list_objects_v2", Bucket=bucket, Prefix=f"{key}/" if key else "", MaxKeys=1)
        if part == "static" and not found.get("KeyCount"):
            raise InputError(f"static_root {url} is empty: expected ExperimentRuns/ in it; {advice}.")


def _s3_roots(config: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(part, URL, arguments) of the roots that are on S3."""
    for part in ("static", "overlay"):
        if (url := str(config.get(f"{part}_root"))).startswith(S3):
            yield part, url, config.get(f"{part}_fs_args") or {}


def of_storage(error: BaseException | None) -> bool:
    """Whether a disk or a server has failed, and not what it holds."""
    return isinstance(error, OSError) or _of_library(error)


def _of_library(error: BaseException | None) -> bool:
    return type(error).__module__.split(".")[0] in LIBRARIES


@dataclass(frozen=True)
class StorageErrors:
    """A block in which errors of storage become `InputError`: `place` cannot be used, why, and the advice."""

    place: str
    advice: str = "check the storage and the network, then run again"

    def __enter__(self) -> None:
        """Nothing is prepared."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Raises `InputError` from an error of storage."""
        if of_storage(error):
            assert error is not None
            raise InputError(
                f"{self.place} {_what(error)} ({first_line(error)}): {self.advice}.", code="storage"
            ) from error


def _what(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError):
        return "does not exist"
    if isinstance(error, PermissionError):
        return "is refused"
    if isinstance(error, ConnectionError | TimeoutError) or _of_library(error):
        return "cannot be reached"
    return "cannot be read or written"
