"""Teachers and pupils at the command line, and every pupil that is refused."""

from __future__ import annotations

import json
import shutil

import pytest

import featherweight
from featherweight.errors import RunError
from featherweight.replication import train_seeds
from featherweight.runs import Run


def test_the_command_line_trains_teachers_and_pupils(run_command, digits_recipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(digits_recipe().to_toml())
    quick = ["tiny.toml", "--device", "cpu", "--no-report", "--json"]
    assert run_command("train", *quick, "--seeds", "2", "--out", "runs/teacher")[0] == 0
    taught = [*quick, "--set", "distillation.teacher=runs/teacher", "--seeds", "1,2"]
    code, out, err = run_command("train", *taught, "--out", "runs/pupil")
    assert err.startswith("teacher runs/teacher: 2 networks predict every training image\n")
    assert code == 0 and json.loads(out)["seeds"] == [1, 2]
    assert Run.open("runs/pupil/seed-2").recipe.distillation.teacher == "runs/teacher"
    code, out, err = run_command("train", *taught, "--out", "runs/pupil", "--resume")
    assert code == 0 and "teacher" not in err       # all are trained: nobody asks


@pytest.fixture
def refuse(refused, digits_recipe, tmp_path):
    """Refuse a pupil at the command line, one seed and two, and leave nothing behind."""

    def check(words, out="pupil", force=(), **sections):
        (tmp_path / "pupil.toml").write_text(digits_recipe(**sections).to_toml())
        before = sorted(tmp_path.rglob("*"))
        command = ["train", tmp_path / "pupil.toml", "--out", tmp_path / out, "--device", "cpu", *force]
        for more in ([], ["--seeds", "1,"]):
            refused(*command, *more, words=["distillation.", *words])
        assert sorted(tmp_path.rglob("*")) == before

    return check


def test_a_teacher_that_is_none(refuse, tmp_path):
    advice = ["no finished run", "featherweight train session6 --seeds 5 --out", '--set distillation.teacher=""']
    refuse([str(tmp_path / "gone"), *advice], distillation={"teacher": str(tmp_path / "gone")})
    (tmp_path / "empty").mkdir()
    refuse(["empty", *advice], distillation={"teacher": str(tmp_path / "empty")})
    (tmp_path / "file").touch()
    refuse(["file", *advice], distillation={"teacher": str(tmp_path / "file")})


def test_a_teacher_that_is_not_finished(refuse, teachers, tmp_path):
    shutil.copytree(teachers, tmp_path / "begun")
    (tmp_path / "begun" / "seed-2" / "result.json").unlink()
    refuse(["begun/seed-2", "no finished run"], distillation={"teacher": str(tmp_path / "begun")})


def test_a_teacher_of_other_data(refuse, teachers, reseal, tmp_path):
    teacher = {"teacher": str(teachers)}
    refuse(["data.size 28", "14"], distillation=teacher, data={"size": 14})
    refuse(["data.channels 1", "3"], distillation=teacher, data={"channels": 3})
    shutil.copytree(teachers / "seed-1", tmp_path / "other")
    toml = tmp_path / "other" / "recipe.toml"
    original = toml.read_text()
    toml.write_text(original.replace('dataset = "digits"', 'dataset = "kmnist"'))
    reseal(toml.parent)
    refuse(["data.dataset 'kmnist'", "'digits'"], distillation={"teacher": str(toml.parent)})
    toml.write_text(original)
    reseal(toml.parent, classes=[*"012345678", "ten"])
    refuse(["classes", "ten"], distillation={"teacher": str(toml.parent)})


def test_a_teacher_that_has_seen_validation_images(refuse, digits_recipe, teachers, tmp_path):
    words = ["validation images of seed 1", "data.validation=100", "data.split_seed=1"]
    refuse(words, distillation={"teacher": str(teachers)}, data={"validation": 100})
    refuse(words, distillation={"teacher": str(teachers / "seed-1")}, data={"validation": 100})
    honest = featherweight.train(digits_recipe(data={"validation": 100}), tmp_path / "honest", quiet=True)
    teacher = {"teacher": str(honest.path)}
    refuse(["data.validation=200"], distillation=teacher, data={"validation": 200})
    recipe = digits_recipe(distillation=teacher, data={"validation": 100})
    with pytest.raises(RunError, match="validation images of seed 2"):
        train_seeds(recipe, [1, 2], tmp_path / "pupils")
    assert not (tmp_path / "pupils").exists()
    assert featherweight.train(recipe, tmp_path / "run").finished
    assert featherweight.train(digits_recipe(distillation=teacher), tmp_path / "all").finished     # nothing is held out


def test_several_teachers_of_one_split(refuse, digits_recipe, tmp_path):
    data = {"validation": 100, "split_seed": 7}
    teacher = {"teacher": str(train_seeds(digits_recipe(data=data), [1, 2], tmp_path / "teachers").path)}
    assert train_seeds(digits_recipe(distillation=teacher, data=data), [3, 4], tmp_path / "pupils").summary
    refuse(["validation images of seed 1", "data.split_seed=8"], distillation=teacher, data=data | {"split_seed": 8})
    refuse(["data.split_seed=1"], distillation=teacher, data={"validation": 100})
    refuse(["data.split_seed=7 and data.unseen_writers=true"], distillation=teacher,
           data=data | {"unseen_writers": True})


def test_a_teacher_is_never_replaced_by_its_pupil(refuse, teachers, tmp_path):
    shutil.copytree(teachers, tmp_path / "t")
    for teacher, out in (("t", "t"), ("t/seed-1", "t"), ("t", "t/seed-1"), ("t", "t/seed-9"), ("t/seed-1", "t/seed-1")):
        section = {"teacher": str(tmp_path / teacher)}
        refuse(["are not apart", "another --out"], out=out, force=["--force"], distillation=section)
    assert Run.open(tmp_path / "t" / "seed-1").finished
