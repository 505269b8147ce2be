"""Findings are listed by severity and become JSON."""

import json

import pytest

from tomosoup.review.check.findings import SEVERITIES, CheckResult, Finding

NOTE, WARNING, ERROR = (Finding(severity, "contrast", severity) for severity in ("note", "warning", "error"))


def test_the_most_serious_come_first_and_equals_stay_in_their_order() -> None:
    second = Finding("warning", "radius", "another")
    result = CheckResult.of([NOTE, WARNING, second, ERROR], {})
    assert [f.text for f in result.findings] == ["error", "warning", "another", "note"]


@pytest.mark.parametrize(
    ("findings", "failed"), [([], False), ([NOTE], False), ([WARNING, NOTE], False), ([NOTE, ERROR], True)]
)
def test_only_an_error_makes_the_check_fail(findings: list[Finding], failed: bool) -> None:
    assert CheckResult.of(findings, {}).failed is failed


def test_every_severity_can_be_sorted() -> None:
    assert {f.severity for f in (NOTE, WARNING, ERROR)} == set(SEVERITIES)


def test_what_is_printed_for_programs_is_json_with_all_that_is_known() -> None:
    finding = Finding("error", "outside", "text", ("a", "b"), "ribosome")
    printed = json.loads(json.dumps(CheckResult.of([finding], {"runs": 2}).as_dict()))
    assert printed == {
        "findings": [
            {"severity": "error", "check": "outside", "text": "text", "runs": ["a", "b"], "species": "ribosome"}
        ],
        "measured": {"runs": 2},
    }
