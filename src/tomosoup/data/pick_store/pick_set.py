"""A set of picks, as copick files them: those of one user and session."""

from __future__ import annotations

from typing import NamedTuple

from tomosoup.core.errors import InputError

OWN_USER = "tomosoup"
"""The copick user under which this program writes picks."""
ANNOTATOR_USER = "simulated-annotator"
"""The copick user of simulated picks with an annotator's errors."""
CANDIDATES = "-candidates"
"""Ends the name of the session that holds all picks above the floor, for other thresholds later."""


class PickSet(NamedTuple):
    """The name of a set: copick's user and session."""

    user: str
    session: str

    @classmethod
    def of(cls, text: str) -> PickSet:
        """The set called USER/SESSION. Raises `InputError` for any other text."""
        user, _, session = text.partition("/")
        if not user or not session or "/" in session:
            raise InputError(f"Expected a set of picks as USER/SESSION, got {text!r}.")
        return cls(user, session)

    @property
    def candidates(self) -> PickSet:
        """The set with all picks above the floor, of which this one holds those that pass the thresholds."""
        return PickSet(self.user, self.session + CANDIDATES)

    @property
    def holds_candidates(self) -> bool:
        """Whether it is such a set."""
        return self.session.endswith(CANDIDATES)

    @property
    def passing(self) -> PickSet:
        """The set with the picks that pass the thresholds, of which this one holds the candidates; or itself."""
        return PickSet(self.user, self.session.removesuffix(CANDIDATES))

    @property
    def own(self) -> bool:
        """Whether this program wrote it."""
        return self.user == OWN_USER

    @property
    def is_truth(self) -> bool:
        """Whether its picks are the true ones where a user names no set: they are not this program's, nor erroneous."""
        return not self.own and self.user != ANNOTATOR_USER

    def __str__(self) -> str:
        """USER/SESSION."""
        return f"{self.user}/{self.session}"
