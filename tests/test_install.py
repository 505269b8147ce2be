"""The package, the containers, the conda recipe and the workflows install what pyproject.toml declares."""

import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from rattler_build import Stage0Recipe

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "tomosoup"
INSTALL = ROOT / "install"
DOCKERFILE = INSTALL / "Dockerfile"
RECIPE = INSTALL / "conda" / "recipe.yaml"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA_NAMES = {
    "huggingface-hub": "huggingface_hub",
    "lazy-loader": "lazy_loader",
    "matplotlib": "matplotlib-base",
    "torch": "pytorch",
}
"""Names on conda-forge that differ from those on PyPI."""


def files(folder: Path) -> set[Path]:
    """All files of a package but compiled ones."""
    return {path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions in order: keyword and text, with continued lines joined."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", "")
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


def texts(keyword: str) -> list[str]:
    """The texts of all instructions with one keyword."""
    return [text for word, text in instructions() if word == keyword]


def copied() -> list[str]:
    """The files and folders of the clone that the Dockerfile copies."""
    return [name for line in texts("COPY") if not line.startswith("--from") for name in line.split()[:-1]]


def section(name: str) -> list[str]:
    """The lines of one section of the Apptainer definition."""
    found = re.search(rf"^%{name}\n((?:    .*\n|\n)*)", (INSTALL / "apptainer.def").read_text(), flags=re.MULTILINE)
    assert found, name
    return [line.strip() for line in found[1].splitlines() if line.strip()]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the Dockerfile's first stage leaves in /build, run in a folder with nothing but the files that it copies."""
    source, build = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("build")
    for name in copied():
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(ROOT / name, source)
    python = sys.executable
    command = texts("RUN")[0].replace("/build", str(build)).replace("python -c", f"{python} -c")
    command = command.replace("pip install", f"{python} -m pip install --no-build-isolation --ignore-installed")
    done = subprocess.run(["sh", "-ec", command], cwd=source, env={"PATH": "/bin"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return build


def test_the_installed_package_has_every_file(built: Path) -> None:
    (there,) = built.glob("image/**/site-packages/tomosoup")
    assert {path.relative_to(there) for path in files(there)} == {path.relative_to(SOURCE) for path in files(SOURCE)}


def test_the_image_has_the_dependencies_of_the_package_and_two_extras(built: Path) -> None:
    extras = PROJECT["optional-dependencies"]
    lines = (built / "requirements.txt").read_text().splitlines()
    assert lines == [*PROJECT["dependencies"], *extras["cpu"], *extras["hdf"]]


def test_the_image_runs_as_any_user_who_is_not_root() -> None:
    assert all(re.fullmatch(r"[1-9]\d*:[1-9]\d*", user) for user in texts("USER"))
    assert instructions().index(("ENV", "HOME=/tmp")) < instructions().index(("USER", texts("USER")[-1]))
    assert texts("ENTRYPOINT") == ['["tomosoup"]']


def test_docker_sends_only_the_files_that_are_copied() -> None:
    lines = (INSTALL / "Dockerfile.dockerignore").read_text().splitlines()
    assert lines[1] == "*"
    assert [line[1:] for line in lines if line.startswith("!")] == copied()


def test_apptainer_installs_what_docker_installs() -> None:
    assert [line.split()[0] for line in section("files")] == copied()
    arguments = [line for line in section("arguments") if not line.startswith("#")]
    assert arguments == texts("ARG")
    torch = re.sub(r'"\$(\w+)"', r"{{ \1 }}", texts("RUN")[1])
    assert section("post")[0] == torch
    assert "[cpu,hdf]" in section("post")[1]


def test_the_dockerfile_passes_its_linter() -> None:
    # DL3013 asks for one version of each package; the package has lower bounds only.
    hadolint = Path(sysconfig.get_path("scripts")) / "hadolint"
    done = subprocess.run([hadolint, "--no-color", "--ignore", "DL3013", DOCKERFILE], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_recipe_for_conda_has_the_requirements_of_the_package() -> None:
    recipe = yaml.safe_load(RECIPE.read_text())
    python, *packages = recipe["requirements"]["run"]
    assert python == "python >=${{ python_min }}"
    assert f">={recipe['context']['python_min']}" == PROJECT["requires-python"]
    assert recipe["context"]["version"] == PROJECT["version"]
    wanted = [Requirement(line) for line in PROJECT["dependencies"]]
    assert packages == [f"{CONDA_NAMES.get(r.name, r.name)} {r.specifier}".strip() for r in wanted]
    scripts = [f"{name} = {function}" for name, function in PROJECT["scripts"].items()]
    assert recipe["build"]["python"]["entry_points"] == scripts
    (host,) = (line for line in recipe["requirements"]["host"] if line.startswith("setuptools"))
    assert host.replace(" ", "") in tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]


def test_the_recipe_for_conda_can_be_rendered() -> None:
    (variant,) = Stage0Recipe.from_file(RECIPE).render()
    assert variant.recipe.package.version == PROJECT["version"]


def test_workflows_are_valid_and_may_only_read() -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS]
    done = subprocess.run(check, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert all(yaml.safe_load(path.read_text())["permissions"] == {"contents": "read"} for path in WORKFLOWS)


def test_the_package_is_tried_on_each_python_that_it_names() -> None:
    named = [c.rpartition(" ")[2] for c in PROJECT["classifiers"] if re.search(r"Python :: 3\.\d+", c)]
    tried = [
        job["strategy"]["matrix"]["python"]
        for path in WORKFLOWS
        for job in yaml.safe_load(path.read_text())["jobs"].values()
        if "strategy" in job
    ]
    assert tried == [named] * 2
    assert f">={named[0]}" == PROJECT["requires-python"]
