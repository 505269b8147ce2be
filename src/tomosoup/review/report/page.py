"""A report as one HTML page that holds all it needs: data, scripts and styles. It opens without a network.

Names come from files of others. Data are in the page as JSON in which no tag can begin, and the page's own script
writes them as text. The page's policy lets the browser run our scripts alone, by their hashes, and fetch nothing.
"""

from __future__ import annotations

import json
import math
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from html import escape
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from bokeh.resources import Resources

from tomosoup.core.files import written_aside
from tomosoup.core.types import Array
from tomosoup.data.copick.files import COLOURS
from tomosoup.review.report.collect import Report, RunReport
from tomosoup.review.report.learning_curves import Learning
from tomosoup.review.report.run_lines import RunLine
from tomosoup.scoring.matched_picks import MatchedPicks

WEB = files("tomosoup.review.report") / "web"
SCRIPTS = ("data", "colours", "score", "viewer", "controls", "charts", "gallery", "runs", "keys", "page")
"""Scripts in `WEB`, each after those that it needs."""
POLICY = "default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data: blob:; form-action 'none'"


def write_page(path: Path, report: Report) -> None:
    """Write the page; equal reports make equal pages."""
    ours = "\n".join(_text(f"{name}.js") for name in SCRIPTS)
    library = Resources("inline", components=["bokeh", "bokeh-api"]).js_raw[:2]  # the rest says how much it should log
    scripts = [_text("theme.js"), *library, f'"use strict";\n{ours}']
    scripts = [script.replace("</script", "<\\/script") for script in scripts]
    hashes = " ".join(f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts)
    page = Template(_text("page.html")).substitute(
        policy=POLICY.format(scripts=hashes),
        title=escape(report.title),
        style=_text("page.css"),
        data=as_json(contents(report)),
        first=f"<script>{scripts[0]}</script>",
        scripts="\n".join(f"<script>{script}</script>" for script in scripts[1:]),
    )
    with written_aside(path) as aside:
        aside.write_text(page, encoding="utf-8")


def _text(name: str) -> str:
    return (WEB / name).read_text(encoding="utf-8")


def as_json(data: Any) -> str:
    """JSON that cannot end the script element it stands in, nor open a comment."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def contents(report: Report) -> dict[str, Any]:
    """What the page's script reads: positions are (z, y, x) in Å, arrays are base64."""
    source = report.source
    return {
        "title": report.title,
        "version": version("tomosoup"),
        "apply": {"project": str(source.path), "session": source.name} if source.is_session else None,
        "species": [
            {
                "name": s.name,
                "radius": s.radius,
                "weight": s.weight,
                "colour": COLOURS[number % len(COLOURS)],
                "threshold": _finite(report.thresholds.get(s.name, -math.inf)),
            }
            for number, s in zip(report.numbers, report.species, strict=True)
        ],
        "lines": [_line(line, report) for line in report.lines],
        "home": report.home,
        "runs": [_run(run, [s.name for s in report.species]) for run in report.runs],
        "learning": [_learning(curves) for curves in report.learning],
        "records": [[heading, _plain(record)] for heading, record in report.records],
    }


def _line(line: RunLine, report: Report) -> dict[str, Any]:
    """One run of the project. Numbers are in the order of the species; null is not known."""
    names = [s.name for s in report.species]
    return {
        "name": line.name,
        "picks": None if line.picks is None else [line.picks.get(name, 0) for name in names],
        "false": [line.false.get(name) for name in names],
        "error": line.error,
        "picture": line.picture and f"data:image/jpeg;base64,{b64encode(line.picture).decode()}",
        "page": line.page,
    }


def _run(run: RunReport, names: list[str]) -> dict[str, Any]:
    volume = run.volume and {
        "image": f"data:image/jpeg;base64,{b64encode(run.volume.jpeg).decode()}",
        "columns": run.volume.columns,
        "shape": run.volume.shape,
        "voxelSize": run.volume.voxel_size,
        "origin": run.volume.origin,
        "region": run.volume.region and f"data:image/png;base64,{b64encode(run.volume.region).decode()}",
    }
    known = {name: [c.centre, c.steepness] for name, c in run.calibrations.items()}
    return {
        "name": run.name,
        "scored": run.scored,
        "volume": volume,
        "remark": run.remark,
        "found": [_matched(run.matched[name], shown=run.volume is not None) for name in names],
        "calibrations": [known.get(name) for name in names],
    }


def _matched(found: MatchedPicks, *, shown: bool) -> dict[str, Any]:
    """Picks and truth of one species; positions are left out where no volume is `shown`."""
    positions = {
        "zyx": _packed(found.zyx, "<f4"),
        "kind": _packed(found.outcome, "u1"),
        "truth": _packed(found.truth, "<f4"),
    }
    if found.mask_distance is not None:
        positions["maskDistance"] = _packed(found.mask_distance, "<f4")
    return {"score": _packed(found.score), "hitAt": _packed(found.hit_at)} | (positions if shown else {})


def _packed(values: Any, dtype: str | None = None) -> dict[str, str]:
    """An array as the browser reads it; without `dtype`, in the fewest bytes that keep every number."""
    values = np.asarray(values)
    narrow = values.astype("<f4")
    dtype = dtype or ("<f4" if np.array_equal(narrow, values) else "<f8")
    return {"kind": dtype.removeprefix("<"), "base64": b64encode(values.astype(dtype).tobytes()).decode()}


def _learning(curves: Learning) -> dict[str, Any]:
    by_epoch = {name: _curve(*curve) for name, curve in curves.by_epoch.items()}
    return {"name": curves.name, "loss": _curve(*curves.loss), "byEpoch": by_epoch}


def _curve(x: Array, y: Array) -> dict[str, list[float | str]]:
    return {"x": [_finite(v) for v in x.tolist()], "y": [_finite(float(f"{v:.5g}")) for v in y.tolist()]}


def _plain(value: Any) -> Any:
    """A record without infinities, which JSON does not know."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _finite(value: float) -> float | str:
    """The number, or the name of an infinity, which JSON does not know."""
    return value if math.isfinite(value) else str(value)
