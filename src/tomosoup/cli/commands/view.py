"""`tomosoup view`: a run in napari, whose picks can be corrected and saved."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from typing import Any

from tomosoup.cli.options.view import ViewCommand
from tomosoup.cli.terminal import Outcome, say
from tomosoup.core.errors import InputError, counted, first_line
from tomosoup.core.files import refuse_existing
from tomosoup.core.thresholds import Thresholds
from tomosoup.data.formats.tables.picks_csv import write_csv
from tomosoup.data.project import CopickProject, Project, open_project
from tomosoup.review.napari_layers import (
    add_layers,
    check_free,
    edited_picks,
    free_session,
    picks_name,
    run_layers,
    save_layers,
    show_above,
)

SAVE_KEY = "Alt-S"


def view_command(options: ViewCommand) -> Outcome:
    """Open a run in napari, until its window is closed."""
    viewers = _napari()
    if options.output:
        refuse_existing(options.output, overwrite=options.overwrite)
    project = open_project(options.project)
    run = options.run or next(iter(project.runs), "")
    saver = saver_for(options, project, run)
    layers = run_layers(
        project,
        run,
        data=options.data,
        picks_set=options.picks_set,
        truth_set=options.truth_set,
        thresholds=Thresholds.read(options.threshold),
    )
    say(f"{run}: correct the layers of picks; {SAVE_KEY} or the button saves them as {saver.place}")
    viewer = viewers.Viewer(title=f"{run} - tomosoup")
    add_layers(viewer, layers)
    add_controls(viewer, saver)
    viewers.run()
    if not saver.saved:
        return Outcome(f"{run}: nothing was saved", facts={"run": run, "session": None, "picks": {}})
    found = ", ".join(f"{name} {n}" for name, n in saver.saved.items())
    return Outcome(
        f"{run}: saved {found}; in {saver.place}",
        files=[options.output] if options.output else [],
        facts={"run": run, "session": saver.copick_set, "picks": saver.saved},
    )


@dataclass
class Saver:
    """Saves a viewer's picks, any number of times, under a name that was free at the start."""

    options: ViewCommand
    project: Project
    run: str
    session: str | None
    """copick session; None where the project is not copick's."""
    saved: dict[str, int] = field(default_factory=dict)
    """How many picks of each species were saved last."""

    @property
    def copick_set(self) -> str | None:
        """USER/SESSION."""
        return f"{self.options.user}/{self.session}" if self.session else None

    @property
    def place(self) -> str:
        """Where the picks are saved, in words."""
        copick = f"copick {self.project.path}, {self.copick_set}" if self.session else ""
        return ", ".join(filter(None, (copick, str(self.options.output or ""))))

    def __call__(self, viewer: Any) -> str:
        """Save, and return a sentence on what was saved."""
        if self.session:
            overwrite = bool(self.saved) or self.options.overwrite
            user, session = self.options.user, self.session
            picks = save_layers(viewer, self.project, self.run, user=user, session=session, overwrite=overwrite)
        else:
            picks = edited_picks(viewer)
        if self.options.output:
            write_csv(self.options.output, {self.run: picks})
        self.saved = {name: len(found) for name, found in picks.items()}
        return f"{counted(sum(self.saved.values()), 'pick')} saved as {self.place}"


def saver_for(options: ViewCommand, project: Project, run: str) -> Saver:
    """What saves corrected picks. Raises `InputError` where they cannot be saved, before anything is shown."""
    if not isinstance(project, CopickProject):
        if options.output is None:
            raise InputError(
                f"{project.path} is not a copick project: name a CSV file for the picks with `output=PICKS.csv`."
            )
        return Saver(options, project, run, None)
    sets = list(project.pick_sets(run)) if run in project.runs else []
    session = options.session or free_session(sets, options.user, picks_name(sets, run, options.picks_set))
    if run in project.runs:
        check_free(project, run, user=options.user, session=session, overwrite=options.overwrite)
    return Saver(options, project, run, session)


def add_controls(viewer: Any, saver: Saver) -> None:
    """A button and a key that save, and a slider that hides candidates of low scores."""
    from magicgui.widgets import Container, FloatSlider, Label, PushButton

    button, slider, message = PushButton(text="Save picks"), FloatSlider(label="Candidates above", max=1.0), Label()

    def save(_: object = None) -> None:
        try:
            message.value = saver(viewer)
        except (InputError, OSError) as error:
            message.value = f"Not saved. {error}"

    button.changed.connect(save)
    slider.changed.connect(lambda threshold: show_above(viewer, threshold))
    viewer.bind_key(SAVE_KEY, save)
    viewer.window.add_dock_widget(Container(widgets=[slider, button, message]), name="tomosoup", area="right")


def _napari() -> Any:
    """napari, with a Qt binding and a display to open a window on. Raises `InputError` where one is missing."""
    try:
        import napari
        from qtpy import QtWidgets  # noqa: F401 - qtpy raises where no binding is installed
    except ImportError as error:
        raise InputError(
            f"napari with a Qt binding is not installed ({first_line(error)}): pip install 'tomosoup[view]'."
        ) from error
    screens = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    if sys.platform.startswith("linux") and not any(os.environ.get(name) for name in screens):
        raise InputError("There is no display to open a window on: set DISPLAY, or use a machine with a screen.")
    return napari
