"""What a simulated tomogram is made of. Every option of a scene is a field here.

A range is two numbers; each run draws its own value between them, so that networks do not learn one microscope.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from annotated_types import Ge, Gt, Le, Lt
from pydantic import AfterValidator, Field, model_validator

from tomosoup.core.config import ZYX, Options, Recipe, Share, Typed

Positive = Annotated[float, Gt(0)]
NotNegative = Annotated[float, Ge(0)]


def _goes_up(low_high: tuple[float, float]) -> tuple[float, float]:
    if low_high[0] > low_high[1]:
        raise ValueError("a range must go up (low, high)")
    return low_high


Range = Annotated[tuple[float, float], AfterValidator(_goes_up)]
PositiveRange = Annotated[tuple[Positive, Positive], AfterValidator(_goes_up)]
NotNegativeRange = Annotated[tuple[NotNegative, NotNegative], AfterValidator(_goes_up)]
ShareRange = Annotated[tuple[Share, Share], AfterValidator(_goes_up)]

TomoType = Literal["wbp", "ctfdeconvolved", "denoised"]

CONCENTRATION = {
    "apo-ferritin": 5500.0,
    "beta-amylase": 3800.0,
    "beta-galactosidase": 3800.0,
    "ribosome": 3100.0,
    "thyroglobulin": 3800.0,
    "virus-like-particle": 1900.0,
}
"""Five to twenty times the contest's, so that a small volume has enough of each species to learn from and to score."""


class LayoutOptions(Options):
    """Numbers and positions of particles."""

    variation: dict[str, NotNegative] = Field(default={})
    """Standard deviation of a species' number between runs, as a fraction of the number; 0 for species not named."""
    cluster_size: dict[str, Annotated[float, Ge(1)]] = Field(default={})
    """How many particles of a species share a cluster on average; species not named are not clustered."""
    cluster_spread: dict[str, Positive] = Field(default={})
    """Standard deviation (Å) of a species' particles around the centre of their cluster, along each axis; 100 if not
    named."""
    depth: dict[str, tuple[Share, Positive]] = Field(default={})
    """Mean and standard deviation of a species' z, as fractions of the tomogram's depth; the others are at any z."""


class SampleOptions(Options):
    """The ice, and what is in it besides the labelled particles."""

    RENAMED: ClassVar = {"bystanders": "background_proteins", "bystander_mass": "background_mass"}

    thickness: PositiveRange = (1200.0, 1800.0)
    """Thickness of the ice in Å, in the centre of the tomogram; thicker ice passes fewer electrons."""
    ice_gradient: NotNegativeRange = (0.0, 0.0)
    """Change of the thickness from one side of the field to the other, as a fraction of it, in any direction."""
    background_proteins: NotNegativeRange = (0.0, 0.0)
    """Background proteins per cubic micrometre of ice: not labelled, of no known structure."""
    background_mass: PositiveRange = (30.0, 150.0)
    """Masses of the background proteins in kDa."""
    crowding: Annotated[tuple[Share, Share], AfterValidator(_goes_up)] = (0.0, 0.0)
    """Fraction of the ice's volume filled by further background proteins: 0.2 to 0.33 in a cell."""
    gold: NotNegativeRange = (0.0, 0.0)
    """Number of gold beads in the tomogram."""
    gold_diameter: PositiveRange = (50.0, 100.0)
    """Diameters of the gold beads in Å."""
    membranes: NotNegativeRange = (0.0, 0.0)
    """Number of vesicles and fragments of membrane in the tomogram."""
    membrane_radius: PositiveRange = (150.0, 800.0)
    """Radii of curvature of the membranes in Å; what does not fit into 800 Å is a fragment."""
    carbon: ShareRange = (0.0, 0.0)
    """Fraction of the field, from one side, that lies on the carbon film of the grid."""
    carbon_thickness: Positive = 120.0
    """Thickness of the carbon film in Å."""


class MicroscopeOptions(Options):
    """The tilt series: geometry, dose, contrast transfer, detector, and errors of alignment."""

    tilt_limit: Annotated[tuple[Positive, Annotated[float, Gt(0), Lt(90)]], AfterValidator(_goes_up)] = (60.0, 60.0)
    """Highest tilt in degrees, to both sides; the tilt axis is y."""
    tilt_step: Positive = 3.0
    """Degrees between tilts."""
    pretilt: Range = (0.0, 0.0)
    """Degrees by which the centre of the series is tilted, as for a lamella."""
    order: Literal["dose-symmetric", "one-way"] = "dose-symmetric"
    """Which tilts are taken first: those of small angles (dose-symmetric), or those at the negative end (one-way)."""
    dose: PositiveRange = (120.0, 120.0)
    """Electrons per Å² over all tilts."""
    damage: bool = True
    """Radiation damage removes fine detail, as measured by Grant and Grigorieff (2015)."""
    defocus: NotNegativeRange = (2.0, 4.0)
    """Underfocus in µm on the tilt axis; a particle's own follows from its height in the tilted ice."""
    defocus_error: NotNegative = 0.1
    """Largest difference of a tilt's defocus from the run's, in µm."""
    astigmatism: NotNegativeRange = (0.0, 0.05)
    """Half the difference between largest and smallest defocus, in µm."""
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


class ReconstructionOptions(Options):
    """From the tilt series to tomograms."""

    RENAMED: ClassVar = {"kinds": "tomo_types"}

    tomo_types: tuple[TomoType, ...] = Field(default=("wbp",), min_length=1)
    """wbp: weighted back-projection; ctfdeconvolved: the same after a Wiener filter of each tilt; denoised: the
    first, made to look like the contest's denoised tomograms."""
    half_sets: bool = False
    """Also write two tomograms from half the electrons each, for noise2noise: wbp-half1 and wbp-half2."""
    dose_weighting: bool = True
    """Weight each tilt's frequencies by what radiation damage leaves of them."""
    tilt_weighting: NotNegative = 0.0
    """Weight tilts by this power of the cosine of their angle; above 0, high tilts (in thicker ice) count less."""
    lowpass: PositiveRange | None = None
    """Resolution in Å at which a Gaussian low-pass of the images passes a half; without it all frequencies are kept."""
    highpass: Positive | None = None
    """Length in Å at which a Gaussian high-pass of the images passes a half; it removes slow changes, as of the ice."""
    snr: Positive = 10.0
    """Signal-to-noise ratio (power) that the Wiener filter assumes."""
    stretch: PositiveRange = (1.0, 1.0)
    """Factor on the resolution that denoising leaves: above 1 is blurrier than the contest's tomograms."""


class SimulationRecipe(Recipe):
    """One simulated run: particles, ice, microscope, reconstruction."""

    FOLDER = "tomosoup.simulation", "recipes"

    shape: Annotated[ZYX, Typed("Input")] = (64, 256, 256)
    """Size of a tomogram in voxels (z y x)."""
    voxel_size: Positive = 10.0
    """Å a voxel, and a pixel of the projections."""
    concentration: Annotated[dict[str, NotNegative], Typed("Input")] = Field(default=CONCENTRATION)
    """Number of particles per cubic micrometre, by species."""
    default_concentration: NotNegative = 3000.0
    """Particles per cubic micrometre of species that have a structure or a map and no `concentration`."""
    structures: Annotated[dict[str, str], Typed("Input")] = Field(default={})
    """Atomic model of a species, in place of the built-in shape: a PDB or mmCIF file, or a PDB id such as 8cpv, which
    is downloaded from RCSB."""
    maps: Annotated[dict[str, Path], Typed("Input")] = Field(default={})
    """Density map (MRC) of a species, in place of the built-in shape."""
    map_scale: dict[str, Positive] = Field(default={})
    """Enlarge a species' map by this factor, at the same density."""
    map_mass: dict[str, Positive] = Field(default={})
    """Scale a species' map to this mass (kDa); without it, map values that sum to 28.3 stand for 1 kDa, as in
    the maps of the contest's organisers."""
    layout: LayoutOptions = LayoutOptions()
    """Numbers and positions."""
    sample: SampleOptions = SampleOptions()
    """Ice and what else is in it."""
    microscope: MicroscopeOptions = MicroscopeOptions()
    """The tilt series."""
    reconstruction: ReconstructionOptions = ReconstructionOptions()
    """From the tilt series to tomograms."""

    @property
    def concentrations(self) -> dict[str, float]:
        """Particles per cubic micrometre of every species."""
        return dict.fromkeys((*self.structures, *self.maps), self.default_concentration) | self.concentration

    @model_validator(mode="after")
    def _one_shape_a_species(self) -> Self:
        if both := sorted(set(self.structures) & set(self.maps)):
            raise ValueError(f"{', '.join(both)} has a structure and a map; give one of them")
        return self
