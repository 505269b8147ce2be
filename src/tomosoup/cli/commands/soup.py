"""`tomosoup soup`."""

from __future__ import annotations

from tomosoup.cli.options.soup import SoupCommand
from tomosoup.cli.terminal import Outcome, progress_bars, say
from tomosoup.core.files import refuse_existing
from tomosoup.models.history import Souped
from tomosoup.training.make_soup import make_soup


def soup_command(options: SoupCommand) -> Outcome:
    """Average the weights of checkpoints."""
    refuse_existing(options.output, overwrite=options.overwrite)
    with progress_bars() as progress:
        made = make_soup(options, progress=progress)
    made.checkpoint.save(options.output)
    for note in made.notes:
        say(note[0].upper() + note[1:] + ".")
    count = sum(len(e.ingredients) for e in made.checkpoint.history if isinstance(e, Souped))
    return Outcome(
        f"{options.output}: the mean of {count} checkpoints",
        files=[options.output],
        facts={"checkpoints": count, "notes": list(made.notes)},
    )
