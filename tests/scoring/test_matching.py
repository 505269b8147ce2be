import json
from pathlib import Path

import numpy as np
import pytest

from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.core.thresholds import apply_thresholds
from tomosoup.core.types import Picks, Species
from tomosoup.data.formats.tables.picks_csv import read_csv
from tomosoup.scoring.matched_picks import MatchedPicks, RankedPicks
from tomosoup.scoring.matching import Matches, match
from tomosoup.scoring.score import score
from tomosoup.scoring.thresholds import best_threshold, best_thresholds, steady_threshold


def ranked(pairs: list[tuple[Picks, Picks]], *, distance: float) -> RankedPicks:
    """(picks, truth) of one species, a pair a tomogram, in one ranking."""
    return RankedPicks.of(MatchedPicks.of(picks, truth, distance=distance) for picks, truth in pairs)


def test_the_score_is_the_contests_score(reference: Path) -> None:
    expected = json.loads((reference / "parts_seed0.json").read_text())["metric"]
    picks, truth = (read_csv(reference / f"metric_{name}_seed0.csv") for name in ("submission", "solution"))
    result = score(picks, truth, CONTEST_SPECIES)
    assert result.weighted == pytest.approx(expected["score"], abs=1e-12)
    assert {n: {"tp": m.tp, "fp": m.fp, "fn": m.fn} for n, m in result.species.items()} == expected["counts"]
    assert np.mean([m.f_beta() for m in result.species.values()]) == pytest.approx(expected["unweighted"], abs=1e-12)


@pytest.mark.parametrize(("name", "expected"), [("five", 0.7826703), ("seven", 0.4044677)])
def test_real_predictions_score_what_others_found(real_data: Path, name: str, expected: float) -> None:
    picks = read_csv(real_data / f"czii_predictions_{name}_runs.csv")
    truth = read_csv(real_data / "czii_train_picks.csv")
    result = score(picks, truth, CONTEST_SPECIES)
    assert result.weighted == pytest.approx(expected, abs=2e-7)
    assert len(result.runs) == {"five": 5, "seven": 7}[name]
    if name == "five":
        everything = score(picks, truth, CONTEST_SPECIES, runs=tuple(truth))
        assert everything.weighted == pytest.approx(0.5715414, abs=5e-8)  # two runs more, all missed


def test_f_beta_weighs_a_missed_particle_like_sixteen_false_picks() -> None:
    assert Matches(tp=3, fp=5, fn=2).f_beta() == pytest.approx(17 * 3 / (17 * 3 + 16 * 2 + 5))
    assert Matches(tp=3, fp=5, fn=2).f_beta(beta=1.0) == pytest.approx(2 * 3 / (2 * 3 + 2 + 5))
    assert Matches(tp=7, fp=16, fn=3).f_beta() == Matches(tp=7, fp=0, fn=4).f_beta() != Matches(7, 0, 3).f_beta()


def far_apart(number: int) -> Picks:
    return Picks.of(1000.0 * np.arange(number)[:, None] * np.ones(3))


def test_the_score_is_the_mean_by_weight_of_the_species_that_occur() -> None:
    species = [Species("a", 60.0, 1.0), Species("b", 60.0, 2.0), Species("c", 60.0, 0.0), Species("d", 60.0, 5.0)]
    truth = {"a": far_apart(4), "b": far_apart(4), "c": far_apart(4)}
    picks = {"a": far_apart(4), "b": far_apart(2)}
    result = score({"r": picks}, {"r": truth, "unpicked": truth}, species)
    half = Matches(tp=2, fp=0, fn=2).f_beta()
    assert result.weighted == pytest.approx((1 + 2 * half) / 3)
    assert (result.runs, result.left_out) == (("r",), ("unpicked",))
    assert score({"r": {}}, {"r": {"c": far_apart(1)}}, species).weighted == 0


def test_all_species_divides_by_the_contests_seven_where_a_species_occurs_nowhere() -> None:
    """Ribosomes (weight 1) all found, beta-galactosidase (2) half found, the weights of the others 4 together."""
    truth = {"r": {"ribosome": far_apart(4), "beta-galactosidase": far_apart(4)}}
    picks = {"r": {"ribosome": far_apart(4), "beta-galactosidase": far_apart(2)}}
    half = 17 * 2 / (17 * 2 + 16 * 2)
    assert score(picks, truth, CONTEST_SPECIES, all_species=True).weighted == pytest.approx((1 + 2 * half) / 7)
    assert score(picks, truth, CONTEST_SPECIES).weighted == pytest.approx((1 + 2 * half) / 3)


def test_a_pick_counts_within_half_a_radius() -> None:
    species = [Species("a", 60.0)]
    for away, hits in ((30.0, 1), (30.1, 0)):
        result = score({"r": {"a": Picks.of([[0, 0, away]])}}, {"r": {"a": Picks.of([[0, 0, 0]])}}, species)
        assert result.species["a"].tp == hits


def test_no_picks_at_all_have_missed_everything() -> None:
    result = score({}, {"r": {"ribosome": Picks.of([[1, 2, 3]])}}, CONTEST_SPECIES)
    assert result.species["ribosome"] == Matches(0, 0, 1)
    assert result.weighted == 0


def test_one_pick_that_hits_two_particles_counts_two() -> None:
    picks, truth = Picks.of([[0, 0, 0]]), Picks.of([[0, 0, 5], [0, 0, -5]])
    assert match(picks, truth, distance=6) == Matches(tp=2, fp=-1, fn=0)


def test_a_second_pick_of_one_particle_is_false() -> None:
    assert match(Picks.of([[0, 0, 0], [0, 0, 1]]), Picks.of([[0, 0, 0]]), distance=2) == Matches(1, 1, 0)


def test_the_distance_is_inclusive() -> None:
    picks, truth = Picks.of([[0, 0, 3]]), Picks.of([[0, 0, 0]])
    assert match(picks, truth, distance=3).tp == 1
    assert match(picks, truth, distance=2.999).tp == 0


def test_nothing_found_and_nothing_there() -> None:
    none, one = Picks.of([]), Picks.of([[1, 2, 3]])
    assert match(none, none, distance=1) == Matches(0, 0, 0)
    assert match(one, none, distance=1) == Matches(0, 1, 0)
    assert match(none, one, distance=1) == Matches(0, 0, 1)
    assert Matches().f_beta() == 0


def test_the_best_threshold_is_the_one_that_trying_all_finds() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        pairs = []
        for _ in range(3):
            truth = Picks.of(random.uniform(0, 100, (8, 3)))
            zyx = np.vstack([truth.zyx[:5] + random.normal(0, 4, (5, 3)), random.uniform(0, 100, (12, 3))])
            pairs.append((Picks(zyx, np.round(random.random(17), 1)), truth))  # rounded: equal scores occur
        picks = ranked(pairs, distance=8)
        threshold = best_threshold(picks)
        found = picks.at(threshold)
        tried = {
            t: sum((match(p.above(t), true, distance=8) for p, true in pairs), Matches()).f_beta()
            for t in np.unique(np.concatenate([p.score for p, _ in pairs]))
        }
        assert found.f_beta() == pytest.approx(max(tried.values()))
        assert tried[threshold] == pytest.approx(found.f_beta())


def test_equal_scores_pass_together_and_every_pick_counts() -> None:
    tied = RankedPicks(np.array([0.9, *[0.5] * 41]), np.array([1.0, 1.0, *[0.0] * 40]), particles=2)
    assert best_threshold(tied) == 0.9  # the particle at 0.5 comes with forty false picks of the same score
    assert tied.at(0.5) == Matches(tp=2, fp=40, fn=0)
    after_a_false_pick = RankedPicks(np.array([0.9, 0.8, 0.7]), np.array([1.0, 0.0, 1.0]), particles=2)
    assert best_threshold(after_a_false_pick, beta=1.0) == 0.7  # F1 0.8 against 0.667


def test_a_steady_threshold_loses_less_on_particles_to_come() -> None:
    def run(random: np.random.Generator, particles: int) -> tuple[Picks, Picks]:
        """Particles with scores about 0.6, five times as many false picks with lower ones, nothing within reach."""
        places = 100.0 * np.stack(np.meshgrid(*[np.arange(20)] * 3), axis=-1).reshape(-1, 3)[: 6 * particles]
        scores = [random.normal(0.6, 0.12, particles).clip(0.05), random.exponential(0.1, 5 * particles) + 0.05]
        return Picks(places, np.concatenate(scores)), Picks.of(places[:particles])

    gains = []
    for seed in range(20):
        random = np.random.default_rng(seed)
        few, many = (ranked([run(random, particles)], distance=10) for particles in (12, 1000))
        steady, best = (many.at(t).f_beta() for t in (steady_threshold(few), best_threshold(few)))
        gains.append(steady - best)
    assert np.mean(gains) > 0.02
    narrow = many.at(steady_threshold(many, margin=1e-3)).f_beta()
    assert narrow == pytest.approx(many.at(best_threshold(many)).f_beta(), abs=0.01)
    nothing_hit = ranked([(Picks.of([[1, 2, 3]]), Picks.of([]))], distance=10)
    assert steady_threshold(nothing_hit) == best_threshold(nothing_hit) == np.inf


def test_a_steady_threshold_has_the_best_expected_f_beta() -> None:
    random = np.random.default_rng(3)
    score = np.sort(random.uniform(0.1, 1.0, 30))[::-1]
    picks = RankedPicks(score, (random.random(30) < score).astype(float), particles=20)

    def expected(threshold: float) -> float:
        passes = 1 / (1 + (threshold / score) ** (1 / 0.2))
        tp = passes @ picks.gain
        return float(17 * tp / (16 * 20 + passes.sum()))

    best = max(np.linspace(0.05, 1.0, 1000), key=expected)
    assert expected(steady_threshold(picks, margin=0.2)) == pytest.approx(expected(best), abs=1e-3)
    assert steady_threshold(picks, margin=0.2) == pytest.approx(best, rel=0.05)


def test_best_thresholds_give_the_score_that_they_promise() -> None:
    random = np.random.default_rng(1)
    species = CONTEST_SPECIES[:2]
    truth = {s.name: Picks.of(random.uniform(0, 500, (20, 3))) for s in species}
    picks = {
        s.name: Picks(
            np.vstack([truth[s.name].zyx[:15] + 5, random.uniform(0, 500, (60, 3))]), np.linspace(0.9, 0.1, 75)
        )
        for s in species
    }
    thresholds, promised = best_thresholds([(picks, truth)], species)
    kept = score({"r": apply_thresholds(picks, thresholds)}, {"r": truth}, species)
    assert kept.species == promised.species
    assert kept.weighted == pytest.approx(promised.weighted)
    assert promised.weighted > score({"r": picks}, {"r": truth}, species).weighted


def test_a_threshold_as_high_as_a_pick_keeps_it_in_the_counts() -> None:
    picks, truth = Picks(np.array([[0.0, 0, 0], [50, 0, 0]]), np.array([0.5, 0.5])), Picks.of([[0, 0, 0]])
    assert MatchedPicks.of(picks, truth, distance=10).at(0.5) == Matches(tp=1, fp=1, fn=0)
