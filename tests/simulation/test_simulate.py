import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import torch
from density import PERFECT, blobs, correlation, peak_near, placed, poses
from scipy import ndimage

from tomosoup.core.errors import InputError
from tomosoup.core.types import Picks, Volume
from tomosoup.data.volumes.normalisation import standardise
from tomosoup.simulation.denoising import weights
from tomosoup.simulation.denoising.apply import denoise_volume
from tomosoup.simulation.denoising.net import DenoisingNet
from tomosoup.simulation.denoising.weights import Denoiser, Network, shipped_denoiser
from tomosoup.simulation.options.microscope import MicroscopeOptions, ReconstructionOptions, TomoType
from tomosoup.simulation.options.recipe import SimulationRecipe
from tomosoup.simulation.options.specimen import SampleOptions
from tomosoup.simulation.simulate import STEPS, Scene, simulate_run
from tomosoup.simulation.specimen.built_in import PROTEIN_VOLUME, SHAPES, built_in
from tomosoup.simulation.specimen.density_maps import support
from tomosoup.simulation.specimen.unlabelled import bead
from tomosoup.simulation.spectrum import FREQUENCIES

COARSE = MicroscopeOptions(tilt_step=6.0)
BRIGHT = MicroscopeOptions(tilt_step=6.0, dose=(1e6, 1e6), damage=False, defocus=(4.0, 4.0))
"""So many electrons that next to no noise is left."""
SMALL = SimulationRecipe(shape=(24, 40, 40), concentration={"apo-ferritin": 60000.0}, microscope=COARSE)
KINDS = ("denoised", "ctfdeconvolved", "wbp")
BOTH_HALVES = ReconstructionOptions(half_sets=True)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return simulate_run(SMALL, seed=7)


@pytest.fixture(scope="module")
def of_every_kind() -> Scene:
    options = ReconstructionOptions(tomo_types=KINDS, half_sets=True)
    return simulate_run(SMALL.model_copy(update={"reconstruction": options}), seed=7)


@pytest.fixture
def map_file(tmp_path: Path) -> Path:
    """The map of a blob, in an MRC file."""
    path = tmp_path / "map.mrc"
    with mrcfile.new(path) as file:
        file.set_data(blobs((0, 0, 0)).numpy())
        file.voxel_size = 10.0
    return path


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Sets the number of torch's threads, for this test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


# Particles of a scene.


def test_a_particle_of_a_scene_is_darkest_at_its_true_place(map_file: Path) -> None:
    shape = (32, 49, 52)
    microscope = PERFECT.model_copy(update={"dose": (1e6, 1e6)})
    recipe = SimulationRecipe(shape=shape, maps={"a": map_file}, map_mass={"a": 500.0}, microscope=microscope)
    zyx = np.array([(121.0, 113.0, 377.0), (204.0, 346.0, 141.0), (160.0, 160.0, 200.0)])
    scene = simulate_run(recipe, seed=0, at={"a": Picks.of(zyx)})
    assert scene.volume.shape == shape
    # Copick's rule: Å count from the outer corner of the first voxel, whose own centre is half a voxel in.
    expected = zyx / 10.0 - 0.5
    np.testing.assert_allclose(scene.volume.to_voxel(scene.truth["a"].zyx), expected)
    np.testing.assert_allclose([peak_near(-scene.volume.data, p) for p in expected], expected, atol=0.2)


@pytest.mark.parametrize("kind", KINDS)
def test_particles_are_dark(kind: str) -> None:
    recipe = SimulationRecipe(
        shape=(40, 80, 80),
        concentration={"ribosome": 12000.0},
        microscope=MicroscopeOptions(dose=(500.0, 500.0), defocus=(4.0, 4.0)),
        reconstruction=ReconstructionOptions(tomo_types=(kind,), snr=10.0),
    )
    scene = simulate_run(recipe, seed=5)
    places = scene.volume.to_voxel(scene.truth["ribosome"].zyx).round().astype(int)
    assert len(places) == 3
    smooth = ndimage.uniform_filter(scene.volume.data.numpy(), 5)
    assert smooth[tuple(places.T)].mean() < -0.3


def test_every_tomogram_has_mean_0_and_deviation_1(of_every_kind: Scene) -> None:
    for volume in of_every_kind.volumes.values():
        assert volume.shape == SMALL.shape
        assert volume.voxel_size == 10.0
        assert volume.origin == (5.0, 5.0, 5.0)
        assert float(volume.data.mean()) == pytest.approx(0, abs=1e-4)
        assert float(volume.data.std()) == pytest.approx(1, abs=1e-4)


def test_given_places_and_rotations_are_the_truth() -> None:
    zyx = np.array([(100.1, 111.2, 222.3), (130.0, 300.7, 95.0)])
    given = placed(zyx, poses(2, seed=2))
    bare = Picks.of(zyx[:1] + 30)
    truth = simulate_run(SMALL, seed=0, at={"apo-ferritin": given, "beta-amylase": bare}).truth
    np.testing.assert_array_equal(truth["apo-ferritin"].zyx, zyx)
    np.testing.assert_array_equal(truth["apo-ferritin"].rotations, given.rotations)
    np.testing.assert_array_equal(truth["beta-amylase"].zyx, bare.zyx)
    drawn = truth["beta-amylase"].rotations
    assert drawn is not None
    np.testing.assert_allclose(drawn[0] @ drawn[0].T, np.eye(3), atol=1e-9)
    assert np.linalg.det(drawn[0]) == pytest.approx(1)
    assert np.abs(drawn[0] - np.eye(3)).max() > 0.1


@pytest.mark.parametrize("given", [False, True], ids=["drawn", "given"])
def test_labels_are_at_the_true_places_and_as_large_as_the_particles(given: bool) -> None:
    names = ("apo-ferritin", "beta-amylase", "ribosome")
    recipe = SimulationRecipe(
        shape=(48, 96, 96), concentration=dict(zip(names, (30000.0, 30000.0, 9000.0), strict=True)), microscope=COARSE
    )
    scene = simulate_run(recipe, seed=7)
    if given:
        scene = simulate_run(recipe, seed=8, at=scene.truth)
    labels = scene.labels.data.numpy()
    assert labels.dtype == np.uint8
    assert (scene.labels.shape, scene.labels.origin) == (scene.volume.shape, scene.volume.origin)
    assert sorted(np.unique(labels)) == [0, 1, 2, 3]
    for i, (name, picks) in enumerate(scene.truth.items()):
        at = scene.labels.to_voxel(picks.zyx).round().astype(int)
        assert len(at) >= 4
        assert (labels[tuple(at.T)] == i + 1).all()
        one = len(support(torch.from_numpy(built_in(name, voxel_size=10.0)), voxel_size=10.0))
        assert (labels == i + 1).sum() == pytest.approx(len(picks) * one, rel=0.15)
    # A ribosome's envelope is what protein of its whole 4.3 MDa fills, and the water in its clefts.
    volume = 4300.0 * PROTEIN_VOLUME / 10.0**3
    assert 1.0 < (labels == 3).sum() / len(scene.truth["ribosome"]) / volume < 1.5


def test_numbers_follow_the_concentrations_and_those_of_species_without_one_the_default(map_file: Path) -> None:
    recipe = SimulationRecipe(
        shape=(30, 60, 60),
        concentration={"apo-ferritin": 37000.0, "beta-amylase": 0.0},
        default_concentration=46000.0,
        maps={"a": map_file},
        microscope=COARSE,
    )
    truth = simulate_run(recipe, seed=0).truth
    assert {name: len(picks) for name, picks in truth.items()} == {"a": 5, "apo-ferritin": 4, "beta-amylase": 0}


# The tomograms of a scene.


def test_a_scene_holds_just_the_asked_kinds_in_their_order(of_every_kind: Scene, scene: Scene) -> None:
    halves = [f"{name}-half{i}" for name in ("wbp", "ctfdeconvolved") for i in (1, 2)]
    assert list(of_every_kind.volumes) == [*KINDS, *halves]
    assert of_every_kind.volume is of_every_kind.volumes["denoised"]
    assert list(scene.volumes) == ["wbp"]
    assert torch.equal(scene.volume.data, of_every_kind.volumes["wbp"].data)
    likeness = [
        correlation(of_every_kind.volumes["wbp"].data, of_every_kind.volumes[k].data)
        for k in ("denoised", "ctfdeconvolved")
    ]
    assert min(likeness) > 0.05
    assert max(likeness) < 0.98


@pytest.mark.parametrize(
    ("made", "network", "strength", "source", "deconvolved"),
    [
        ("denoised", "denoiser", 0.8, "ctfdeconvolved", 1.0),
        ("denoised", "denoiser", 0.8, "wbp", 0.0),
        ("isonetcorrected", "wedge", 0.9, "ctfdeconvolved", 0.0),
    ],
)
def test_a_network_makes_a_type_from_another(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    made: TomoType,
    network: Network,
    strength: float,
    source: TomoType,
    deconvolved: float,
) -> None:
    for seed, name in enumerate(("denoiser", "wedge")):
        torch.manual_seed(seed)
        net = DenoisingNet((2, 2, 2)).requires_grad_(False)
        Denoiser(net, 10.0, "nothing", spectrum=(0.0,) * len(FREQUENCIES)).save(tmp_path / f"{name}.safetensors")
    monkeypatch.setattr(weights, "SHIPPED", tmp_path)

    def volumes(*tomo_types: TomoType) -> dict[str, Volume]:
        options = ReconstructionOptions(
            tomo_types=tomo_types, denoiser="net", denoising=(0.8, 0.8), deconvolved=deconvolved, half_sets=True
        )
        return simulate_run(SMALL.model_copy(update={"reconstruction": options}), seed=7).volumes

    both, alone = volumes(source, made), volumes(made)
    assert list(alone) == [made, "wbp-half1", "wbp-half2"]
    assert torch.equal(alone[made].data, both[made].data)
    denoiser = replace(shipped_denoiser(network), strength=strength, spectrum=None)  # the spectrum is its own already
    expected = standardise(denoise_volume(denoiser, both[source]))
    torch.testing.assert_close(alone[made].data, expected.data, atol=1e-4, rtol=1e-3)


def test_half_sets_share_the_particles_and_not_the_noise() -> None:
    recipe = SMALL.model_copy(update={"reconstruction": BOTH_HALVES, "concentration": {}})
    empty = simulate_run(recipe, seed=1).volumes
    assert abs(correlation(empty["wbp-half1"].data, empty["wbp-half2"].data)) < 0.05
    particles = {"apo-ferritin": 60000.0}
    full = simulate_run(recipe.model_copy(update={"microscope": BRIGHT, "concentration": particles}), seed=1).volumes
    first, second = (full[f"wbp-half{i}"].data for i in (1, 2))
    assert correlation(first, second) > 0.9
    assert correlation(first + second, full["wbp"].data) > 0.99


def test_contrast_grows_with_the_dose() -> None:
    def agreement(dose: float) -> float:
        microscope = COARSE.model_copy(update={"dose": (dose, dose), "damage": False})
        options = {"microscope": microscope, "reconstruction": BOTH_HALVES}
        volumes = simulate_run(SMALL.model_copy(update=options), seed=7).volumes
        return correlation(volumes["wbp-half1"].data, volumes["wbp-half2"].data)

    # Correlation is s / (s + 1) where s is the signal-to-noise ratio, which is proportional to the dose.
    ratios = [c / (1 - c) for c in (agreement(1000.0), agreement(4000.0))]
    assert ratios[1] == pytest.approx(4 * ratios[0], rel=0.25)


@pytest.mark.parametrize(
    "options",
    [{"dose_weighting": False}, {"tilt_weighting": 2.0}, {"lowpass": (40.0, 40.0)}],
    ids=lambda options: next(iter(options)),
)
def test_each_weighting_changes_the_tomogram(scene: Scene, options: dict[str, object]) -> None:
    recipe = SMALL.model_copy(update={"reconstruction": ReconstructionOptions.model_validate(options)})
    assert 0.2 < correlation(simulate_run(recipe, seed=7).volume.data, scene.volume.data) < 0.98


# Seeds.


def test_the_same_seed_gives_the_same_scene_whatever_the_number_of_threads(
    of_every_kind: Scene, threads: Callable[[int], None]
) -> None:
    recipe = SimulationRecipe.model_validate(of_every_kind.parameters["recipe"])
    threads(2)
    meanwhile: set[int] = set()
    again = simulate_run(recipe, seed=7, progress=lambda *_: meanwhile.add(torch.get_num_threads()))
    # Volumes too small for threads to matter are the same with any number of them.
    assert meanwhile == {1}
    assert torch.get_num_threads() == 2
    for kind, volume in of_every_kind.volumes.items():
        assert torch.equal(volume.data, again.volumes[kind].data)
    assert torch.equal(of_every_kind.labels.data, again.labels.data)
    one, other = of_every_kind.truth["apo-ferritin"], again.truth["apo-ferritin"]
    assert len(one) == 2
    np.testing.assert_array_equal(one.zyx, other.zyx)
    np.testing.assert_array_equal(one.rotations, other.rotations)


def test_another_seed_gives_other_places_rotations_and_noise(scene: Scene) -> None:
    other = simulate_run(SMALL, seed=8)
    one, two = scene.truth["apo-ferritin"], other.truth["apo-ferritin"]
    assert np.abs(one.zyx - two.zyx).min(axis=1).max() > 1
    assert np.abs(one.rotations - two.rotations).max() > 0.1
    same_places = simulate_run(SMALL, seed=8, at=scene.truth)
    assert correlation(scene.volume.data, same_places.volume.data) < 0.5


def test_ranges_are_drawn_anew_by_each_seed() -> None:
    recipe = SimulationRecipe(
        shape=(8, 16, 16),
        concentration={},
        microscope=MicroscopeOptions(tilt_limit=(40.0, 60.0), tilt_step=10.0, pretilt=(-9.0, 9.0), dose=(60.0, 120.0)),
        reconstruction=ReconstructionOptions(lowpass=(30.0, 60.0), stretch=(0.9, 1.1)),
    )
    runs = [simulate_run(recipe, seed=seed).parameters for seed in range(4)]
    for values in [
        [p["acquisition"]["dose"] for p in runs],
        [p["acquisition"]["angles"][0] for p in runs],
        [p["acquisition"]["defocus"][0] for p in runs],
        [p["sample"]["thickness"] for p in runs],
        [p["processing"]["lowpass"] for p in runs],
        [p["processing"]["stretch"] for p in runs],
    ]:
        assert len(set(values)) == 4


def test_parameters_tell_what_was_drawn_and_survive_json(of_every_kind: Scene) -> None:
    told = json.loads(json.dumps(of_every_kind.parameters))
    assert told["seed"] == 7
    assert SimulationRecipe.model_validate(told["recipe"]).reconstruction.tomo_types == KINDS
    assert told["recipe"]["concentration"] == {"apo-ferritin": 60000.0}
    acquisition = told["acquisition"]
    assert acquisition["angles"] == [float(a) for a in range(-60, 61, 6)]
    assert {
        len(acquisition[k]) for k in ("exposure", "defocus", "angle_errors", "rotation_errors", "shift_errors")
    } == {21}
    assert 1200 <= told["sample"]["thickness"] <= 1800
    assert told["sample"]["carbon"] is None
    assert told["processing"]["stretch"] == 1.0


def test_progress_goes_through_its_steps_to_their_ends() -> None:
    heard: list[tuple[str, int, int]] = []
    simulate_run(SMALL, seed=0, progress=lambda *what: heard.append(what))
    assert tuple(dict.fromkeys(what for what, _, _ in heard)) == STEPS
    for step in STEPS:
        dones = [done / total for what, done, total in heard if what == step]
        assert dones == sorted(dones)
        assert dones[-1] == 1


# The ice and what is in it.


@pytest.mark.parametrize(
    "options",
    [
        {"background_proteins": (40000.0, 40000.0)},
        {"crowding": (0.08, 0.08)},
        {"specks": (200000.0, 200000.0)},
        {"film": (3.0, 3.0)},
        {"aggregates": (20000.0, 20000.0)},
        {"filaments": (40000.0, 40000.0)},
        {"contamination": (2.0, 2.0)},
        {"gold": (3.0, 3.0)},
        {"membranes": (2.0, 2.0)},
        {"carbon": (0.4, 0.4)},
        {"ice_gradient": (0.5, 0.5)},
    ],
    ids=lambda options: next(iter(options)),
)
def test_what_is_in_the_ice_is_seen_and_not_labelled(options: dict[str, object]) -> None:
    recipe = SimulationRecipe(
        shape=(48, 64, 64),
        concentration={},
        sample=SampleOptions.model_validate(options),
        microscope=BRIGHT,
        reconstruction=BOTH_HALVES,
    )
    scene = simulate_run(recipe, seed=3)
    halves = [scene.volumes[f"wbp-half{i}"].data for i in (1, 2)]
    assert correlation(*halves) > 0.3
    assert scene.truth == {}
    assert not bool(scene.labels.data.any())


def test_particles_keep_their_labels_among_other_things() -> None:
    sample = SampleOptions(
        background_proteins=(40000.0, 40000.0), gold=(2.0, 2.0), membranes=(1.0, 1.0), carbon=(0.3, 0.3)
    )
    recipe = SimulationRecipe(
        shape=(48, 64, 64), concentration={"apo-ferritin": 20000.0}, sample=sample, microscope=COARSE
    )
    scene = simulate_run(recipe, seed=3)
    assert list(scene.truth) == ["apo-ferritin"]
    assert sorted(scene.labels.data.unique().tolist()) == [0, 1]
    one = len(support(torch.from_numpy(built_in("apo-ferritin", voxel_size=10.0)), voxel_size=10.0))
    assert int((scene.labels.data == 1).sum()) == pytest.approx(4 * one, rel=0.15)


def test_pieces_of_particles_are_seen_and_not_labelled() -> None:
    recipe = SimulationRecipe(
        shape=(48, 96, 96),
        concentration={"ribosome": 0.0, "thyroglobulin": 10000.0},
        sample=SampleOptions(fragments=(20000.0, 20000.0)),
        microscope=COARSE,
    )
    scene = simulate_run(recipe, seed=1)
    pieces = {n: c for n, c in scene.parameters["sample"]["counts"].items() if "fragment" in n}
    assert len(pieces) > 3
    assert set(pieces.values()) == {1}
    assert sorted(scene.labels.data.unique().tolist()) == [0, 2]
    assert len(scene.truth["ribosome"].zyx) == 0


def test_gold_is_the_darkest_thing() -> None:
    strongest = max(float(built_in(name, voxel_size=10.0).max()) for name in SHAPES)
    assert float(bead(60.0, voxel_size=10.0).max()) > 2 * strongest
    recipe = SimulationRecipe(shape=(48, 64, 64), concentration={"ribosome": 10000.0}, microscope=BRIGHT)
    at = {"ribosome": placed([(240.0, 320.0, 320.0)], poses(1, seed=0))}
    bare = simulate_run(recipe, seed=3, at=at)
    golden = simulate_run(recipe.model_copy(update={"sample": SampleOptions(gold=(1.0, 1.0))}), seed=3, at=at)
    darkest = [np.unravel_index(int(s.volume.data.argmin()), s.volume.shape) for s in (bare, golden)]
    assert [int(s.labels.data[at]) for s, at in zip((bare, golden), darkest, strict=True)] == [1, 0]
    smooth = ndimage.uniform_filter(golden.volume.data.numpy(), 3)
    inside = np.asarray(golden.labels.data == 1)
    assert smooth[darkest[1]] < 2 * smooth[inside].min()


# What cannot be simulated.


def test_a_species_without_a_shape_is_refused() -> None:
    with pytest.raises(InputError, match=r"'teapot' is not a built-in species .* in `maps`"):
        simulate_run(SimulationRecipe(shape=(8, 16, 16), concentration={"teapot": 1.0}), seed=0)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"microscope": {"tilt_limit": (60.0, 90.0)}}, r"microscope\.tilt_limit\S*: expected less than 90"),
        ({"microscope": {"tilt_limit": (60.0, 40.0)}}, r"microscope\.tilt_limit: a range must go up \(low, high\)"),
        ({"microscope": {"tilt_limit": (0.0, 40.0)}}, r"microscope\.tilt_limit\S*: expected more than 0"),
        ({"microscope": {"defocus": (4.0, 2.0)}}, r"microscope\.defocus: a range must go up"),
        ({"microscope": {"pretilt": (5.0, -5.0)}}, r"microscope\.pretilt: a range must go up"),
        ({"microscope": {"dose": (0.0, 5.0)}}, r"microscope\.dose\S*: expected more than 0"),
        ({"microscope": {"order": "any"}}, r"microscope\.order: expected one of dose-symmetric or one-way"),
        ({"sample": {"thickness": (2000.0, 1000.0)}}, r"sample\.thickness: a range must go up"),
        ({"sample": {"carbon": (0.5, 1.5)}}, r"sample\.carbon\S*: expected 1 or less"),
        ({"sample": {"crowding": (0.5, 0.2)}}, r"sample\.crowding: a range must go up"),
        ({"reconstruction": {"lowpass": (60.0, 30.0)}}, r"reconstruction\.lowpass: a range must go up"),
        ({"reconstruction": {"tomo_types": ()}}, r"reconstruction\.tomo_types: expected 1 or more values"),
        ({"reconstruction": {"tomo_types": ("raw",)}}, r"reconstruction\.tomo_types\S*: expected one of wbp"),
        ({"reconstruction": {"kind": "wbp"}}, r"there is no option 'reconstruction\.kind'; expected one of tomo_types"),
    ],
    ids=str,
)
def test_bad_options_are_told_in_a_sentence(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=rf"^x: {sentence}") as told:
        SimulationRecipe.of(options, source="x")
    assert str(told.value).endswith(".")
    assert "\n" not in str(told.value)
