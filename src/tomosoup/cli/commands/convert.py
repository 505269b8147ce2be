"""`tomosoup convert`."""

from __future__ import annotations

from tomosoup.cli.options.convert import ConvertCommand
from tomosoup.cli.terminal import Outcome, say
from tomosoup.core.files import refuse_existing
from tomosoup.models.convert import convert
from tomosoup.models.history import Converted


def convert_command(options: ConvertCommand) -> Outcome:
    """Turn published weights into a checkpoint."""
    refuse_existing(options.output, overwrite=options.overwrite)
    checkpoint = convert(options.published)
    checkpoint.save(options.output)
    (event,) = (e for e in checkpoint.history if isinstance(e, Converted))
    which = "averaged weights" if event.averaged else "last weights, as it holds no averaged ones"
    species = [s.name for s in checkpoint.species]
    say("The file holds no thresholds: set them with --threshold when you pick, or with `tomosoup threshold`.")
    return Outcome(
        f"{options.output}: {event.net}, {which}; species {', '.join(species)}",
        files=[options.output],
        facts={"net": event.net, "species": species},
    )
