"""What a check found, and how serious it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """One problem, in a sentence that says what to do."""

    severity: Severity
    """An error makes results wrong or a command fail; a warning may cost particles; a note is good to know."""
    check: str
    """What was checked: "voxel size", "contrast", ..."""
    text: str
    runs: tuple[str, ...] = ()
    """The runs concerned; none means all."""
    species: str | None = None


@dataclass(frozen=True)
class CheckResult:
    """All findings, the most serious first, and what was measured."""

    findings: tuple[Finding, ...]
    measured: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, findings: Sequence[Finding], measured: Mapping[str, Any]) -> CheckResult:
        """The findings sorted by severity; those of one severity stay in their order."""
        return cls(tuple(sorted(findings, key=lambda f: SEVERITIES.index(f.severity))), measured)

    @property
    def failed(self) -> bool:
        """Whether there is an error."""
        return any(f.severity == "error" for f in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """The findings and measures in JSON's types."""
        return {"findings": [asdict(f) for f in self.findings], "measured": dict(self.measured)}
