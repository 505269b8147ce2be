"""`tomosoup denoise`."""

from __future__ import annotations

from dataclasses import replace

import torch

from tomosoup.cli.options.denoise import DenoiseCommand
from tomosoup.cli.terminal import Outcome, Stopped, progress_bars, say
from tomosoup.core.errors import counted
from tomosoup.core.progress import Progress
from tomosoup.core.runtime import best_device
from tomosoup.data.project import Project, open_project
from tomosoup.data.tomogram import remarks_on
from tomosoup.simulation.denoising.destination import destination
from tomosoup.simulation.denoising.half_sets import half_sets
from tomosoup.simulation.denoising.project import Sources, denoise_project, denoiser_of, refuse_others
from tomosoup.simulation.denoising.weights import Denoiser, read_denoiser, shipped_denoiser


def denoise_command(options: DenoiseCommand) -> Outcome:
    """Denoise the tomograms of a project."""
    project, device = open_project(options.project), best_device(options.device)
    for text in remarks_on(project, options.data):
        say(text)
    to = destination(project, new_type=options.new_type, output=options.output)
    sources = Sources(options.data, options.halves, options.new_type)
    refuse_others(project, to, sources, overwrite=options.overwrite)
    try:
        with progress_bars() as progress:
            denoiser = _denoiser(options, project, device, progress)
            made, kept = denoise_project(
                project,
                replace(
                    denoiser,
                    strength=options.strength,
                    spectrum=None if options.keep_spectrum else denoiser.spectrum,
                ),
                to,
                sources,
                overwrite=options.overwrite,
                device=device,
                progress=progress,
                log=say,
            )
    except KeyboardInterrupt:
        raise Stopped("Denoising stopped; the same command resumes.") from None
    files = [options.save] if options.save else []
    before = f"; {counted(len(kept), 'run')} had been denoised before" if kept else ""
    place = str(options.output) if options.output else f"{options.project}, tomogram type {options.new_type}"
    return Outcome(
        f"{place}: {counted(len(made), 'run')} denoised{before}",
        files=[*files, *([options.output] if options.output else [])],
        facts={"denoised": made, "kept": kept, "weights": denoiser.trained_on, "error": denoiser.error},
    )


def _denoiser(options: DenoiseCommand, project: Project, device: torch.device, progress: Progress) -> Denoiser:
    """The bundled weights, those of a file, or those of a training on half-sets."""
    start = None
    if not options.from_scratch:
        bundled = shipped_denoiser("wedge" if options.fill_wedge else "denoiser")
        start = read_denoiser(options.weights) if options.weights else bundled
    if options.halves is None or options.save is None:
        assert start is not None  # the options say so
        return start
    return denoiser_of(
        half_sets(project, options.halves, options.data),
        options.training,
        save=options.save,
        start=start,
        overwrite=options.overwrite,
        device=device,
        progress=progress,
        log=say,
    )
