"""One particle under the contest's name and the portal's."""

import pytest

from tomosoup.core.aliases import PARTICLES, TOMO_TYPES, called_as, contest_name, identifier_of, translation
from tomosoup.core.errors import InputError
from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.core.types import Picks, Species


def test_every_species_of_the_contest_has_other_names_and_no_other_name_is_two_particles() -> None:
    assert set(PARTICLES) == {s.name for s in CONTEST_SPECIES}
    others = [other for names in PARTICLES.values() for other in names]
    assert len(set(others)) == len(others)
    assert not set(others) & set(PARTICLES)


@pytest.mark.parametrize("name", list(PARTICLES))
def test_a_particle_is_known_by_each_of_its_names(name: str) -> None:
    assert contest_name(name) == name
    for other in PARTICLES[name]:
        assert contest_name(other) == name


@pytest.mark.parametrize("name", list(PARTICLES))
def test_an_identifier_tells_a_particle_of_an_unknown_name(name: str) -> None:
    identifier = PARTICLES[name][-1]
    assert contest_name("my favourite", identifier) == name
    assert [identifier_of(called) for called in (name, PARTICLES[name][0])] == [identifier] * 2


def test_an_unknown_particle_has_no_identifier() -> None:
    assert identifier_of("proteasome") == ""


def test_a_name_of_the_contest_goes_before_an_identifier() -> None:
    assert contest_name("ribosome", PARTICLES["ribosome"][-1]) == "ribosome"


def test_a_strange_name_stays() -> None:
    assert contest_name("proteasome") == "proteasome"
    assert contest_name("proteasome", "GO:0000502") == "proteasome"


def test_the_contests_denoised_tomograms_have_a_name_on_the_portal() -> None:
    assert set(TOMO_TYPES) == {"denoised"}


def listed(*names: str) -> dict[str, str]:
    return {name: contest_name(name) for name in names}


def test_a_name_that_the_project_lists_is_its_own() -> None:
    assert translation(["ribosome"], listed("ribosome", "cytosolic-ribosome")) == {"ribosome": "ribosome"}


def test_the_portals_name_is_found_for_the_contests_and_back() -> None:
    assert translation(["ribosome"], listed("cytosolic-ribosome")) == {"ribosome": "cytosolic-ribosome"}
    assert translation(["cytosolic-ribosome"], listed("ribosome")) == {"cytosolic-ribosome": "ribosome"}


def test_a_name_that_nobody_knows_stays() -> None:
    assert translation(["proteasome"], listed("ribosome")) == {"proteasome": "proteasome"}


def test_two_objects_that_both_could_be_meant_are_an_error_that_names_them() -> None:
    with pytest.raises(InputError, match=r"ferritin-complex and apoferritin, which both could be apo-ferritin"):
        translation(["apo-ferritin"], listed("ferritin-complex", "apoferritin"))


def test_two_names_that_become_one_are_an_error_that_names_them() -> None:
    with pytest.raises(InputError, match=r"ribosome and cytosolic-ribosome are one particle"):
        translation(["ribosome", "cytosolic-ribosome"], listed("ribosome-80s", "cytosolic-ribosome"))


def test_picks_keep_their_positions_under_another_name() -> None:
    picks = {"ribosome": Picks.of([[1, 2, 3]]), "proteasome": Picks.of([[4, 5, 6]])}
    renamed = called_as([Species("cytosolic-ribosome", 150), Species("other", 10)], picks)
    assert list(renamed) == ["cytosolic-ribosome", "proteasome"]
    assert renamed["cytosolic-ribosome"] is picks["ribosome"]
    assert renamed["proteasome"] is picks["proteasome"]
