"""What tests of the command line share."""

from collections.abc import Callable

import pytest

from tomosoup.cli.main import main


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that must fail with one sentence; returns the sentence."""

    def run(*words: object, code: int = 1) -> str:
        with pytest.raises(SystemExit) as end:
            main([str(w) for w in words])
        assert end.value.code == code
        said = capsys.readouterr().err
        assert "Traceback" not in said
        (sentence,) = [line for line in said.splitlines() if line.startswith("tomosoup: ")]
        return sentence

    return run
