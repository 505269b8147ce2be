"""Takes the picture of docs/review/annotate.md: the widget "Annotate and train" with a box to annotate.

    tomosoup demo
    python -m runs.figures.annotate_window tomosoup-demo/project/copick_config.json docs/review/annotate.jpg

It confirms one box in memory, saves nothing, and needs `tomosoup[view]` and a display. Without one:
`xvfb-run -s "-screen 0 1400x900x24" python -m ...`.
"""

import time
from pathlib import Path

import napari
from PIL import Image

from runs.shared.command import run_script
from tomosoup.review.annotate.widget import AnnotationWidget


def main(project: Path, out: Path) -> None:
    """Open the window, pick, go to the second place, and save what is shown."""
    viewer = napari.Viewer()
    viewer.window.resize(1280, 800)
    widget = AnnotationWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Annotate and train", area="right")
    widget.project.value = project
    widget.open_button.changed.emit(True)
    app = napari.qt.get_qapp()
    while widget.busy:
        app.processEvents()
        time.sleep(0.05)
    widget.order.value = "most corrections first"
    for text in ("Next place", "Confirm box", "Next place"):
        widget.buttons[text].changed.emit(True)
    for _ in range(20):
        app.processEvents()
        time.sleep(0.05)
    shot = viewer.screenshot(canvas_only=False, flash=False)
    for quality in range(90, 30, -5):
        Image.fromarray(shot[..., :3]).save(out, quality=quality)
        if out.stat().st_size < 200_000:
            break
    print(f"{out}: {shot.shape[1]} x {shot.shape[0]}, {out.stat().st_size // 1000} kB")
    viewer.close()


if __name__ == "__main__":
    run_script(main, description=__doc__)
