"""What a simulated tomogram is made of. Every option of `tomosoup simulate` is a field here.

A range is two numbers; each run draws its own value between them, so that nets do not learn one microscope.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from annotated_types import Ge, Gt, Le, Lt
from pydantic import AfterValidator, Field, model_validator

from tomosoup.core.config import ZYX, Options, Recipe, Share

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
"""Five to twenty times the contest's, so that a small volume holds enough of each kind to learn from and to score."""


class LayoutOptions(Options):
    """How many particles there are and where."""

    variation: dict[str, NotNegative] = Field(default={})
    """Standard deviation of a species' number between runs, as a share of the number; 0 for species not named."""
    cluster_size: dict[str, Annotated[float, Ge(1)]] = Field(default={})
    """How many particles of a species share a cluster on average; species not named stand alone."""
    cluster_spread: dict[str, Positive] = Field(default={})
    """Standard deviation (Å) of a species' particles about the middle of their cluster, along each axis; 100 if not
    named."""
    depth: dict[str, tuple[Share, Positive]] = Field(default={})
    """Mean and standard deviation of a species' z, as shares of the tomogram's; species not named stand at any z."""


class SampleOptions(Options):
    """What is in the ice besides the particles. Nothing of it is labelled."""

    RENAMED: ClassVar = {"bystanders": "background_proteins", "bystander_mass": "background_mass"}

    thickness: PositiveRange = (1200.0, 1800.0)
    """Å of ice, in the middle of the tomogram; thicker ice passes fewer electrons."""
    ice_gradient: NotNegativeRange = (0.0, 0.0)
    """Change of the thickness from one side of the field to the other, as a share of it, in any direction."""
    background_proteins: NotNegativeRange = (0.0, 0.0)
    """Other proteins per cubic micrometre of ice."""
    background_mass: PositiveRange = (30.0, 150.0)
    """Their masses in kDa."""
    crowding: Annotated[tuple[Share, Share], AfterValidator(_goes_up)] = (0.0, 0.0)
    """Share of the ice's volume that other proteins fill, beside `background_proteins`: 0.2 to 0.33 in a cell."""
    gold: NotNegativeRange = (0.0, 0.0)
    """Gold beads in the tomogram."""
    gold_diameter: PositiveRange = (50.0, 100.0)
    """Their diameters in Å."""
    membranes: NotNegativeRange = (0.0, 0.0)
    """Vesicles and fragments of membrane in the tomogram."""
    membrane_radius: PositiveRange = (150.0, 800.0)
    """Their radii of curvature in Å; what does not fit into 800 Å is a fragment."""
    carbon: ShareRange = (0.0, 0.0)
    """Share of the field, from one side, that lies on the carbon film of the grid."""
    carbon_thickness: Positive = 120.0
    """Å of carbon."""


class MicroscopeOptions(Options):
    """The tilt series: geometry, dose, contrast transfer, detector, and what alignment leaves behind."""

    tilt_limit: Annotated[tuple[Positive, Annotated[float, Gt(0), Lt(90)]], AfterValidator(_goes_up)] = (60.0, 60.0)
    """Tilts go from minus this many degrees to plus, about y."""
    tilt_step: Positive = 3.0
    """Degrees between tilts."""
    pretilt: Range = (0.0, 0.0)
    """Degrees that the series is off centre, as of a lamella."""
    order: Literal["dose-symmetric", "one-way"] = "dose-symmetric"
    """Which tilts get the fresh sample: those near the middle, or those at the negative end."""
    dose: PositiveRange = (120.0, 120.0)
    """Electrons per Å² over all tilts."""
    damage: bool = True
    """Exposure wears fine detail away, as measured by Grant and Grigorieff (2015)."""
    defocus: NotNegativeRange = (2.0, 4.0)
    """Underfocus in µm; each particle has its own, by its height in the tilted ice."""
    defocus_error: NotNegative = 0.1
    """Each tilt departs from the run's defocus by up to this (µm)."""
    astigmatism: NotNegativeRange = (0.0, 0.05)
    """Half the difference between largest and smallest defocus, in µm."""
    voltage: Positive = 300.0
    """Acceleration voltage in kV."""
    spherical_aberration: NotNegative = 2.7
    """In mm."""
    amplitude_contrast: Share = 0.07
    """Share of the contrast that comes from amplitude."""
    mean_free_path: Positive = 3000.0
    """Å of ice after which an energy filter lets 37 % of the electrons pass."""
    detector_pixel: Positive = 1.5
    """Å on the sample that one pixel of the detector sees."""
    mtf: Annotated[float, Gt(0), Le(1)] = 0.5
    """Modulation transfer of the detector at its own highest frequency, with a Gaussian fall to it."""
    mtf_file: Path | None = None
    """A detector's measured transfer in its place, as a RELION STAR file (rlnResolutionInversePixel, rlnMtfValue)."""
    shift_error: NotNegative = 0.0
    """What alignment left of each tilt's shift: standard deviation in Å, along each axis."""
    angle_error: NotNegative = 0.0
    """The same of tilt angle and of rotation in the plane, in degrees."""


class ReconstructionOptions(Options):
    """From the tilt series to the tomograms that users have."""

    RENAMED: ClassVar = {"kinds": "tomo_types"}

    tomo_types: tuple[TomoType, ...] = Field(default=("wbp",), min_length=1)
    """wbp: weighted back-projection; ctfdeconvolved: the same after a Wiener filter of each tilt; denoised: low-passed
    as the contest's denoised tomograms are."""
    half_sets: bool = False
    """Also two tomograms from half the electrons each, for noise2noise: wbp-half1 and wbp-half2."""
    dose_weighting: bool = True
    """Weigh each tilt's frequencies by what exposure has left of them."""
    tilt_weighting: NotNegative = 0.0
    """Weigh tilts by this power of the cosine of their angle; above 0 trusts high tilts, in thicker ice, less."""
    lowpass: PositiveRange | None = None
    """Resolution in Å at which a Gaussian low-pass of the images has fallen to a half; none keeps all."""
    highpass: Positive | None = None
    """Length in Å of which a Gaussian high-pass of the images keeps a half; slower changes, as of the ice, go."""
    snr: Positive = 10.0
    """Signal-to-noise ratio (power) that the Wiener filter counts on."""
    stretch: PositiveRange = (1.0, 1.0)
    """Factor on the resolution that denoising leaves: above 1 is blurrier than the contest's."""


class SimulationRecipe(Recipe):
    """One simulated run: particles, ice, microscope, reconstruction."""

    FOLDER = "tomosoup.simulation", "recipes"

    shape: ZYX = (64, 256, 256)
    """Voxels of the tomogram (z, y, x)."""
    voxel_size: Positive = 10.0
    """Å a voxel, and a pixel of the projections."""
    concentration: dict[str, NotNegative] = Field(default=CONCENTRATION)
    """Particles per cubic micrometre, by species."""
    default_concentration: NotNegative = 3000.0
    """The same for species that have a structure or a map and no concentration."""
    structures: dict[str, str] = Field(default={})
    """By species, in place of the built-in shapes: a PDB or mmCIF file, or a PDB id (8cpv) to download from RCSB."""
    maps: dict[str, Path] = Field(default={})
    """By species, in place of the built-in shapes: an MRC density map."""
    map_scale: dict[str, Positive] = Field(default={})
    """Enlarge a species' map by this factor, at the same density."""
    map_mass: dict[str, Positive] = Field(default={})
    """Scale a species' map to this mass (kDa); without it the map's values count as 28.3 a kDa, summed over voxels,
    as in the maps of the contest's organisers."""
    layout: LayoutOptions = LayoutOptions()
    """Numbers and places."""
    sample: SampleOptions = SampleOptions()
    """What else is in the ice."""
    microscope: MicroscopeOptions = MicroscopeOptions()
    """How it is seen."""
    reconstruction: ReconstructionOptions = ReconstructionOptions()
    """What becomes of the images."""

    @property
    def concentrations(self) -> dict[str, float]:
        """Particles per cubic micrometre of every species."""
        return dict.fromkeys((*self.structures, *self.maps), self.default_concentration) | self.concentration

    @model_validator(mode="after")
    def _one_shape_a_species(self) -> Self:
        if both := sorted(set(self.structures) & set(self.maps)):
            raise ValueError(f"{', '.join(both)} has a structure and a map; give one of them")
        return self
