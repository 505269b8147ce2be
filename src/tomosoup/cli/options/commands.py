"""What each command of `tomosoup` takes: a field an option, its docstring the help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt
from pydantic import Field
from tyro.conf import Positional, arg

from tomosoup.core.config import ZYX, Options
from tomosoup.data.options import AnnotatedData, DataOptions
from tomosoup.inference.jobs.options import ClusterOptions
from tomosoup.inference.options.hardware import Hardware, InferenceOptions
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.simulation.options import SimulationRecipe
from tomosoup.training.options import TrainingRecipe

Count = Annotated[int, Ge(1)]
Thresholds = tuple[str, ...]
UNPREFIXED = arg(name="")
"""An option of this model's field is called by its own name alone."""


class SimulateCommand(Options):
    """Make a project of simulated tomograms with known particles."""

    RENAMED: ClassVar = {"like": "layout_from", "like_runs": "layout_runs"}

    out: Positional[Path]
    """Folder to make; its copick configuration is OUT/copick_config.json."""
    recipe: str = "simulated"
    """A recipe that ships with tomosoup (simulated, contest, cell) or a TOML file; the options below change it."""
    runs: Count = 4
    """How many tomograms."""
    jobs: Count = 1
    """How many to simulate at a time, each in a process of its own; the tomograms are the same."""
    seed: Annotated[int, Ge(0)] = 0
    """Same seed, same tomograms."""
    layout_from: Path | None = None
    """CSV of picks (experiment,particle_type,x,y,z) or an annotated project: simulate twins of its runs, particles at
    exactly these places."""
    layout_runs: tuple[str, ...] = ()
    """Of these runs only."""
    contest: bool = False
    """Name files as the contest does (static/, overlay/, picks by object) instead of as copick does."""
    overwrite: bool = False
    """Replace a project at OUT."""
    simulation: Annotated[SimulationRecipe, UNPREFIXED] = SimulationRecipe()
    """What the recipe sets."""


class TrainCommand(Options):
    """Train a net on annotated tomograms, one run held out to choose the best weights and thresholds."""

    project: Positional[Path]
    """A copick configuration, a folder in the contest's layout, or a folder of MRC files."""
    output: Path
    """Checkpoint to write (.safetensors); the log and what --resume needs go to OUTPUT's name with .training."""
    recipe: str = "small"
    """A recipe that ships with tomosoup (small, best, finetune, yu4u, yu4u-planes, tattaka, soup-tiny, soup-medium,
    soup-big, soup-big-all) or a TOML file; the options below change it."""
    fold: Annotated[int, Ge(0)] = 0
    """Which of the annotated runs, by name, is held out."""
    all_folds: bool = False
    """Train once a run, each held out in turn: OUTPUT gets -fold0, -fold1, ... before its ending."""
    start_from: Annotated[Path | None, arg(name="from", aliases=["--start-from"])] = None
    """Fine-tune: start from the weights of this checkpoint, or of "default", the model that comes with tomosoup. The
    net is the checkpoint's, the recipe finetune unless another is named; species may be others, fewer or more."""
    pretrain_on: Path | None = None
    """Train first on this project (simulated runs, say), its first run held out, and go on from those weights, which
    are kept as OUTPUT-pretrained."""
    resume: bool = False
    """Go on with a training that was stopped, to the weights of an unbroken one."""
    overwrite: bool = False
    """Replace OUTPUT and an unfinished training."""
    data: Annotated[AnnotatedData, UNPREFIXED] = AnnotatedData()
    """Which tomograms."""
    pretraining_data: AnnotatedData = AnnotatedData()
    """Which tomograms of the project to pretrain on."""
    hardware: Annotated[Hardware, UNPREFIXED] = Hardware()
    """What to compute on."""
    training: Annotated[TrainingRecipe, UNPREFIXED] = TrainingRecipe()
    """What the recipe sets."""


class TuneCommand(Options):
    """Set thresholds by cross-validation: each model picks the run that its training held out, all picks are pooled."""

    RENAMED: ClassVar = {"softness": "threshold_margin"}

    project: Positional[Path]
    """The project that the models were trained on."""
    model: tuple[Path, ...] = Field(min_length=1)
    """Checkpoints of `tomosoup train --all-folds`; the thresholds found are stored in all of them. Those that held out
    the same run pick it together."""
    threshold_margin: Annotated[float, Ge(0)] = 0.0
    """0 is the F4-best threshold; 0.1 the laxer one that `train` stores, better from few particles."""
    resamples: Count = 1000
    """Bootstrap resamples behind the intervals."""
    seed: Annotated[int, Ge(0)] = 0
    """Of the bootstrap."""
    dry_run: bool = False
    """Show the thresholds and store nothing."""
    inference: Annotated[InferenceOptions, UNPREFIXED] = InferenceOptions()
    """What to pick on."""
    plan: str = "as-trained"
    """How to lay windows, as in `tomosoup pick`."""
    data: Annotated[AnnotatedData, UNPREFIXED] = AnnotatedData()
    """Which tomograms."""
    picking: Annotated[PickingPlan, UNPREFIXED] = PickingPlan()
    """What the plan sets."""


class SoupCommand(Options):
    """Average the weights of checkpoints into one, which picks at the cost of one."""

    ingredients: Positional[tuple[Path, ...]]
    """Checkpoints of the same net; the folder of a training (.training) stands for the best epochs that it kept
    (--keep-best)."""
    output: Annotated[Path, arg(aliases=["-o"])]
    """Checkpoint to write (.safetensors)."""
    weights: tuple[Annotated[float, Gt(0)], ...] = ()
    """The share of each ingredient; none weighs them alike."""
    greedy: bool = False
    """Begin with the best ingredient and add another only if the score on the runs rises."""
    project: Path | None = None
    """Annotated project: chooses what a greedy soup takes, sets thresholds, and re-estimates batch norms on crops of
    the runs that the ingredients were trained on."""
    overwrite: bool = False
    """Replace OUTPUT."""
    inference: Annotated[InferenceOptions, UNPREFIXED] = InferenceOptions()
    """What to pick on."""
    plan: str = "as-trained"
    """How to lay windows, as in `tomosoup pick`."""
    data: Annotated[AnnotatedData, UNPREFIXED] = AnnotatedData()
    """Which tomograms; --runs chooses and sets thresholds, by default the runs that no ingredient has seen."""
    picking: Annotated[PickingPlan, UNPREFIXED] = PickingPlan()
    """What the plan sets."""


class ConvertCommand(Options):
    """Turn weights that the contest's winners published into a tomosoup checkpoint."""

    published: Positional[Path]
    """The 4th place's net A1 (.ckpt) or an 8th place's soup (.pth). No code in it is run."""
    output: Path
    """Checkpoint to write (.safetensors)."""
    overwrite: bool = False
    """Replace OUTPUT."""


class ExportOnnxCommand(Options):
    """Write a checkpoint's net as ONNX, for other programs to run."""

    model: Positional[Path]
    """The checkpoint."""
    output: Annotated[Path, arg(aliases=["-o"])]
    """File to write (.onnx); weights beyond 1.5 GB lie beside it, in OUTPUT.data."""
    window: ZYX | None = None
    """Voxels of a window (z y x); by default the checkpoint's. The batch size is free."""
    overwrite: bool = False
    """Replace OUTPUT."""


class PickCommand(Options):
    """Find particles: write picks with scores to copick and to a CSV file; the same command goes on after a stop."""

    project: Positional[Path]
    """A copick configuration, a folder in the contest's layout, or a folder of MRC files."""
    model: tuple[Path, ...] = Field((Path("default"),), min_length=1)
    """One checkpoint, or several whose heatmaps are averaged (with --model-weights); "default" and "default-soup" come
    with tomosoup, for the contest's six species."""
    output: Path | None = None
    """CSV of the picks that pass the thresholds: experiment,particle_type,x,y,z,score (Å)."""
    submission: Path | None = None
    """The same in the contest's form: id,experiment,particle_type,x,y,z."""
    report: Path | None = None
    """Page (.html) to look at them, as `tomosoup report` writes it."""
    session: str = "0"
    """copick session of these picks (user tomosoup); all above the floor go to session SESSION-candidates."""
    threshold: Thresholds = ()
    """Scores that picks must reach, for all (0.3) or by species (ribosome=0.4), in place of the checkpoint's."""
    plan: str = "as-trained"
    """How to lay windows and read peaks: as-trained, planes, paper, paper-fewer-windows, paper-unweighted, soup, or a
    TOML file; the options below change it."""
    overwrite: bool = False
    """Replace picks that were made with other settings, and files that are there already. (Runs that are done with the
    same settings are left as they are.)"""
    redo: bool = False
    """Pick anew the runs that are done with the same settings, too: their tomograms have changed, say."""
    write_sbatch: Path | None = None
    """Pick nothing: write a SLURM job array that does, for sbatch."""
    cluster: Annotated[ClusterOptions, UNPREFIXED] = ClusterOptions()
    """Where to pick."""
    inference: Annotated[InferenceOptions, UNPREFIXED] = InferenceOptions()
    """What to pick on."""
    data: Annotated[DataOptions, UNPREFIXED] = DataOptions()
    """Which tomograms."""
    picking: Annotated[PickingPlan, UNPREFIXED] = PickingPlan()
    """What the plan sets."""


class ThresholdCommand(Options):
    """Apply other thresholds to the candidates of an earlier `pick`: no net is run."""

    project: Positional[Path]
    """The copick project that holds the candidates (for other inputs, the .copick folder that `pick` made)."""
    threshold: Thresholds = Field(min_length=1)
    """Scores that picks must reach, for all (0.3) or by species (ribosome=0.4); species not named keep all."""
    output: Path | None = None
    """CSV of the picks that pass."""
    session: str = "0"
    """copick session that `pick` wrote; its picks are replaced."""
    overwrite: bool = False
    """Replace OUTPUT if it is there already."""


class ScoreCommand(Options):
    """Score picks against the truth with the contest's metric: a row a species, then the weighted F4."""

    picks: Positional[Path]
    """A CSV file or a project."""
    truth: Positional[Path]
    """A CSV file or a project."""
    picks_set: str | None = None
    """USER/SESSION, where PICKS is a copick project; by default tomosoup's only one."""
    truth_set: str | None = None
    """USER/SESSION, where TRUTH is a copick project; by default the only one not made by tomosoup."""
    runs: tuple[str, ...] = ()
    """Runs to score, or "all" of the truth's; by default those that have picks."""
    threshold: Thresholds = ()
    """Drop picks with a lower score first, for all (0.3) or by species (ribosome=0.4)."""
    species: Path | None = None
    """CSV with name,radius,weight, where neither input is a project and the species are not the contest's."""


class DemoCommand(Options):
    """Pick a simulated tomogram that comes with tomosoup, score the picks, draw them, write the page to look at."""

    out: Positional[Path] = Path("tomosoup-demo")
    """Folder to make."""
    train: bool = False
    """The whole path, in minutes: simulate tomograms, train on them, pick one that nothing was tuned on. The options
    below are for this."""
    runs: Annotated[int, Ge(4)] = 8
    """Simulated tomograms: the last is picked and scored, the one before chooses weights and thresholds."""
    seed: Annotated[int, Ge(0)] = 0
    """Same seed, same tomograms and same training."""
    recipe: str = "small"
    """How to train."""
    overwrite: bool = False
    """Replace what an earlier demo left at OUT."""
    simulation: SimulationRecipe = Field(default_factory=lambda: SimulationRecipe.read("simulated"))
    """The tomograms to simulate."""
