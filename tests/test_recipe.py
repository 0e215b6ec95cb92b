"""A recipe reads back as it was written, and says in words everything that is wrong with it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featherweight.errors import RecipeError, UnknownName
from featherweight.outside import name_fault
from featherweight.recipe import Recipe, apply_setting, find_recipe, recipe_names

MINIMAL = {"name": "small", "model": {"name": "session6"}}
SECTIONS = (
    "goal", "data", "model", "augmentation", "distillation", "optimizer", "schedule", "training", "evaluation",
)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
shown = text.filter(lambda name: not name_fault(name))
fraction = st.floats(0, 1)
below_one = st.floats(0, 1, exclude_max=True)
positive = st.floats(0, exclude_min=True, allow_infinity=False)
not_negative = st.floats(0, allow_infinity=False)
count = st.integers(1, 10**6)
plain = st.recursive(
    st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=5,
)


def section(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Any subset of a section's keys."""
    return st.fixed_dictionaries({}, optional=fields)


valid_recipes = st.fixed_dictionaries(
    {"name": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True),
     "model": st.fixed_dictionaries({"name": shown}, optional={"arguments": st.dictionaries(text, plain, max_size=3)}),
     "data": section(dataset=text, channels=st.sampled_from([1, 3]), size=st.integers(28, 512),
                     unseen_writers=st.booleans(), upright=st.booleans(),
                     split_seed=st.integers(0, 2**63 - 1)).flatmap(
         lambda data: st.integers(1, 10**6).map(lambda validation: data | {"validation": validation}))},
    optional={
        "task": st.sampled_from(["classification", "digit-sum"]),
        "goal": section(target=text, results=text, analysis=text, max_parameters=count, max_epochs=count,
                        accuracy=fraction),
        "augmentation": section(rotation=not_negative, shift=fraction, scale=below_one, shear=st.floats(0, 89),
                                crop=st.integers(0, 28), crop_probability=fraction, erasing=fraction,
                                fade=fraction),
        "distillation": section(teacher=text.filter(lambda name: "\0" not in name), weight=fraction,
                                temperature=positive),
        "optimizer": section(name=st.sampled_from(["sgd", "adam", "adamw", "muon"]), lr=positive,
                             momentum=st.floats(0.1, 0.99), nesterov=st.booleans(), weight_decay=not_negative,
                             betas=st.tuples(st.floats(0, 0.999), st.floats(0, 0.999))),
        "schedule": section(name=st.sampled_from(["constant", "step", "plateau", "one-cycle", "cosine"]),
                            step_size=count, gamma=st.floats(1e-6, 1), patience=st.integers(0, 100),
                            threshold=not_negative, warmup=below_one, start_factor=st.floats(1e-6, 1),
                            end_factor=fraction),
        "training": section(epochs=count, batch_size=st.integers(2, 10**5), fraction=st.floats(0.01, 1),
                            seed=st.integers(0, 2**63 - 1),
                            precision=st.sampled_from(["auto", "float32", "bf16"]), ema=below_one,
                            gradient_clip=not_negative),
        "evaluation": section(curve=st.sampled_from(["auto", "none", "validation", "test"])),
    },
)


def faults(content: dict[str, Any]) -> list[str]:
    """The lines of the error, without the first one, which counts them."""
    with pytest.raises(RecipeError) as caught:
        Recipe.from_dict(content, origin="own.toml")
    first, *lines = str(caught.value).splitlines()
    assert first == f"own.toml has {len(lines)} fault{'s' if len(lines) > 1 else ''}:"
    assert all(line.startswith("  ") for line in lines)
    return [line.strip() for line in lines]


def with_setting(section: str, **values: Any) -> dict[str, Any]:
    """The minimal recipe with some keys of one section."""
    return MINIMAL | {section: MINIMAL.get(section, {}) | values}


# ---- what is written reads back ----


@given(valid_recipes)
def test_any_recipe_reads_back_equal(content: dict[str, Any]) -> None:
    recipe = Recipe.from_dict(content)
    assert Recipe.from_dict(tomllib.loads(recipe.to_toml())) == recipe


def test_every_default_is_written_out() -> None:
    recipe = Recipe.from_dict(MINIMAL)
    written = tomllib.loads(recipe.to_toml())
    for name in SECTIONS:
        fields = type(getattr(recipe, name)).model_fields
        values = getattr(recipe, name).model_dump()
        assert set(written[name]) == {key for key in fields if values[key] is not None}, name
    assert written["task"] == "classification"
    assert Recipe.from_dict(written) == recipe


def test_writing_again_changes_nothing() -> None:
    once = Recipe.from_dict(MINIMAL).to_toml()
    assert Recipe.from_dict(tomllib.loads(once)).to_toml() == once


def test_a_recipe_does_not_change_after_reading() -> None:
    recipe = Recipe.from_dict(MINIMAL)
    with pytest.raises(ValueError, match="frozen"):
        recipe.name = "other"


def test_reading_leaves_the_given_dictionary_alone() -> None:
    content = {"name": "small", "model": {"name": "session6", "arguments": {"dropout": 0.1}}}
    recipe = Recipe.from_dict(content)
    assert content == {"name": "small", "model": {"name": "session6", "arguments": {"dropout": 0.1}}}
    assert recipe.model.arguments == {"dropout": 0.1}


# ---- faults ----


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (MINIMAL | {"trainin": {}}, "trainin: unknown key. Did you mean 'training'?"),
        (with_setting("training", epoch=3), "training.epoch: unknown key. Did you mean 'epochs'?"),
        (with_setting("model", argument={}), "model.argument: unknown key. Did you mean 'arguments'?"),
        (with_setting("evaluation", zzz=1), "evaluation.zzz: unknown key. Keys: curve."),
    ],
)
def test_an_unknown_key_gets_the_nearest_one_at_every_depth(content: dict[str, Any], line: str) -> None:
    assert faults(content) == [line]


@pytest.mark.parametrize("name", SECTIONS)
def test_an_unknown_key_of_any_section_is_a_fault(name: str) -> None:
    assert faults(with_setting(name, qqqq=1))[0].startswith(f"{name}.qqqq: unknown key. Keys: ")


@pytest.mark.parametrize(
    ("section", "key", "value", "line"),
    [
        ("schedule", "name", "cosin",
         "'cosin' is not one of constant, step, plateau, one-cycle, cosine. Did you mean 'cosine'?"),
        ("optimizer", "name", "lion", "'lion' is not one of sgd, adam, adamw, muon."),
        ("data", "channels", 2, "2 is not one of 1, 3."),
        ("training", "precision", "fp16", "'fp16' is not one of auto, float32, bf16. Did you mean 'bf16'?"),
        ("optimizer", "lr", -0.1, "-0.1 is not greater than 0"),
        ("optimizer", "lr", 0, "0 is not greater than 0"),
        ("optimizer", "momentum", 1.0, "1.0 is not less than 1"),
        ("distillation", "weight", 1.5, "1.5 is not less than or equal to 1"),
        ("distillation", "temperature", 0, "0 is not greater than 0"),
        ("augmentation", "shift", 1.5, "1.5 is not less than or equal to 1"),
        ("augmentation", "rotation", -5, "-5 is not greater than or equal to 0"),
        ("training", "batch_size", 1, "1 is not greater than 1"),
        ("training", "epochs", 0, "0 is not greater than 0"),
        ("training", "seed", -1, "-1 is not greater than or equal to 0"),
        ("data", "size", 3, "3 is not greater than or equal to 4"),
        ("goal", "accuracy", 99.4, "99.4 is not less than or equal to 1"),
        ("goal", "max_parameters", 0, "0 is not greater than 0"),
    ],
)
def test_a_value_out_of_range_is_named_with_what_is_allowed(section: str, key: str, value: Any, line: str) -> None:
    assert faults(with_setting(section, **{key: value})) == [f"{section}.{key}: {line}"]


@pytest.mark.parametrize(
    ("section", "key", "value", "words"),
    [
        ("training", "epochs", "many", "'many': should be a valid integer"),
        ("training", "epochs", 1.5, "1.5: should be a valid integer"),
        ("optimizer", "lr", "fast", "'fast': should be a valid number"),
        ("optimizer", "lr", float("inf"), "inf: should be a finite number"),
        ("optimizer", "lr", float("nan"), "nan: should be a finite number"),
        ("optimizer", "nesterov", "perhaps", "'perhaps': should be a valid boolean"),
        ("goal", "target", 5, "5: should be a valid string"),
        ("model", "arguments", 3, "3: should be a valid dictionary"),
    ],
)
def test_a_value_of_the_wrong_type_is_named(section: str, key: str, value: Any, words: str) -> None:
    [line] = faults(with_setting(section, **{key: value}))
    assert line.startswith(f"{section}.{key}: {words}")


def test_a_section_that_is_a_number() -> None:
    [line] = faults(MINIMAL | {"optimizer": 3})
    assert line.startswith("optimizer: 3: ")


def test_a_key_that_is_missing() -> None:
    assert faults({}) == ["name: is missing.", "model: is missing."]


@pytest.mark.parametrize("name", ["", "../up", "a b", ".hidden", "a/b"])
def test_a_name_is_fit_for_a_folder(name: str) -> None:
    [line] = faults(MINIMAL | {"name": name})
    assert line.startswith(f"name: {name!r}: ")


def test_all_faults_come_at_once_a_line_each() -> None:
    content = {
        "name": "small", "model": {"nam": "session6"}, "extra": 1,
        "optimizer": {"lr": -0.1, "momentun": 0.9}, "schedule": {"name": "cosin"}, "training": {"epochs": "many"},
    }
    keys = {line.split(":")[0] for line in faults(content)}
    assert keys == {"model.name", "model.nam", "extra", "optimizer.lr", "optimizer.momentun", "schedule.name",
                    "training.epochs"}


def test_plateau_needs_a_validation_split() -> None:
    assert faults(with_setting("schedule", name="plateau")) == [
        "schedule.name: 'plateau' watches a validation split. Set data.validation, e.g. 5000"
    ]
    assert Recipe.from_dict(with_setting("schedule", name="plateau") | {"data": {"validation": 500}})


def test_unseen_writers_need_a_validation_split() -> None:
    assert faults(with_setting("data", unseen_writers=True)) == [
        "data.unseen_writers: true needs a validation split. Set data.validation, e.g. 5000"
    ]
    assert Recipe.from_dict(with_setting("data", unseen_writers=True, validation=5)).data.unseen_writers


def test_a_validation_curve_needs_a_validation_split() -> None:
    [line] = faults(with_setting("evaluation", curve="validation"))
    assert line.startswith("evaluation.curve: 'validation' needs a validation split")


def test_a_crop_is_no_larger_than_the_image() -> None:
    assert faults(with_setting("augmentation", crop=29)) == ["augmentation.crop: 29 is larger than data.size 28"]


def test_nesterov_needs_momentum() -> None:
    assert faults(with_setting("optimizer", nesterov=True, momentum=0)) == [
        "optimizer: nesterov needs a momentum greater than 0"
    ]


@pytest.mark.parametrize(
    ("curve", "validation", "resolved"),
    [("auto", 0, "none"), ("auto", 500, "validation"), ("none", 500, "none"), ("test", 0, "test"),
     ("test", 500, "test"), ("validation", 500, "validation")],
)
def test_where_the_curve_is_measured(curve: str, validation: int, resolved: str) -> None:
    recipe = Recipe.from_dict(MINIMAL | {"evaluation": {"curve": curve}, "data": {"validation": validation}})
    assert recipe.curve == resolved


def test_each_seed_holds_out_its_own_images_or_all_the_same() -> None:
    own, same = (Recipe.from_dict(MINIMAL | {"data": {"validation": 5} | data}) for data in ({}, {"split_seed": 0}))
    assert [own.with_seed(seed).split_seed for seed in (3, 4)] == [3, 4]
    assert [same.with_seed(seed).split_seed for seed in (3, 4)] == [0, 0]


# ---- --set ----


@pytest.mark.parametrize(
    ("setting", "content"),
    [
        ("training.epochs=3", {"training": {"epochs": 3}}),
        ("optimizer.lr = 0.02", {"optimizer": {"lr": 0.02}}),
        ("optimizer.lr=1e-3", {"optimizer": {"lr": 0.001}}),
        ("optimizer.nesterov=true", {"optimizer": {"nesterov": True}}),
        ("optimizer.betas=[0.8, 0.9]", {"optimizer": {"betas": [0.8, 0.9]}}),
        ('model.name="session6"', {"model": {"name": "session6"}}),
        ("model.name=session6", {"model": {"name": "session6"}}),
        ("model.name=nets/own.py:Net", {"model": {"name": "nets/own.py:Net"}}),
        ("goal.target=a = b", {"goal": {"target": "a = b"}}),
        ("model.arguments.dropout=0.1", {"model": {"arguments": {"dropout": 0.1}}}),
        ("model.arguments={dropout = 0.1}", {"model": {"arguments": {"dropout": 0.1}}}),
        ("name=other", {"name": "other"}),
    ],
)
def test_a_setting_is_toml_or_a_bare_word(setting: str, content: dict[str, Any]) -> None:
    changed: dict[str, Any] = {}
    apply_setting(changed, setting)
    assert changed == content


def test_a_setting_leaves_its_neighbours() -> None:
    content = {"training": {"epochs": 9, "seed": 4}}
    apply_setting(content, "training.epochs=1")
    assert content == {"training": {"epochs": 1, "seed": 4}}


@pytest.mark.parametrize("setting", ["training.epochs", "", "=3", "training.=3", ".epochs=3", "training..epochs=3"])
def test_a_setting_of_another_form_is_shown_the_right_one(setting: str) -> None:
    with pytest.raises(RecipeError, match=r"is not section\.key=value, such as training\.epochs=1"):
        apply_setting({}, setting)


def test_a_setting_inside_what_is_no_section() -> None:
    with pytest.raises(RecipeError, match="'epochs' is not a section"):
        apply_setting({"training": {"epochs": 3}}, "training.epochs.first=1")


def test_settings_are_checked_like_the_file() -> None:
    assert Recipe.load("session6", ["training.epochs=1", "training.seed=7"]).training.seed == 7
    with pytest.raises(RecipeError, match="Did you mean 'epochs'"):
        Recipe.load("session6", ["training.epoch=1"])


# ---- files ----


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(Recipe.from_dict(MINIMAL).to_toml(), encoding="utf-8")
    assert Recipe.load(file) == Recipe.load(str(file)) == Recipe.from_dict(MINIMAL)


def test_an_unknown_recipe_gets_the_nearest_name() -> None:
    with pytest.raises(UnknownName, match=r"unknown recipe 'sesion6'\. Did you mean 'session6'\?"):
        Recipe.load("sesion6")


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(RecipeError, match=r"recipe file 'nowhere\.toml' does not exist"):
        Recipe.load("nowhere.toml")


@pytest.mark.parametrize("content", [b"name = ", b"\xff\xfe", b"[a]\n[a]\n", b"\x00"])
def test_a_file_that_is_not_toml_is_one_line(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_bytes(content)
    with pytest.raises(RecipeError, match=r"bad\.toml is not TOML") as caught:
        Recipe.load(file)
    assert len(str(caught.value).splitlines()) == 1


def test_faults_name_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("name = 'x'")
    with pytest.raises(RecipeError, match=r"^mine\.toml has 1 fault:\n  model: is missing\.$"):
        Recipe.load(file)


def test_names_are_sorted_and_have_files() -> None:
    names = recipe_names()
    assert names == sorted(names)
    assert all(find_recipe(name).is_file() for name in names)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("x = " + "[" * 50_000, "is not TOML: values are nested over 100 deep"),
        (".".join("a" * 2000) + " = 1", "is not TOML: values are nested over 100 deep"),
        ("[training]\nepochs = " + "9" * 5000, "is not TOML: Exceeds the limit"),
        ("[training]\nepochs = 0x" + "f" * 5000, "training.epochs: a number of thousands of digits"),
        ("[training]\nepochs = 99999999999999999999", "epochs: 99999999999999999999 is not less than or equal"),
        ("[model.arguments]\nlist = [1, [nan]]", "argument 'list' is [1, [nan]], which is no value of a recipe"),
        ("[model.arguments]\nday = 1979-05-27", "argument 'day' is datetime.date(1979, 5, 27), which is no value"),
        ("[model.arguments]\nlarge = 0x" + "f" * 5000, "argument 'large' is a number of thousands of digits"),
    ],
)
def test_values_that_no_recipe_can_hold(line: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / "odd.toml"
    file.write_text(line + '\n' if line[0] != "[" else 'name = "odd"\nmodel.name = "session6"\n' + line)
    with pytest.raises(RecipeError) as fault:
        Recipe.read(file)
    assert text in str(fault.value)


def test_marks_are_for_classification_alone() -> None:
    with pytest.raises(RecipeError, match=r"data\.marks: the class none is for the task classification"):
        Recipe.load("digit-sum", ["data.marks=10"])


def test_a_goal_keeps_the_data_it_was_set_for():
    assert Recipe.load("session7-model2").goal.dataset == ""
    assert Recipe.load("session7-model2", ["data.dataset=digits"]).goal.dataset == "mnist"
    assert Recipe.load("session7-model2", ["data.dataset=digits", "goal.accuracy=0.9"]).goal.dataset == ""
    assert Recipe.load("session7-model2", ["data.dataset=mnist"]).goal.dataset == ""
