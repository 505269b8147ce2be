import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tomosoup.core.errors import InputError
from tomosoup.models.checkpoint import KEY, Checkpoint, load
from tomosoup.models.history import Event


def test_a_checkpoint_comes_back_as_it_was(checkpoint: Checkpoint, tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "a.safetensors")
    again = load(tmp_path / "a.safetensors")
    assert replace(again, weights={}) == replace(checkpoint, weights={})
    x = torch.randn(1, 1, 16, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(again.net()(x), checkpoint.net()(x), atol=0, rtol=0)
    assert not again.net().training


def test_a_failed_save_leaves_the_old_file_and_no_other(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    checkpoint.save(path)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        replace(checkpoint, history=(Event(step="x", rest={"unwritable": object()}),)).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_not_a_checkpoint_is_named_as_such(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    with pytest.raises(InputError, match="There is no checkpoint at"):
        load(path)
    path.write_text("id,experiment\n")
    with pytest.raises(InputError, match="is not a checkpoint"):
        load(path)
    save_file({"w": torch.zeros(2)}, path)
    with pytest.raises(InputError, match="holds tensors but is not a tomosoup checkpoint"):
        load(path)
    checkpoint.save(path)
    save_file(load_file(path), path, metadata={KEY: json.dumps({"format": 99})})
    with pytest.raises(InputError, match="written by a newer tomosoup"):
        load(path)


def test_weights_of_another_net_are_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    replace(checkpoint, weights={"head.weight": torch.zeros(1)}).save(path)
    with pytest.raises(InputError, match="do not fit its net"):
        load(path).net()


NOTHING_FINITE = [float("nan"), float("inf"), "0.5", None, True, [1]]
SPECIES = {"name": "a", "radius": 60.0, "weight": 1.0}
BAD: list[tuple[str, object]] = [
    *((key, {"ribosome": value}) for key in ("thresholds", "averaging_thresholds") for value in NOTHING_FINITE),
    *(("signal_levels", {"scores": {"ribosome": [value]}, "volume": 0.07}) for value in NOTHING_FINITE),
    *(("signal_levels", {"scores": {}, "volume": value}) for value in (float("nan"), "0.5", 0)),
    ("signal_levels", {"scores": 3, "volume": 0.07}),
    ("signal_levels", {"scores": {}}),
    *(("voxel_size", value) for value in NOTHING_FINITE),
    *(("normalisation", {"mean": value, "deviation": 1.0}) for value in NOTHING_FINITE[:2]),
    ("calibration", {"ribosome": {"middle": float("nan"), "steepness": 1.0}}),
    ("species", [SPECIES, SPECIES]),
    ("species", [SPECIES | {"radius": 1e300}]),
    ("species", [SPECIES | {"weight": float("nan")}]),
    ("species", ["a"]),
    ("history", "trained"),
    ("history", {"step": "train"}),
    ("history", [3]),
    ("history", [{"step": "train", "held_out": "a", "runs": "abc"}]),
    ("history", [{"step": "train", "held_out": 7}]),
    ("history", [{"step": "soup", "ingredients": ["abc"]}]),
    ("history", [{"step": "soup", "ingredients": 3}]),
    ("architecture", {"backbone": "../../../etc/passwd"}),
    ("architecture", {"backbone": "hf-hub:someone/net"}),
]


@pytest.mark.parametrize(("key", "value"), BAD)
def test_metadata_that_is_not_whole_is_refused_when_it_is_read(key: str, value: object, checkpoint: Checkpoint) -> None:
    about = checkpoint.metadata()
    value = {**about[key], **value} if key == "architecture" and isinstance(value, dict) else value
    with pytest.raises(InputError, match=r"m\.safetensors") as error:
        Checkpoint.of({}, about | {key: value}, source="m.safetensors")
    assert "\n" not in str(error.value)


def test_a_backbone_that_nobody_knows_is_one_sentence(checkpoint: Checkpoint) -> None:
    about = checkpoint.metadata()
    about["architecture"]["backbone"] = "no_such_net"
    with pytest.raises(InputError, match="net cannot be built"):
        Checkpoint.of({}, about, source="m").net()
