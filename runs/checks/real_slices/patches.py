"""Can a classifier tell real from simulated patches? Area under its curve, a plane left out at a time."""

from collections.abc import Sequence

import numpy as np
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from runs.checks.real_slices.measures import BANDS, QUANTILES, bands
from runs.checks.real_slices.planes import Array, Plane

SIDE = 64
FEATURES = {
    "bands 0-5": slice(0, 6),
    "all bands": slice(0, BANDS),
    "grey values": slice(BANDS, BANDS + len(QUANTILES) + 2),
    "all": slice(None),
}
"""The read-back real planes can be trusted in bands 0 to 5."""
NAMES = [*(f"band {i}" for i in range(BANDS)), *(f"q{100 * q:g}" for q in QUANTILES), "skew", "kurtosis"]


def features(plane: Plane) -> Array:
    """`(patches, 23)`: log of the power times the variance in twelve bands, quantiles, skew and kurtosis."""
    rows = []
    for y, x in np.ndindex(*(n // SIDE for n in plane.grey.shape)):
        box = slice(y * SIDE, (y + 1) * SIDE), slice(x * SIDE, (x + 1) * SIDE)
        patch = plane.grey[box]
        if plane.valid[box].all():
            spectrum = np.log(bands(patch) * patch.var() + 1e-6)
            rows.append(
                [*spectrum, *np.quantile(patch, QUANTILES), stats.skew(patch.ravel()), stats.kurtosis(patch.ravel())]
            )
    return np.array(rows)


def separability(real: Sequence[Plane], simulated: Sequence[Plane]) -> tuple[dict[str, float], dict[str, float]]:
    """AUC of a logistic regression by group of features, and of each feature alone (above 0.5: larger in real ones).

    A real plane, or all planes of a simulated run, is left out at a time.
    """
    found = [(p.name, 1, features(p)) for p in real] + [(p.tomogram, 0, features(p)) for p in simulated]
    table = np.concatenate([rows for *_, rows in found])
    groups, is_real = (np.repeat([f[i] for f in found], [len(f[2]) for f in found]) for i in (0, 1))
    model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=2000))
    together = {}
    for name, columns in FEATURES.items():
        scores = cross_val_predict(
            model, table[:, columns], is_real, groups=groups, cv=LeaveOneGroupOut(), method="decision_function"
        )
        together[name] = float(roc_auc_score(is_real, scores))
    return together, {name: float(roc_auc_score(is_real, column)) for name, column in zip(NAMES, table.T, strict=True)}
