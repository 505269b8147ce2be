"""`tomosoup soup`."""

from __future__ import annotations

from tomosoup.cli.options.soup import SoupCommand
from tomosoup.cli.terminal import Outcome, progress_bars, say
from tomosoup.core.errors import counted
from tomosoup.core.files import refuse_existing
from tomosoup.training.make_soup import make_soup


def soup_command(options: SoupCommand) -> Outcome:
    """Average the weights of checkpoints."""
    refuse_existing(options.output, overwrite=options.overwrite)
    with progress_bars() as progress:
        finished = make_soup(
            options.ingredients,
            weights=options.weights,
            greedy=options.greedy,
            project=options.project,
            data=options.data,
            plan=options.picking,
            inference=options.inference,
            progress=progress,
        )
    finished.checkpoint.save(options.output)
    for note in finished.notes:
        say(note[0].upper() + note[1:] + ".")
    return Outcome(
        f"{options.output}: the mean of {counted(finished.ingredients, 'checkpoint')}",
        files=[options.output],
        facts={"checkpoints": finished.ingredients, "notes": list(finished.notes)},
    )
