"""What `tomosoup denoise` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import model_validator

from tomosoup.cli.options.shared import UNPREFIXED, Overwrite, Project
from tomosoup.core.config import Options, Share, Typed
from tomosoup.data.options import DataOptions
from tomosoup.inference.options.hardware import Device
from tomosoup.simulation.denoising.options import STRENGTH, Noise2NoiseOptions


class DenoiseCommand(Options):
    """Remove noise from tomograms with the bundled network, or with one that it trains on your half-set tomograms.
    After an interruption, the same command resumes."""

    EXAMPLE: ClassVar = "tomosoup denoise my-data --tomo-type ctfdeconvolved"

    project: Project
    """Tomograms: a copick configuration file, a folder in the contest's layout, or a folder of MRC files
    (each file is a run)."""
    weights: Annotated[Path | None, Typed("Model", value="FILE", file="input")] = None
    """Network to use, or to start the training from: a file that --save wrote. By default the bundled network."""
    fill_wedge: bool = False
    """Use the bundled network that also fills in the missing wedge, as IsoNet does."""
    halves: Annotated[tuple[str, str] | None, Typed("Input", value="TYPE TYPE")] = None
    """Two tomogram types with half of the images or frames each. The network is trained on them first. Then the mean of
    the two is denoised, or --tomo-type."""
    save: Annotated[Path | None, Typed("Output", value="FILE")] = None
    """File for the trained network (.safetensors). --halves requires it."""
    from_scratch: bool = False
    """Train a new network on --halves, and do not start from other weights."""
    new_type: Annotated[str, Typed("Output", value="TYPE")] = "denoised"
    """Tomogram type of the results in a copick project."""
    output: Annotated[Path | None, Typed("Output", aliases=("-o",), value="FOLDER")] = None
    """Folder for the results as MRC files, one per run, in place of a new type in the project. The contest's layout, a
    folder of MRC files and projects on the CryoET Data Portal require it."""
    overwrite: Overwrite = False
    """Replace tomograms and weights that other weights, tomograms or options made."""
    strength: Share = STRENGTH
    """Fraction of what the network takes for noise that is removed: 1 for the network's result. The default leaves
    about as much noise as the contest's denoised tomograms hold."""
    keep_spectrum: bool = False
    """Denoise without a change of the spectrum. By default a tomogram first gets about the amplitude spectrum of
    simulated tomograms that are like the contest's."""
    device: Device = "auto"
    """cpu, cuda or mps; auto chooses the fastest one available."""
    data: Annotated[DataOptions, UNPREFIXED] = DataOptions()
    """Tomograms."""
    training: Annotated[Noise2NoiseOptions, UNPREFIXED] = Noise2NoiseOptions()
    """Training on half-set tomograms (--halves)."""

    @model_validator(mode="after")
    def _training_is_whole(self) -> Self:
        if (self.halves is None) != (self.save is None):
            raise ValueError("`halves` and `save` go together: the half-sets to train on, and the file for the network")
        if self.from_scratch and (self.halves is None or self.weights):
            raise ValueError("`from_scratch` trains a new network: it requires `halves` and excludes `weights`")
        if self.fill_wedge and (self.halves or self.weights):
            raise ValueError("`fill_wedge` is a bundled network: it excludes `weights` and `halves`")
        if self.keep_spectrum and (self.halves or self.weights):
            raise ValueError("`keep_spectrum` is for the bundled networks: `weights` and `halves` change no spectrum")
        if self.halves and self.halves[0] == self.halves[1]:
            raise ValueError("`halves` are two different tomogram types, each from half of the images")
        if self.halves is None and self.training != Noise2NoiseOptions():
            raise ValueError("options of the training require `halves`, the half-sets to train on")
        if self.output is None and self.new_type in (self.data.tomo_type, *(self.halves or ())):
            raise ValueError(f"`new_type` is {self.new_type}, the type to denoise: give another name, or `output`")
        return self
