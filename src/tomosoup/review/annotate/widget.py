"""The widget "Annotate and train" of napari: buttons, keys and a progress bar over an `AnnotationWindow`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import CancelledError
from pathlib import Path
from typing import TYPE_CHECKING

import napari
from magicgui.widgets import CheckBox, ComboBox, Container, FileEdit, Label, LineEdit, ProgressBar, PushButton
from napari.qt.threading import create_worker
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QSizePolicy

from tomosoup.core.errors import InputError
from tomosoup.core.progress import Progress

if TYPE_CHECKING:
    from tomosoup.review.annotate.ranking import Order
    from tomosoup.review.annotate.window import AnnotationWindow

EVERY_MS = 200
"""How often the progress bar moves."""
WIDTH = 390
"""Pixels of the widget."""
SECOND_VIEW = "turn_180"
"""The view that is compared with the tomogram as it is. Both have the missing wedge along the same axes."""
ORDERS: dict[str, Order] = {"random": "random", "most corrections first": "corrections"}
"""The choices of the order of boxes."""
KEYS = {
    "Next place": "Alt-N",
    "Box here": "Alt-B",
    "Confirm box": "Alt-C",
    "Reopen box": "Alt-R",
    "Fine-tune": "Alt-T",
    "Cancel": "Alt-X",
    "Show new picks": "Alt-U",
    "Save": "Alt-S",
}
"""The buttons and their keys. Alt-1, Alt-2, ... add particles of a species."""


class AnnotationWidget(Container):  # type: ignore[misc]
    """Open a project, then annotate, train, repeat. One piece of work runs in the background at a time."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.window: AnnotationWindow | None = None
        self.project = FileEdit(label="Project", filter="*.json", tooltip="A copick configuration file")
        self.model = LineEdit(label="Model", value="default", tooltip="default, or a checkpoint file")
        self.tomo_type = LineEdit(label="Tomogram type", tooltip="denoised, wbp, ...; empty if each run has one")
        self.session = LineEdit(label="Session", value="annotated-0", tooltip="copick session; an existing one resumes")
        self.order = ComboBox(label="Next place", choices=list(ORDERS), tooltip="In which order boxes are suggested")
        self.views = CheckBox(text="Compare two views (slower)")
        self.open_button = PushButton(text="Open")
        self.run = ComboBox(label="Run", choices=self._runs)
        self.buttons = {text: PushButton(text=f"{text} ({key})", enabled=False) for text, key in KEYS.items()}
        self.bar, self.message = ProgressBar(min=0, max=1, value=0, visible=False), Label()
        self.extend([self.project, self.model, self.tomo_type, self.session, self.views, self.open_button, self.run])
        self.extend([self.order, *self.buttons.values(), self.bar, self.message])
        self.message.native.setWordWrap(True)
        self.message.native.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.MinimumExpanding)
        self.native.setMinimumWidth(WIDTH)  # whatever the message: the view keeps its size
        self._state: tuple[str, int, int] | None = None
        self._stop = False
        self._timer = QTimer(self.native)
        self._timer.timeout.connect(self._move_bar)
        self._connect()

    def _connect(self) -> None:
        """Buttons, keys, and the end of the window."""
        actions: dict[str, Callable[[], str]] = {
            "Next place": self.next_place,
            "Box here": lambda: self._shown().here(),
            "Confirm box": lambda: self._shown().confirm(),
            "Reopen box": lambda: self._shown().reopen(),
            "Fine-tune": self.fine_tune,
            "Cancel": self.cancel,
            "Show new picks": lambda: self._shown().refresh(),
            "Save": lambda: self._shown().save(),
        }
        for text, action in actions.items():
            self.buttons[text].changed.connect(lambda _=None, action=action: self._do(action))
            self.viewer.bind_key(KEYS[text], lambda _, action=action: self._do(action), overwrite=True)
        for number in range(1, 10):
            key = f"Alt-{number}"
            self.viewer.bind_key(key, lambda _, n=number: self._do(lambda: self._shown().species(n)), overwrite=True)
        self.open_button.changed.connect(lambda _=None: self._do(self.open))
        self.run.changed.connect(lambda run: self._do(lambda: self._go_to(run)))
        self.native.destroyed.connect(lambda *_: self.__dict__.update(_stop=True))

    @property
    def busy(self) -> bool:
        """Whether something runs in the background."""
        return self._state is not None

    def open(self) -> str:
        """Open the project, resume the session, and pick all runs in the background."""
        if self._state:
            return "Cancel the work in the background first."
        if self.window and (text := self.window.would_lose_boxes()):
            return text
        keep_one_llvm()
        from tomosoup.data.options import DataOptions
        from tomosoup.data.project import CopickProject, open_project
        from tomosoup.models.checkpoint import load
        from tomosoup.review.annotate.session import AnnotationSession
        from tomosoup.review.annotate.stored import resume
        from tomosoup.review.annotate.window import AnnotationWindow

        project = open_project(path := Path(self.project.value))
        if not isinstance(project, CopickProject):
            raise InputError(f"{path} is not a copick project: choose its configuration file (.json).")
        work = AnnotationSession(
            project,
            load(self.model.value),
            folder=path.parent / f"tomosoup-{self.session.value}",
            data=DataOptions(tomo_type=self.tomo_type.value or None),
            views=(SECOND_VIEW,) if self.views.value else (),
        )
        confirmed = resume(work, user="napari", session=self.session.value)
        if self.window:
            self.window.remove()
        self.window = AnnotationWindow(self.viewer, work, "napari", self.session.value)
        with self.run.changed.blocked():
            self.run.reset_choices()
        self._show(next(iter(work.tomograms)))
        for button in self.buttons.values():
            button.enabled = True
        self._start(lambda progress: work.pick(progress=progress), f"All runs are picked. {work.remark}".strip())
        return f"Runs: {len(work.tomograms)}. Boxes confirmed before: {confirmed}."

    def next_place(self) -> str:
        """Go to the next box, in the order that is chosen now."""
        window = self._shown()
        window.work.order = ORDERS[self.order.value]
        return window.next()

    def fine_tune(self) -> str:
        """Train on the confirmed boxes in the background, then pick all runs with the new model."""
        if self._state:
            return "Cancel the work in the background first."
        work = self._shown().work

        def train_and_pick(progress: Progress) -> None:
            work.pick(work.fine_tune(progress=progress), progress=progress)

        self._start(train_and_pick, "The new model has picked all runs.")
        return "Training in the background. You can annotate further boxes meanwhile."

    def cancel(self) -> str:
        """End the work in the background at its next step."""
        self._stop = True
        return "Cancelling ..." if self._state else "Nothing runs in the background."

    def _shown(self) -> AnnotationWindow:
        if self.window is None:
            raise InputError("Open a project first.")
        return self.window

    def _do(self, action: Callable[[], str]) -> None:
        """Do it, and show what it says or why it cannot be done."""
        try:
            self.message.value = action()
        except (InputError, OSError) as error:
            self.message.value = str(error)
        self._show_run_name()

    def _runs(self, _: ComboBox) -> list[str]:
        """The runs to choose from; napari asks again whenever layers change."""
        return list(self.window.work.tomograms) if self.window else []

    def _go_to(self, run: str | None) -> str:
        """Show the run that was chosen in the list."""
        window = self._shown()
        if run is None or run == window.run:
            return str(self.message.value)
        if text := window.would_lose("choose the run"):
            return text
        window.show(run)
        return run

    def _show(self, run: str) -> None:
        self._shown().show(run)
        self.viewer.reset_view()
        self._show_run_name()

    def _show_run_name(self) -> None:
        """The list shows the run of the window."""
        if self.window and self.run.value != self.window.run:
            with self.run.changed.blocked():
                self.run.value = self.window.run

    def _start(self, job: Callable[[Progress], None], done: str) -> None:
        """Run a job in another thread, which only this one shows."""
        self._state, self._stop = ("", 0, 1), False

        def progress(what: str, number: int, of: int) -> None:
            if self._stop:
                raise CancelledError
            self._state = what, number, of

        def guarded() -> str:
            try:
                job(progress)
            except CancelledError:
                return "Cancelled."
            except (InputError, OSError) as error:
                return str(error)
            return ""

        worker = create_worker(guarded)
        worker.returned.connect(lambda said: self._finished(said, done))
        worker.errored.connect(lambda error: self._finished(str(error), done))
        self.bar.visible = True
        self._timer.start(EVERY_MS)
        worker.start()

    def _finished(self, said: str, done: str) -> None:
        """Back in this thread: show the new picks, unless changes would be lost."""
        self._state = None
        self._timer.stop()
        self.bar.visible = False
        self._do(lambda: said or self._show_new_picks(done))

    def _show_new_picks(self, done: str) -> str:
        window = self._shown()
        if window.changed():
            return f"{done} Confirm the box, then Show new picks ({KEYS['Show new picks']})."
        window.refresh()
        return f"{done} Next place ({KEYS['Next place']}) shows where to look."

    def _move_bar(self) -> None:
        if self._state:
            what, number, of = self._state
            self.bar.max, self.bar.value = max(of, 1), min(number, max(of, 1))
            self.bar.native.setFormat(f"{what} %p%")


def keep_one_llvm() -> None:
    """Keep triton, which torch would import, out of a process whose OpenGL driver (Mesa) has loaded LLVM.

    triton brings an LLVM of its own, and two of them end the process with a crash. Nothing here needs triton.
    """
    maps = Path("/proc/self/maps")
    if "triton" not in sys.modules and maps.exists() and "libLLVM" in maps.read_text():
        sys.modules["triton"] = None  # type: ignore[assignment]
