"""How particles differ, where they are, and what else is in the ice."""

from __future__ import annotations

from typing import Annotated, ClassVar

from annotated_types import Ge, Le
from pydantic import Field

from tomosoup.core.config import Count, Options, Share
from tomosoup.simulation.options.ranges import NotNegative, NotNegativeRange, Positive, PositiveRange, ShareRange


class ParticleOptions(Options):
    """How the particles of a species differ from one another. Without these options all are alike."""

    varieties: Count = 1
    """Number of different shapes of each species in a run; its particles are shared among them."""
    also_built_in: bool = False
    """Species with a structure or a map also come in their built-in shape, if they have one. A species may have a
    structure and a map. Each run has at least one variety from each."""
    size_spread: Annotated[float, Ge(0), Le(0.2)] = 0.0
    """Standard deviation of a variety's size along each of its axes, as a fraction of it."""
    mass_spread: NotNegative = 0.0
    """Standard deviation of the logarithm of a variety's mass."""
    deformation: NotNegative = 0.0
    """Flexibility: by how many Å the parts of a variety are displaced (root mean square)."""
    broken: Share = 0.0
    """Probability that a variety lacks a part: 15 to 50 % of its mass."""
    filling: dict[str, NotNegativeRange] = Field(default={})
    """Range of the mass (kDa) of grainy matter inside a species that is a shell, such as the RNA of a capsid."""
    empty: Share = 0.0
    """Probability that a variety with a `filling` is empty."""


class LabelOptions(Options):
    """Errors of an annotator. With any of them a project holds a second set of picks, simulated-annotator/0, that has
    them; the true picks stay exact, and the default."""

    missing: Share = 0.0
    """Fraction of the particles that are not labelled."""
    shift: NotNegative = 0.0
    """Standard deviation of the labels' positions in Å, along each axis."""
    duplicates: Share = 0.0
    """Fraction of the labelled particles that have a second label within 40 Å, of another species if there is one."""


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
    """Mean and standard deviation of a species' z, as fractions of the tomogram's depth; the others are at any z. No
    particle is outside of the ice."""


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
    specks: NotNegativeRange = (0.0, 0.0)
    """Small compact proteins per cubic micrometre of ice. 100,000 of them take about 5 s."""
    speck_mass: PositiveRange = (50.0, 300.0)
    """Masses of the specks in kDa."""
    adsorbed: ShareRange = (0.0, 0.0)
    """Fraction of the specks that stick to the surfaces of the ice."""
    film: NotNegativeRange = (0.0, 0.0)
    """Denatured protein on both surfaces of the ice, in patches: mg/m², 1 to 3 where protein covers water."""
    aggregates: NotNegativeRange = (0.0, 0.0)
    """Clumps of background proteins per cubic micrometre of ice."""
    aggregate_mass: PositiveRange = (500.0, 5000.0)
    """Masses of the aggregates in kDa."""
    fragments: NotNegativeRange = (0.0, 0.0)
    """Pieces of the labelled species per cubic micrometre of ice: 15 to 50 % of a particle, not labelled."""
    filaments: NotNegativeRange = (0.0, 0.0)
    """Filaments and tubes per cubic micrometre of ice."""
    filament_radius: PositiveRange = (10.0, 60.0)
    """Radii of the filaments in Å; those wider than 40 Å are tubes."""
    contamination: NotNegativeRange = (0.0, 0.0)
    """Number of lumps of ice crystals on the surfaces of the ice."""
    contamination_diameter: PositiveRange = (200.0, 800.0)
    """Diameters of the lumps in Å."""
    crowding: ShareRange = (0.0, 0.0)
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
