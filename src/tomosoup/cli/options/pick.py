"""What `tomosoup pick` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from tomosoup.cli.options.shared import (
    UNPREFIXED,
    Checkpoints,
    MaxFdr,
    Overwrite,
    PlanName,
    Project,
    Purpose,
    SessionName,
    Thresholds,
)
from tomosoup.core.config import Options, Typed
from tomosoup.data.options import DataOptions, RegionOptions
from tomosoup.inference.jobs.options import ClusterOptions
from tomosoup.inference.options.hardware import InferenceOptions
from tomosoup.inference.options.picking import PickingPlan


class PickCommand(Options):
    """Find particles and write them with their scores to copick and to a CSV file. After an interruption, the same
    command resumes."""

    EXAMPLE: ClassVar = "tomosoup pick my-data --model model.safetensors -o picks.csv"
    RECIPE = ("plan", "picking")

    project: Project
    """Tomograms: a copick configuration file, a folder in the contest's layout, or a folder of MRC files
    (each file is a run)."""
    model: Checkpoints = Field((Path("default"),), min_length=1)
    """One checkpoint, or several whose predictions are averaged. "default" and "default-soup" are bundled;
    hf:OWNER/NAME is on the Hugging Face Hub."""
    output: Annotated[Path | None, Typed("Output", aliases=("-o",))] = None
    """CSV file of the picks that pass: experiment,particle_type,x,y,z,score (Å); columns mask_distance (Å) and
    probability follow where they are known."""
    submission: Path | None = None
    """CSV file of the same picks in the contest's format: id,experiment,particle_type,x,y,z."""
    report: Annotated[Path | None, Typed("Output")] = None
    """Also write an HTML page to look at the picks, as `tomosoup report` does."""
    species: Annotated[tuple[str, ...], Typed("Output", value="SPECIES")] = ()
    """Species whose picks are kept; by default all that the models know. Scores are the same as with all."""
    session: SessionName = "0"
    """copick session of the picks (user tomosoup). Session NAME-candidates holds the candidates: all picks above the
    low score --peaks.floor."""
    threshold: Thresholds = ()
    """Lowest score of a pick: one for all species (0.3) or by species (ribosome=0.4); by default the
    thresholds that the checkpoint holds."""
    max_fdr: MaxFdr = None
    """In place of thresholds: the highest fraction of false picks to expect (of each species in a tomogram)."""
    purpose: Purpose = "recall"
    """What the picks are for. recall: find most particles, with many false picks (thresholds with the best F4).
    averaging: balance false and missed picks (best F1). First run `tomosoup tune --for averaging`, which stores these
    thresholds."""
    plan: PlanName = "as-trained"
    """How to place windows and how to read picks from the heatmap: as-trained, planes, paper, paper-fewer-windows,
    paper-unweighted, soup, or a TOML file. Other options override its values."""
    overwrite: Overwrite = False
    """Replace existing files, also those that were edited, and the picks of this session that were made with other
    models, options or masks. Runs that were picked with the same ones are kept."""
    redo: bool = False
    """Pick again the runs that were picked with the same settings, for example after their tomograms have changed."""
    write_sbatch: Path | None = None
    """Do not pick: write a SLURM job array that does, to submit with sbatch."""
    cluster: Annotated[ClusterOptions, UNPREFIXED] = ClusterOptions()
    """Cluster jobs."""
    inference: Annotated[InferenceOptions, UNPREFIXED] = InferenceOptions()
    """Hardware."""
    data: Annotated[DataOptions, UNPREFIXED] = DataOptions()
    """Tomograms."""
    picking: Annotated[PickingPlan, UNPREFIXED] = PickingPlan()
    """Windows and picks."""
    region: Annotated[RegionOptions, UNPREFIXED] = RegionOptions()
    """Where to pick."""

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if self.max_fdr and (self.threshold or self.purpose != "recall"):
            raise ValueError("`max_fdr` replaces thresholds: leave out `threshold` and `purpose`")
        return self

    @model_validator(mode="after")
    def _files_of_their_own(self) -> Self:
        outputs = [path.absolute() for path in (self.output, self.submission, self.report, self.write_sbatch) if path]
        named = [*outputs, *(path.absolute() for path in self.model)]
        if twice := next((path for path in outputs if named.count(path) > 1), None):
            raise ValueError(
                f"the name {twice.name} is given twice: each output needs a name of its own, and not that of a model"
            )
        return self

    @model_validator(mode="after")
    def _shards_leave_each_other_alone(self) -> Self:
        if self.overwrite and self.cluster.shard:
            raise ValueError(
                "`overwrite` removes the picks of a session, and with `shard` one process would remove another's: "
                "choose another `session`, or begin it anew with `write_sbatch`"
            )
        return self
