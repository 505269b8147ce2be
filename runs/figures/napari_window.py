"""Takes the picture of docs/review/napari.md: what `tomosoup view PROJECT RUN` opens, on the slice with most picks.

    tomosoup demo
    python -m runs.figures.napari_window tomosoup-demo/project sample docs/review/napari.jpg

It needs `tomosoup[view]` and a display. Without one: `xvfb-run -s "-screen 0 1400x900x24" python -m ...`.
"""

from pathlib import Path

import napari
import numpy as np
from PIL import Image

from runs.shared.command import run_script
from tomosoup.cli.commands.view import add_controls, saver_for
from tomosoup.cli.options.view import ViewCommand
from tomosoup.data.project import open_project
from tomosoup.review.napari_layers import add_layers, edited_picks, run_layers


def main(project: Path, run: str, out: Path) -> None:
    """Open the window and save it."""
    opened = open_project(project)
    viewer = napari.Viewer()
    viewer.window.resize(1280, 860)
    add_layers(viewer, run_layers(opened, run))
    add_controls(viewer, saver_for(ViewCommand(project=project, run=run), opened, run))
    picks = [layer for layer in viewer.layers if layer.metadata.get("role") == "picks"]
    viewer.layers.selection.active = max(picks, key=lambda layer: len(layer.data))
    depths = np.concatenate([found.zyx[:, 0] for found in edited_picks(picks).values()])
    viewer.dims.set_point(0, max(depths, key=lambda z: (abs(depths - z) < 60).sum()))
    napari.qt.get_qapp().processEvents()
    viewer.reset_view()
    napari.qt.get_qapp().processEvents()
    shot = viewer.screenshot(canvas_only=False, flash=False)
    for quality in range(90, 30, -5):
        Image.fromarray(shot[..., :3]).save(out, quality=quality)
        if out.stat().st_size < 250_000:
            break
    print(f"{out}: {shot.shape[1]} x {shot.shape[0]}, {out.stat().st_size // 1000} kB")
    viewer.close()


if __name__ == "__main__":
    run_script(main, description=__doc__)
