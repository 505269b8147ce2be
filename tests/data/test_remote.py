"""Errors of storage become one sentence; others pass as they are."""

import socket
from typing import Any

import pytest
import requests

from tomosoup.core.errors import InputError
from tomosoup.data.copick.remote import StorageErrors, check_storage, of_storage, with_fresh_listings


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (FileNotFoundError(2, "No such file"), "does not exist"),
        (PermissionError(13, "Permission denied"), "is refused"),
        (ConnectionRefusedError(111, "refused"), "cannot be reached"),
        (TimeoutError("timed out"), "cannot be reached"),
        (requests.exceptions.InvalidURL("no host"), "cannot be reached"),
        (OSError(5, "Input/output error"), "cannot be read or written"),
        (IsADirectoryError(21, "Is a directory"), "cannot be read or written"),
    ],
)
def test_what_storage_does_is_said_with_its_place_the_cause_and_the_advice(error: Exception, says: str) -> None:
    with pytest.raises(InputError) as said, StorageErrors("The disk", advice="buy one"):
        raise error
    assert str(said.value).startswith(f"The disk {says} (")
    assert str(error).splitlines()[0] in str(said.value)
    assert str(said.value).endswith(": buy one.")
    assert said.value.__cause__ is error


@pytest.mark.parametrize("error", [KeyError("x"), ValueError("y"), InputError("ours"), KeyboardInterrupt()])
def test_what_a_file_holds_is_no_fault_of_storage(error: BaseException) -> None:
    assert not of_storage(error)
    with pytest.raises(type(error)) as passed, StorageErrors("The disk"):
        raise error
    assert passed.value is error


def test_without_an_error_nothing_is_raised() -> None:
    assert not of_storage(None)
    with StorageErrors("The disk"):
        pass


def test_only_roots_on_s3_are_listed_anew_and_the_users_arguments_stay() -> None:
    config: dict[str, Any] = {
        "static_root": "s3://bucket/a",
        "static_fs_args": {"key": "k"},
        "overlay_root": "local:///b",
        "overlay_fs_args": {"auto_mkdir": True},
    }
    fresh = with_fresh_listings(config)
    assert fresh["static_fs_args"] == {"use_listings_cache": False, "key": "k"}
    assert fresh["overlay_fs_args"] == {"auto_mkdir": True}
    assert config["static_fs_args"] == {"key": "k"}


def test_a_user_who_wants_listings_kept_gets_them() -> None:
    config = {"overlay_root": "s3a://bucket", "overlay_fs_args": {"use_listings_cache": True}}
    assert with_fresh_listings(config)["overlay_fs_args"] == {"use_listings_cache": True}


def test_a_configuration_without_s3_is_not_touched_or_asked_for() -> None:
    config = {"static_root": "local:///gone", "overlay_root": None}
    assert with_fresh_listings(config) == config
    check_storage(config, name="c.json")


def test_a_server_that_is_not_there_is_told_with_what_to_check() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = {"key": "a", "secret": "b", "endpoint_url": f"http://127.0.0.1:{port}"}
    config = {"overlay_root": "s3://bucket/x", "overlay_fs_args": arguments}
    with pytest.raises(InputError, match=r"overlay_root s3://bucket/x .*overlay_fs_args .*in c\.json"):
        check_storage(config, name="c.json")
