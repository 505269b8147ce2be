"""From the projections of a sample to its tomograms, in every type that a recipe asks for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from tomosoup.core.progress import Progress, part
from tomosoup.core.types import Volume
from tomosoup.simulation.denoising.apply import denoise_volume
from tomosoup.simulation.denoising.weights import Network, shipped_denoiser
from tomosoup.simulation.microscope.denoising import denoised
from tomosoup.simulation.microscope.imaging import Field, count, expected_counts, frequencies, normalised
from tomosoup.simulation.microscope.reconstruction import (
    RECONSTRUCTING,
    Processing,
    filtered,
    image_weights,
    reconstruct,
    wiener,
)
from tomosoup.simulation.microscope.tilt_series import Acquisition
from tomosoup.simulation.options.microscope import ReconstructionOptions, TomoType
from tomosoup.simulation.options.recipe import SimulationRecipe
from tomosoup.simulation.specimen.ice import Sample, ice_thickness

NETWORKS: dict[TomoType, Network] = {"denoised": "denoiser", "isonetcorrected": "wedge"}
"""The bundled network that makes a tomogram type."""
NOISE_LEFT: dict[TomoType, float] = {"denoised": 1.0, "isonetcorrected": 0.5}
"""How much of the noise that `denoising` leaves is left in a type; fitted to a real plane in both."""


def tomograms(
    phase: Tensor,
    sample: Sample,
    acquisition: Acquisition,
    processing: Processing,
    recipe: SimulationRecipe,
    *,
    random: torch.Generator,
    progress: Progress,
) -> dict[str, Tensor]:
    """The recipe's tomograms `(z, y, x)` by type, with half-set tomograms where it asks for them.

    Args:
        phase: phase contrast `(tilts, y, x)` in radians of all that is in the sample.
        sample: ice, whose thickness takes electrons.
        acquisition: the tilt series.
        processing: what was drawn of `recipe.reconstruction`.
        recipe: the rest.
        random: of the electrons that are counted.
        progress: called with `RECONSTRUCTING`.
    """
    options, pixel = recipe.reconstruction, recipe.voxel_size
    view = Field((phase.shape[1], phase.shape[2]), pixel)
    extent = np.array(recipe.shape) * pixel
    thickness = ice_thickness(sample, acquisition, field=view, extent=extent)
    expected = expected_counts(phase, acquisition, recipe.microscope, thickness=thickness, pixel=pixel)
    halves = count(expected, random=random)
    frequency = frequencies(view.shape, pixel)
    weights = image_weights(acquisition, recipe.microscope, options, processing, frequency)
    images = {"": normalised(halves[0] + halves[1])}
    if options.half_sets:
        images |= {f"-half{i + 1}": normalised(half) for i, half in enumerate(halves)}
    sources = _network_sources(options, processing)
    filtering = "denoised" in options.tomo_types and "denoised" not in sources
    whole = {*options.tomo_types, *sources.values(), *(["wbp"] if filtering else [])}
    undo = wiener(acquisition, recipe.microscope, options, shape=view.shape, pixel=pixel)
    stacks: dict[str, Tensor] = {}
    for name, factor in (("wbp", weights), ("ctfdeconvolved", weights * undo)):
        wanted = images if options.half_sets and (name == "wbp" or name in options.tomo_types) else {"": images[""]}
        stacks |= {name + half: filtered(image, factor) for half, image in wanted.items() if half or name in whole}
    made: dict[str, Tensor] = {}
    steps = len(stacks) + len(sources)
    for i, (tomo_type, stack) in enumerate(stacks.items()):
        one = part(progress, i, steps)
        made[tomo_type] = reconstruct(stack, acquisition.aligned(), recipe.shape, ramp=processing.ramp, progress=one)
    for i, (tomo_type, source) in enumerate(sources.items(), start=len(stacks)):
        one = part(progress, i, steps, what=RECONSTRUCTING)
        left = (1 - processing.denoising) * NOISE_LEFT[tomo_type]
        denoiser = replace(shipped_denoiser(NETWORKS[tomo_type]), strength=1 - left, spectrum=None)
        made[tomo_type] = denoise_volume(denoiser, Volume(made[source], pixel), progress=one).data
    if filtering:
        made["denoised"] = denoised(made["wbp"], voxel_size=pixel, stretch=processing.stretch, random=random)
    return {name: made[name] for name in (*options.tomo_types, *(n for n in made if "half" in n))}


def _network_sources(options: ReconstructionOptions, processing: Processing) -> dict[TomoType, TomoType]:
    """The types that a network makes, each with the type that the network gets."""
    sources: dict[TomoType, TomoType] = {}
    if "denoised" in options.tomo_types and options.denoiser == "net":
        sources["denoised"] = "ctfdeconvolved" if processing.deconvolved else "wbp"
    if "isonetcorrected" in options.tomo_types:
        sources["isonetcorrected"] = "ctfdeconvolved"
    return sources
