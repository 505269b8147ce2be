"""Options and recipes: nothing unknown passes, old names are read, a recipe may extend another."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

import pytest
from annotated_types import Ge, Gt, Le, Lt
from pydantic import model_validator

from tomosoup.core.config import Options, Recipe
from tomosoup.core.errors import InputError


class Lens(Options):
    RENAMED: ClassVar = {"loudness": "signal_level"}

    signal_level: Annotated[float, Gt(0)] = 1.0
    """How strong
    the signal is."""
    colours: tuple[str, ...] = ()


class Prism(Options):
    sides: int = 3


class Camera(Recipe):
    FOLDER: ClassVar = ("tomosoup.training", "recipes")
    RENAMED: ClassVar = {"glass": "lens"}

    lens: Lens = Lens()
    optics: Lens | Prism = Lens()
    pixels: int = 10

    @model_validator(mode="after")
    def _few(self) -> "Camera":
        if self.pixels > 1000:
            raise ValueError("more pixels than the sensor has")
        return self


def written(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_options_cannot_be_changed() -> None:
    lens = Lens()
    with pytest.raises(Exception, match="frozen"):
        lens.signal_level = 2.0  # type: ignore[misc]


def test_the_help_of_a_field_is_one_line() -> None:
    assert Lens.model_fields["signal_level"].description == "How strong the signal is."
    assert Lens.model_fields["colours"].description is None


def test_an_unknown_option_is_named_with_those_that_exist() -> None:
    with pytest.raises(InputError, match=r"cam: .*'brightness'.*signal_level, colours"):
        Lens.of({"brightness": 1}, source="cam")


def test_an_unknown_option_of_a_section_is_named_with_its_section_and_that_sections_options() -> None:
    with pytest.raises(InputError, match=r"'lens\.brightness'.*expected one of signal_level, colours\.$"):
        Camera.of({"lens": {"brightness": 1}}, source="cam")


def test_a_bad_value_is_said_with_its_place_and_what_was_given() -> None:
    with pytest.raises(InputError, match=r"lens\.signal_level: .*more than 0.*got -2"):
        Camera.of({"lens": {"signal_level": -2}}, source="cam")


def test_a_bad_value_in_one_of_several_kinds_of_section_names_the_option_without_the_kind() -> None:
    with pytest.raises(InputError) as error:
        Camera.of({"optics": {"signal_level": -2}}, source="cam")
    assert "optics.signal_level: " in str(error.value)
    assert "Lens" not in str(error.value)


class Everything(Options):
    """An option of each kind that users give values of."""

    above: Annotated[float, Gt(1)] = 2.0
    least: Annotated[float, Ge(1)] = 2.0
    below: Annotated[float, Lt(3)] = 2.0
    most: Annotated[float, Le(3)] = 2.0
    whole: int = 1
    yes: bool = True
    text: str = ""
    file: Path = Path()
    choice: Literal["fast", "slow"] = "fast"
    three: tuple[int, int, int] = (1, 2, 3)
    section: Lens = Lens()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("above", 1, "expected more than 1, got 1"),
        ("least", 0.5, "expected 1 or more, got 0.5"),
        ("below", 3, "expected less than 3, got 3"),
        ("most", 4, "expected 3 or less, got 4"),
        ("most", "much", "expected a number, got 'much'"),
        ("whole", 1.5, "expected a whole number, got 1.5"),
        ("whole", "1.5", "expected a whole number, got 1.5"),
        ("whole", None, "expected a whole number, got none"),
        ("yes", "maybe", "expected true or false, got 'maybe'"),
        ("text", 3, "expected text, got 3"),
        ("file", 3, "expected a path, got 3"),
        ("choice", "medium", "expected one of fast or slow, got 'medium'"),
        ("section", 3, "expected a table of options, got 3"),
    ],
)
def test_a_bad_value_of_each_kind_is_said_in_words_of_the_option(name: str, value: object, said: str) -> None:
    with pytest.raises(InputError) as error:
        Everything.of({name: value}, source="all")
    assert str(error.value) == f"all: {name}: {said}."


def test_a_list_with_one_value_too_few_is_said_by_the_place_that_is_empty() -> None:
    with pytest.raises(InputError, match=r"all: three\.2: is missing\."):
        Everything.of({"three": (1, 2)}, source="all")


def test_a_list_with_too_many_values_is_counted() -> None:
    with pytest.raises(InputError, match=r"three: expected 3 or fewer values, got 4\."):
        Everything.of({"three": (1, 2, 3, 4)}, source="all")


def test_what_a_validator_says_is_kept_and_the_librarys_words_are_not() -> None:
    with pytest.raises(InputError) as error:
        Camera.of({"pixels": 1001}, source="cam.toml")
    assert str(error.value) == "cam.toml: more pixels than the sensor has."


@pytest.mark.parametrize(
    "options", [{"pixels": "many"}, {"lens": {"colours": 3}}, {"nothing": 0}, {"pixels": 1001}, {"lens": 5}]
)
def test_every_bad_option_gives_one_line_without_a_link(options: dict[str, object]) -> None:
    with pytest.raises(InputError) as error:
        Camera.of(options, source="cam")
    assert "\n" not in str(error.value)
    assert "http" not in str(error.value)
    assert str(error.value).endswith(".")


def test_an_old_name_is_read_at_the_top_and_in_a_section() -> None:
    old = Camera.of({"glass": {"loudness": 4.0}}, source="old")
    assert old == Camera.of({"lens": {"signal_level": 4.0}}, source="new")
    assert old.lens.signal_level == 4.0


def test_the_old_name_is_never_written() -> None:
    assert set(Lens.of({"loudness": 4.0}, source="old").model_dump()) == {"signal_level", "colours"}


def test_the_callers_options_stay_as_they_were() -> None:
    given = {"glass": {"loudness": 4.0}}
    Camera.of(given, source="old")
    assert given == {"glass": {"loudness": 4.0}}


def test_a_recipe_of_a_file_holds_its_values_and_defaults_for_the_rest(tmp_path: Path) -> None:
    camera = Camera.read(written(tmp_path, "a.toml", "pixels = 7\n"))
    assert camera.pixels == 7
    assert camera.lens == Lens()


def test_a_recipe_changes_what_it_extends_key_by_key(tmp_path: Path) -> None:
    written(tmp_path, "base.toml", 'pixels = 20\n[lens]\nsignal_level = 3\ncolours = ["red", "blue"]\n')
    camera = Camera.read(written(tmp_path, "own.toml", 'extends = "base.toml"\n[lens]\nsignal_level = 5\n'))
    assert camera.pixels == 20
    assert camera.lens.signal_level == 5
    assert camera.lens.colours == ("red", "blue")


def test_a_list_is_replaced_whole(tmp_path: Path) -> None:
    written(tmp_path, "base.toml", '[lens]\ncolours = ["red", "blue"]\n')
    camera = Camera.read(written(tmp_path, "own.toml", 'extends = "base.toml"\n[lens]\ncolours = ["green"]\n'))
    assert camera.lens.colours == ("green",)


def test_the_last_of_a_chain_wins_and_each_is_found_beside_the_one_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    written(tmp_path / "deep", "first.toml", "pixels = 1\n[lens]\nsignal_level = 1\n")
    written(tmp_path / "deep", "second.toml", 'extends = "first.toml"\npixels = 2\n')
    camera = Camera.read(written(tmp_path, "third.toml", 'extends = "deep/second.toml"\n[lens]\ncolours = ["x"]\n'))
    assert (camera.pixels, camera.lens.signal_level, camera.lens.colours) == (2, 1, ("x",))


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_circle_of_recipes_is_an_error_and_not_an_endless_loop(tmp_path: Path, length: int) -> None:
    for i in range(length):
        written(tmp_path, f"{i}.toml", f'extends = "{(i + 1) % length}.toml"\n')
    with pytest.raises(InputError, match=r"extends itself.*remove one `extends`"):
        Camera.read(tmp_path / "0.toml")


def test_two_roads_to_one_base_are_no_circle(tmp_path: Path) -> None:
    written(tmp_path, "base.toml", "pixels = 5\n")
    for name in ("left", "right"):
        written(tmp_path, f"{name}.toml", 'extends = "base.toml"\n')
    assert Camera.read(tmp_path / "left.toml") == Camera.read(tmp_path / "right.toml")


def test_what_a_recipe_extends_must_be_a_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected `extends` to name a recipe, got 3"):
        Camera.read(written(tmp_path, "a.toml", "extends = 3\n"))


def test_a_missing_base_is_named_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"{tmp_path}/gone.toml, found none"):
        Camera.read(written(tmp_path, "a.toml", 'extends = "gone.toml"\n'))


def test_a_misspelt_recipe_is_answered_with_those_of_the_package() -> None:
    names = Camera.names()
    assert names
    with pytest.raises(InputError) as error:
        Camera.read("sooup")
    assert all(name in str(error.value) for name in ("'sooup'", ".toml", *names))


def test_the_packages_recipes_are_sorted_and_without_their_ending() -> None:
    assert Camera.names() == sorted(Camera.names())
    assert not any("." in name for name in Camera.names())


def test_a_file_that_is_not_toml_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.toml is not valid TOML"):
        Camera.read(written(tmp_path, "a.toml", "pixels 7\n"))


def test_a_file_that_is_not_text_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"\xff\xfe\x00pixels")
    with pytest.raises(InputError, match=r"a\.toml cannot be read as text"):
        Camera.read(tmp_path / "a.toml")


def test_a_bad_value_in_a_file_is_said_with_the_files_name(tmp_path: Path) -> None:
    path = written(tmp_path, "a.toml", 'pixels = "many"\n')
    with pytest.raises(InputError, match=f"{path}: pixels: .*got 'many'"):
        Camera.read(path)


def test_an_old_name_in_the_base_and_the_new_one_in_the_file_do_not_fight(tmp_path: Path) -> None:
    written(tmp_path, "base.toml", "[lens]\nloudness = 3\n")
    own = written(tmp_path, "own.toml", 'extends = "base.toml"\n[lens]\ncolours = ["red"]\n')
    assert Camera.read(own).lens == Lens(signal_level=3, colours=("red",))


@pytest.mark.parametrize("digits", ["9" * 5000, "0x" + "f" * 5000, "1e999", "nan"])
def test_a_number_that_is_none_or_too_long_is_one_short_sentence(digits: str, tmp_path: Path) -> None:
    path = written(tmp_path, "a.toml", f"pixels = {digits}\n")
    with pytest.raises(InputError, match=r"a\.toml") as error:
        Camera.read(path)
    assert len(str(error.value)) < 300 + len(str(path))


@pytest.mark.parametrize("text", ['pixels = "{}"\n', "{} = 3\n", "pixels = [[{}]]\n", 'extends = ["{}"]\n'])
def test_long_values_and_names_are_cut_in_messages(text: str, tmp_path: Path) -> None:
    path = written(tmp_path, "a.toml", text.format("1" * 4000))
    with pytest.raises(InputError, match=r"a\.toml") as error:
        Camera.read(path)
    assert len(str(error.value)) < 1000 + len(str(path))
