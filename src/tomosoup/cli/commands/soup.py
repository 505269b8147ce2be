"""`tomosoup soup`."""

from __future__ import annotations

from tomosoup.cli.options.commands import SoupCommand
from tomosoup.cli.terminal import Outcome, progress_bars, say
from tomosoup.core.files import refuse_existing
from tomosoup.training.make_soup import make_soup


def soup_command(options: SoupCommand) -> Outcome:
    """Average the weights of checkpoints."""
    refuse_existing(options.output, overwrite=options.overwrite)
    with progress_bars() as progress:
        made = make_soup(options, progress=progress)
    made.checkpoint.save(options.output)
    for note in made.notes:
        say(note[0].upper() + note[1:] + ".")
    count = len(made.checkpoint.history[-1]["ingredients"])
    return Outcome(
        f"{options.output}: the mean of {count} checkpoints",
        files=[options.output],
        facts={"checkpoints": count, "notes": list(made.notes)},
    )
