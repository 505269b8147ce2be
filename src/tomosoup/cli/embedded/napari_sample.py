"""The sample data of napari's plugin: the tomogram that ships with tomosoup."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from tomosoup.cli.commands.sample import sample_project
from tomosoup.data.project import open_project
from tomosoup.review.napari_layers import LayerData, run_layers


def sample_layers() -> list[LayerData]:
    """The bundled tomogram and its true particles."""
    with TemporaryDirectory() as folder:
        run = sample_project(Path(folder) / "project")
        return run_layers(open_project(Path(folder) / "project"), run)
