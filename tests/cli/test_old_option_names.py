import pytest

from tomosoup.cli.arguments.parse import parse
from tomosoup.cli.commands import options_class

PICK = ["pick", "project", "--output", "picks.csv"]
TRAIN = ["train", "project", "--output", "model.safetensors"]


@pytest.mark.parametrize(
    ("command", "old", "new"),
    [
        (PICK, "--kind wbp", "--tomo-type wbp"),
        (["pick", "project", "--tomo-type", "wbp"], "--no-kind", "--no-tomo-type"),
        (PICK, "--follow-noise 0", "--noise-correction 0"),
        (PICK, "--labels.mask 0.2", "--segmentation.mask 0.2"),
        (PICK, "--labels.by=peaks", "--segmentation.method=peaks"),
        (TRAIN, "--also-kinds wbp", "--extra-tomo-types wbp"),
        (TRAIN, "--kept 3", "--keep-best 3"),
        (TRAIN, "--augmentation.mixup-chance 0.25", "--augmentation.mixup-probability 0.25"),
        (["tune", "project", "--model", "a.safetensors"], "--softness 0.2", "--threshold-margin 0.2"),
        (["simulate", "sim"], "--like picks.csv", "--layout-from picks.csv"),
        (["simulate", "sim"], "--reconstruction.kinds wbp", "--reconstruction.tomo-types wbp"),
        (["simulate", "sim"], "--sample.bystanders 1 2", "--sample.background-proteins 1 2"),
    ],
)
def test_an_option_is_read_under_its_old_name(command: list[str], old: str, new: str) -> None:
    name, *words = command
    model = options_class(name)
    usual, _ = parse(model, name, words)
    by_old, _ = parse(model, name, [*words, *old.split()])
    by_new, _ = parse(model, name, [*words, *new.split()])
    assert by_old == by_new != usual
