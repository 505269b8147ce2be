"""The whole chain of commands, from two annotated tomograms to picks, with a score after each stage."""

from pathlib import Path

from runs.quality.fine_tuning.projects import parts
from tomosoup.cli.main import main
from tomosoup.data.project import open_project


def chain(out: Path) -> None:
    """Run the steps of docs/scoring/what-helps.md on two annotated tomograms and score each stage."""
    where, models = str(out / "project"), [str(out / f"chain-fold{fold}.safetensors") for fold in (0, 1)]
    to_train, chooses, scored = parts(tuple(open_project(where).runs))
    first = ["--from", "default", "--pretrain-on", str(out / "simulated")]
    labelled, output = ["--runs", to_train[0], chooses], ["--output", str(out / "chain.safetensors")]
    main(["train", where, *first, "--all-folds", *labelled, *output, "--overwrite"])
    tune = ["tune", where, *labelled, "--model", *models]
    for stage, used, before, options in (
        ("one-net", models[:1], [], []),
        ("both", models, tune, []),
        ("laxer-thresholds", models, [*tune, "--softness", "0.1"], []),
        ("maps", models, [], ["--templates.folder", str(out)]),
    ):
        if before:
            main(before)
        picking = ["--runs", *scored, "--model", *used, "--session", stage, "--overwrite"]
        main(["pick", where, *picking, *options])
        main(["score", where, where, "--runs", *scored, "--picks-set", f"tomosoup/{stage}"])
