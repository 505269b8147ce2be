"""Makes the default model that ships with the package: simulates, trains, sets thresholds, scores. No data is real.

    python -m runs.models.default_model simulate OUT DATA     # DATA holds czii_train_picks.csv and maps_10A/
    python -m runs.models.default_model train OUT START       # START: the former default model
    python -m runs.models.default_model soup OUT              # the small soup of the other system
    python -m runs.models.default_model tune OUT              # sets the thresholds of both, alone and together
    python -m runs.models.default_model test OUT [WAY ...]    # prints the tables of the model card
    python -m runs.models.default_model sample SAMPLE DATA    # the tomogram that `tomosoup demo` picks

`simulate` makes two projects of tomograms in three types each. OUT/train holds twenty crowded tomograms of 96 x 448 x
448 voxels of the recipe `any-microscope`, with the shapes of maps_10A, and four of full size of the recipe `contest`,
with the built-in shapes and the particles where four of the contest's seven annotated tomograms have them. One of the
four, TS_73_6, is held out: it chooses the best epoch and sets the thresholds. OUT/test holds four of full size of the
recipe `contest`, with the shapes of maps_10A: two other layouts, and two random ones. Nothing is trained or tuned on
them. The planes that `runs.checks.real_slices` compares are of TS_6_4 and TS_86_3; no training has these layouts.

`train` uses the recipe `best`, on `denoised`. `soup` averages the three best epochs of a 3D U-Net with the options of
`SOUP`, on `denoised` alone. Both can be stopped and started again. `tune` is `tomosoup tune`, on the run that chose the
epochs. `test` prints the tables of `runs.models.model_card` for the four.
"""

import shutil
from pathlib import Path

import tomosoup
from runs.models.model_card import print_card
from runs.shared.command import Words, print_progress, run_step
from runs.shared.density_maps import MAP_SCALE, PDB_CODES, density_maps
from runs.shared.small_unet3d import unet3d_training
from tomosoup.cli.commands.sample import save_sample
from tomosoup.cli.main import main
from tomosoup.core.runtime import keep_freed_memory
from tomosoup.data.options import AnnotatedData
from tomosoup.data.project import open_project
from tomosoup.models.checkpoint import load
from tomosoup.models.window_plan import WindowPlan
from tomosoup.simulation.options.recipe import CONCENTRATION, SimulationRecipe
from tomosoup.simulation.project import LayoutFrom
from tomosoup.simulation.simulate import simulate_run
from tomosoup.training.make_soup import make_soup
from tomosoup.training.options import Execution, TrainingRecipe
from tomosoup.training.train import train as train_model

HELD_OUT = "TS_73_6"
LAYOUTS = ("TS_5_4", "TS_69_2", "TS_6_6", HELD_OUT)
TEST_LAYOUTS = ("TS_86_3", "TS_99_9")
CROWDED, RANDOM = 20, 2
"""Tomograms to train on, and to test on, of random layout."""
TOMO_TYPES = ("denoised", "ctfdeconvolved", "wbp")


def recipes(data: Path) -> tuple[SimulationRecipe, SimulationRecipe, SimulationRecipe]:
    """Crowded tomograms to train on; those of the contest's layouts to train on; those to test on."""
    maps = {"maps": density_maps(data / "maps_10A"), "map_scale": MAP_SCALE}
    contest, anywhere = (
        recipe.model_copy(
            update={"reconstruction": recipe.reconstruction.model_copy(update={"tomo_types": TOMO_TYPES})}
        )
        for recipe in map(SimulationRecipe.read, ("contest", "any-microscope"))
    )
    crowded = {
        "shape": (96, 448, 448),
        "concentration": {name: 0.6 * n for name, n in CONCENTRATION.items()},
    }
    return (
        anywhere.model_copy(update={**maps, **crowded}),
        contest,
        contest.model_copy(update=maps),
    )


def simulate(out: Path, data: Path, *, jobs: int = 1) -> None:
    """Simulate what is missing of both projects."""
    crowded, like, test = recipes(data)
    for name, seed, runs, random, layouts, placed in (
        ("train", 901, CROWDED, crowded, LAYOUTS, like),
        ("test", 902, RANDOM, test, TEST_LAYOUTS, test),
    ):
        folder, aside = out / name, out / f"{name}-placed"
        if not folder.exists():
            tomosoup.simulate(folder, random, runs=runs, seed=seed, jobs=jobs, progress=print_progress)
        home = folder / "static" / "ExperimentRuns"
        if missing := [run for run in layouts if not (home / run).exists()]:
            layout = LayoutFrom(data / "czii_train_picks.csv", tuple(missing))
            tomosoup.simulate(aside, placed, runs=layout, seed=seed + 10, jobs=jobs, progress=print_progress)
            for run in missing:
                (aside / "static" / "ExperimentRuns" / run).rename(home / run)
            shutil.rmtree(aside)
    (out / "maps").mkdir(exist_ok=True)
    for name in PDB_CODES.keys() - MAP_SCALE.keys():
        shutil.copyfile(test.maps[name], out / "maps" / f"{name}.mrc")


LEARNING = {"epochs": 3, "learning_rate": 1e-3, "warmup_epochs": 0.2}
"""Of the recipe `best`, as the weights to start from know the particles."""


def train(out: Path, start: Path) -> None:
    """Train the net, or resume its training, and save it in half precision.

    It starts from the former default model, which learnt from tomograms with less noise.
    """
    project = open_project(out / "train")
    fold, folder = project.runs.index(HELD_OUT), out / "default.training"
    begun = (folder / "last.ckpt").is_file()
    recipe = TrainingRecipe.read("best").with_net(load(start).architecture).model_copy(update=LEARNING)
    trained = train_model(
        project,
        recipe,
        fold=fold,
        folder=folder,
        data=AnnotatedData(tomo_type=TOMO_TYPES[0]),
        start=load(start),
        execution=Execution(resume=begun),
    )
    trained.halved().save(out / "default.safetensors")


SOUP = unet3d_training(
    windows=WindowPlan(shape=(96, 640, 640), stride=(72, 480, 480), weighting="gaussian", border="inside"),
    crop_shape=(64, 96, 96),
    crops_per_tomogram=4,
    batch_size=4,
    epochs=16,
    validate_every=4,
    keep_best=3,
    warmup_epochs=1,
    learning_rate=3e-3,
    average_decay=0.97,
)
LEGS = (SOUP, SOUP.model_copy(update={"epochs": 44}))
"""The second starts from the best epoch of the first, with its learning rate at the maximum again."""


def train_soup(out: Path) -> None:
    """Train the 3D U-Net, or resume its training, and save the soup of its best epochs in half precision."""
    project, trained = open_project(out / "train"), None
    fold, folder = project.runs.index(HELD_OUT), out
    for number, leg in enumerate(LEGS, start=1):
        folder = out / f"default-soup-{number}.training"
        begun = (folder / "last.ckpt").is_file()
        data, execution = AnnotatedData(tomo_type=TOMO_TYPES[0]), Execution(resume=begun)
        trained = train_model(project, leg, fold=fold, folder=folder, data=data, start=trained, execution=execution)
    finished = make_soup([folder], project=out / "train", data=AnnotatedData(runs=(HELD_OUT,), tomo_type=TOMO_TYPES[0]))
    finished.checkpoint.halved().save(out / "default-soup.safetensors")


def tune(out: Path) -> None:
    """Set thresholds of the models that were trained, alone and together, by the tomogram that chose their epochs."""
    files = [str(file) for name in ("default", "default-soup") if (file := out / f"{name}.safetensors").exists()]
    for models in (*([file] for file in files), *([files] if len(files) > 1 else [])):
        words = ["--tomo-type", TOMO_TYPES[0], "--threshold-margin", "0.1", "--model", *models]
        main(["tune", str(out / "train"), *words])


def test(out: Path, *ways: Words) -> None:
    """Pick the unseen runs and print the tables of the model card, or those of some ways alone."""
    print_card(out / "test", out, *ways)


def sample(path: Path, data: Path) -> None:
    """Simulate the tomogram that ships with the package: crowded, under the test's microscopes."""
    crowded, _, test = recipes(data)
    recipe = test.model_copy(update={"shape": (64, 224, 224), "concentration": CONCENTRATION, "layout": crowded.layout})
    scene = simulate_run(recipe, seed=90300000)
    save_sample(path, scene.volumes[TOMO_TYPES[0]], scene.truth)


if __name__ == "__main__":
    keep_freed_memory()
    steps = {"simulate": simulate, "train": train, "soup": train_soup, "tune": tune, "test": test, "sample": sample}
    run_step(steps, description=__doc__)
