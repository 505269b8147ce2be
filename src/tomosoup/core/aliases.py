"""What the CryoET Data Portal calls the contest's particles and tomograms.

Names and identifiers: copick's tutorial that rebuilds the contest's data from the portal's dataset 10440
(docs/examples/tutorials, github.com/copick/copick) and copick-torch's tests on that dataset. copick makes the type of
a portal tomogram of its method, processing, software and CTF correction; the one below is the tutorial's. `apoferritin`
is what octopi's examples call their portal object.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tomosoup.core.errors import InputError
from tomosoup.core.types import Picks, PicksBySpecies, Species

PARTICLES: Mapping[str, tuple[str, ...]] = {
    "apo-ferritin": ("ferritin-complex", "apoferritin", "GO:0070288"),
    "beta-amylase": ("UniProtKB:P10537",),
    "beta-galactosidase": ("UniProtKB:P00722",),
    "ribosome": ("cytosolic-ribosome", "GO:0022626"),
    "thyroglobulin": ("UniProtKB:P01267",),
    "virus-like-particle": ("virus-like-capsid", "GO:0170047"),
}
"""The contest's name -> other names and identifiers of the same particle."""
TOMO_TYPES: Mapping[str, str] = {"denoised": "wbp-denoised-denoiset-ctfdeconv"}
"""The contest's tomogram type -> the portal's. Its other types are on the portal under names not known here."""
CONTEST_TYPES = ("denoised", "wbp", "ctfdeconvolved", "isonetcorrected")
"""The contest's tomogram types. Other names do not say how a tomogram was made."""
NO_RADIUS = 50.0
"""The radius that copick gives every object of a portal project (Å), whatever the particle."""


def contest_name(name: str, identifier: str | None = None) -> str:
    """The contest's name of a particle, by any of its names or by its identifier; `name` where it is none of these."""
    return next((c for c, others in PARTICLES.items() if name == c or {name, identifier} & set(others)), name)


def identifier_of(name: str) -> str:
    """The identifier in the Gene Ontology or UniProtKB of a particle of the contest, by any of its names, else ""."""
    return next((other for other in PARTICLES.get(contest_name(name), ()) if ":" in other), "")


def contest_type(tomo_type: str) -> str:
    """The contest's name of a tomogram type, by the contest's or the portal's name; "" where it is neither."""
    names = {TOMO_TYPES.get(name, name): name for name in CONTEST_TYPES} | {name: name for name in CONTEST_TYPES}
    return names.get(tomo_type, "")


def translation(names: Iterable[str], listed: Mapping[str, str]) -> dict[str, str]:
    """What a project calls particles: itself where it lists the name, else its one particle of the same contest's name.

    `listed` has the contest's names of the project's own. A name that the project does not know stays. Raises
    `InputError` where two particles are, or would become, one.
    """
    called: dict[str, str] = {}
    for name in names:
        same = [own for own, contest in listed.items() if contest == contest_name(name)]
        if name not in listed and len(same) > 1:
            raise InputError(
                f"The project lists {' and '.join(same)}, which both could be {name}: rename or drop all but one of "
                "them in its pickable objects."
            )
        called[name] = name if name in listed or not same else same[0]
    if doubled := [name for name, own in called.items() if list(called.values()).count(own) > 1]:
        raise InputError(
            f"{' and '.join(doubled)} are one particle of the project, {called[doubled[0]]}: expected one name for it; "
            "list them apart in its pickable objects."
        )
    return called


def called_as(species: Sequence[Species], picks: PicksBySpecies) -> dict[str, Picks]:
    """Picks of the same particles, under the names that `species` has for them."""
    names = translation(picks, {s.name: contest_name(s.name) for s in species})
    return {names[name]: found for name, found in picks.items()}
