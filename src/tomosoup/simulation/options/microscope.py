"""The tilt series, and the way from it to tomograms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from annotated_types import Gt, Le, Lt
from pydantic import AfterValidator, Field

from tomosoup.core.config import Options, Share, Typed
from tomosoup.simulation.options.ranges import (
    NotNegative,
    NotNegativeRange,
    Positive,
    PositiveRange,
    PositiveShareRange,
    Range,
    ShareRange,
    goes_up,
)

TomoType = Literal["wbp", "ctfdeconvolved", "denoised", "isonetcorrected"]


class MicroscopeOptions(Options):
    """The tilt series: geometry, dose, contrast transfer, detector, and errors of alignment."""

    tilt_limit: Annotated[tuple[Positive, Annotated[float, Gt(0), Lt(90)]], AfterValidator(goes_up)] = (60.0, 60.0)
    """Highest tilt in degrees, to both sides; the tilt axis is y."""
    tilt_step: Positive = 3.0
    """Degrees between tilts."""
    pretilt: Range = (0.0, 0.0)
    """Degrees by which the centre of the series is tilted, as for a lamella."""
    order: Literal["dose-symmetric", "one-way"] = "dose-symmetric"
    """Which tilts are taken first: those of small angles (dose-symmetric), or those at the negative end (one-way)."""
    dose: PositiveRange = (120.0, 120.0)
    """Electrons per Å² over all tilts."""
    detected: PositiveShareRange = (1.0, 1.0)
    """Fraction of the dose that is counted: what is lost in the sample and by the detector."""
    damage: bool = True
    """Radiation damage removes fine detail, as measured by Grant and Grigorieff (2015)."""
    defocus: NotNegativeRange = (2.0, 4.0)
    """Underfocus in µm on the tilt axis; a particle's own follows from its height in the tilted ice."""
    defocus_error: NotNegative = 0.1
    """Largest difference of a tilt's defocus from the run's, in µm."""
    astigmatism: NotNegativeRange = (0.0, 0.05)
    """Half the difference between largest and smallest defocus, in µm."""
    phase_plate: Share = 0.0
    """Probability that a run is taken with a phase plate."""
    phase_shift: NotNegativeRange = (60.0, 120.0)
    """Degrees by which a phase plate shifts the phase."""
    voltage: Positive = 300.0
    """Acceleration voltage in kV."""
    spherical_aberration: NotNegative = 2.7
    """Spherical aberration in mm."""
    amplitude_contrast: Share = 0.07
    """Fraction of the contrast that comes from amplitude."""
    mean_free_path: Positive = 3000.0
    """Å of ice after which an energy filter lets 37 % of the electrons pass."""
    detector_pixel: Positive = 1.5
    """Å on the sample that one pixel of the detector sees."""
    mtf: Annotated[float, Gt(0), Le(1)] = 0.5
    """Modulation transfer of the detector at its Nyquist frequency; it falls to it as a Gaussian."""
    mtf_file: Path | None = None
    """A detector's measured transfer in place of `mtf`: a RELION STAR file (rlnResolutionInversePixel, rlnMtfValue)."""
    shift_error: NotNegative = 0.0
    """Error of each tilt's aligned shift: standard deviation in Å, along each axis."""
    angle_error: NotNegative = 0.0
    """Error of each tilt's aligned angle and in-plane rotation: standard deviation in degrees."""
    alignment_errors: NotNegativeRange = (1.0, 1.0)
    """Factor on both errors of alignment, the same for all tilts of a run."""


class ReconstructionOptions(Options):
    """From the tilt series to tomograms."""

    RENAMED: ClassVar = {"kinds": "tomo_types"}

    tomo_types: Annotated[tuple[TomoType, ...], Typed(value="TYPE")] = Field(default=("wbp",), min_length=1)
    """wbp: weighted back-projection; ctfdeconvolved: the same after a Wiener filter of each tilt; denoised: see
    `denoiser`; isonetcorrected: ctfdeconvolved, by a network that removes noise and fills in the missing wedge."""
    denoiser: Literal["filter", "net"] = "filter"
    """What makes the type denoised. filter: wbp, filtered to look like the contest's denoised tomograms; net:
    ctfdeconvolved, denoised by the network of `tomosoup denoise`."""
    deconvolved: Share = 1.0
    """Probability that the network gets ctfdeconvolved; otherwise it gets wbp. It has no effect if the denoiser is
    filter."""
    denoising: ShareRange = (1.0, 1.0)
    """Strength of the network's denoising: 1 is its result, 0 the tomogram that it gets. isonetcorrected keeps half as
    much noise."""
    half_sets: bool = False
    """Also write two tomograms from half the electrons each, for noise2noise: wbp-half1 and wbp-half2, and the same of
    ctfdeconvolved if `tomo_types` names it."""
    dose_weighting: bool = True
    """Weight each tilt's frequencies by what radiation damage leaves of them."""
    tilt_weighting: NotNegative = 0.0
    """Weight tilts by this power of the cosine of their angle; above 0, high tilts (in thicker ice) count less."""
    lowpass: PositiveRange | None = None
    """Resolution in Å at which a Gaussian low-pass of the images passes a half; without it all frequencies are kept."""
    highpass: Positive | None = None
    """Length in Å at which a Gaussian high-pass of the images passes a half; it removes slow changes, as of the ice."""
    ramp: ShareRange = (1.0, 1.0)
    """Power of the frequency by which images are weighted before they are projected back: 1 is weighted
    back-projection; smaller values keep more of the low frequencies, as few iterations of SIRT do."""
    snr: Positive = 10.0
    """Signal-to-noise ratio (power) that the Wiener filter of ctfdeconvolved assumes, at the lowest frequency."""
    snr_falloff: NotNegative = 0.0
    """Å over which that ratio falls to 37 %: it is snr times exp(-snr_falloff * frequency in 1/Å)."""
    sampled_at: PositiveRange | None = None
    """Å a voxel of the tomograms before they were resampled to the recipe's voxel size: frequencies above
    1 / (2 sampled_at) are lost."""
    stretch: PositiveRange = (1.0, 1.0)
    """Factor on the resolution that the filter leaves: above 1 is blurrier than the contest's tomograms. It has no
    effect if the denoiser is net."""
