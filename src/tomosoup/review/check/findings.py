"""What a check found, and how much it matters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be, in a sentence that says what to do."""

    severity: Severity
    """An error makes results wrong or a command fail; a warning may cost particles; a note is to be known."""
    check: str
    """What was looked at: "voxel size", "contrast", ..."""
    text: str
    runs: tuple[str, ...] = ()
    """The runs concerned; none means all."""
    species: str | None = None


@dataclass(frozen=True)
class Report:
    """All findings, the gravest first, and what was measured on the way."""

    findings: tuple[Finding, ...]
    measured: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, findings: Sequence[Finding], measured: Mapping[str, Any]) -> Report:
        """The findings by severity, else in the order in which they were found."""
        return cls(tuple(sorted(findings, key=lambda f: SEVERITIES.index(f.severity))), measured)

    @property
    def failed(self) -> bool:
        """Whether there is an error."""
        return any(f.severity == "error" for f in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """What `tomosoup check --json` prints."""
        return {"findings": [asdict(f) for f in self.findings], "measured": dict(self.measured)}
