"""A whole search, from its budgets to the front: new, or resumed from its ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from featherweight.budgets.usage import FORMS
from featherweight.crews import open_crew
from featherweight.data import Dataset
from featherweight.errors import RecipeError, RunError, TrainingInterrupted, UnknownName
from featherweight.files import names_in
from featherweight.locks import RESUME_SECONDS, writing
from featherweight.recipe import Recipe
from featherweight.search.driver import Driver, Job
from featherweight.search.exploring import Exploring, Until
from featherweight.search.finale import FINALISTS, Choosing, Testing, affordable_seeds, freezing
from featherweight.search.fitting import cells_of
from featherweight.search.front import front_of, keep_run, write_front_file
from featherweight.search.front_folder import check_front, write_front
from featherweight.search.ledger import Event, Ledger
from featherweight.search.problem import Budgets, Problem, blind, load
from featherweight.search.records import Front
from featherweight.search.sampler import Sampler
from featherweight.search.study import Study, study_of
from featherweight.search.work import Shared
from featherweight.training.stop_signals import stop_signals
from featherweight.wording import call, option
from featherweight.workers import refuse_while_importing


@dataclass(frozen=True)
class Ask:
    """Options of a search that decide which trials it makes. None: the default, or that of the search to resume."""

    data: str | None = None
    budgets: Mapping[str, Any] | None = None        # fields of Budgets
    form: str | None = None
    levels: int | None = None
    seed: int | None = None
    settings: tuple[str, ...] | None = None


MOST_LEVELS = 8
RESERVED = 3        # seeds of each network that are tested even if choosing takes longer than expected
DEFAULTS = Ask("mnist", None, "int8", 3, 1, ())


@dataclass(frozen=True)
class Effort:
    """Options of a search that limit its time and name its workers. They may change from resume to resume."""

    trials: int | None = None
    hours: float | None = None
    seeds: int | None = None
    on: str = "local"
    storage: str | None = None
    workers: int | None = None
    work: str = "featherweight.search.work"     # module with the functions `measure` and `examine`

    def filled(self, header: Event) -> Effort:
        """Return the options with missing limits from the ledger's header, or else an hour and 3 seeds."""
        trials, hours = self.trials, self.hours
        if trials is None and hours is None:
            trials, hours = header.get("trials"), header.get("hours", 1.0)
        return replace(self, trials=trials, hours=hours, seeds=self.seeds or header.get("seeds", 3))

    def check(self) -> None:
        """Raise RecipeError for a number that is not allowed."""
        for name, value in (("trials", self.trials), ("hours", self.hours), ("seeds", self.seeds),
                            ("workers", self.workers)):
            if value is not None and value <= 0:
                raise RecipeError(f"{option(name)} is {value}, allowed are numbers above 0.")


class Watcher(Protocol):
    """Callbacks that report the progress of a search."""

    def on_begin(self, study: Study, effort: Effort) -> None:
        """Called once, before the first task."""

    def on_change(self, study: Study, running: int, at: float) -> None:
        """Called after each change and a few times per second. running: tasks. at: seconds of searching so far."""


class Unwatched:
    """A watcher that reports nothing."""

    def on_begin(self, study: Study, effort: Effort) -> None: ...

    def on_change(self, study: Study, running: int, at: float) -> None: ...


@dataclass(frozen=True)
class Found:
    """The result of a search."""

    front: Front
    study: Study
    folder: Path
    recipe: Recipe      # that the settings of each candidate change
    dataset: Dataset


def search(
    ask: Ask, effort: Effort, out: Path | None = None, *, resume: bool = False, data_dir: Path | None = None,
    command: str = "", watcher: Watcher | None = None,
) -> Found:
    """Search networks within budgets and write the folder of the search, with front.json. Returns the result.

    Raises RecipeError for budgets that no network meets, and RunError for a folder that is in use or not free.
    Raises MissingExtra without Optuna, and the errors of the data and the crew.
    Raises TrainingInterrupted after Ctrl-C or SIGTERM, when the front so far is written.
    """
    refuse_while_importing()
    effort.check()
    folder = out or Path("runs") / f"search-{Path(ask.data or 'mnist').name}"
    header = header_in(folder) if resume else {}
    ask, effort = with_defaults(ask, header, folder), effort.filled(header)
    budgets = checked(ask)
    check_free(folder, resume=resume)
    check_front(folder)
    sampler = Sampler(ask.seed or 0)
    with writing(folder, wait=RESUME_SECONDS if resume else 0):
        check_free(folder, resume=resume)
        content, dataset = load(ask.data or "", ask.settings or (), data_dir)
        recipe = Recipe.from_dict(content)
        problem = Problem.of(recipe, dataset, budgets=budgets, form=ask.form, levels=ask.levels,
                             seed=ask.seed, settings=ask.settings)
        cells_of(problem)       # raises its error before a file is written
        ledger = Ledger(folder)
        with ledger.appending(), stop_signals() as caught:
            study = begun(ledger, problem, effort, folder, resume=resume)
            watcher = watcher or Unwatched()
            watcher.on_begin(study, effort)
            stages = Stages(Driver(study, ledger, caught, watcher.on_change), content, dataset, effort, sampler, folder)
            stages.explore_and_choose()
            stages.freeze()
            stages.test()
            front = front_of(study, command, stages.driver.clock.at)
            if caught:
                write_front(folder, front, recipe, dataset, code=False)
                raise TrainingInterrupted(caught[0], interrupted(study, folder))
            write_front_file(folder, front)
    return Found(front, study, folder, recipe, dataset)


class Stages:
    """The stages of one search."""

    def __init__(
        self, driver: Driver, content: dict[str, Any], dataset: Dataset, effort: Effort, sampler: Sampler, folder: Path
    ) -> None:
        self.driver, self.effort, self.sampler, self.folder = driver, effort, sampler, folder
        self.content, self.dataset, self.study = content, dataset, driver.study
        self.seeds = effort.seeds or 1

    def explore_and_choose(self) -> None:
        """Try candidates, and choose the best. No test image leaves this process."""
        if self.study.frozen:
            return
        with self.crew("measure", blind(self.dataset)) as crew:
            trainings = len(self.study.cells) * (FINALISTS + 1) * self.seeds
            until = Until(self.study, self.effort.hours, crew.slots, trainings)
            self.driver.run(Exploring(self.study, self.sampler, self.effort.trials, until), crew)
            if not self.driver.caught and not any(self.study.best):
                raise RunError(f"none of the {len(self.study.members)} candidates could be trained. "
                               f"{why_failed(self.study)}")
            tests = min(self.seeds, RESERVED) * self.study.seconds_of_training() * len(self.study.cells) / crew.slots
            end = 3600 * self.effort.hours - tests if self.effort.hours else None
            own = self.dataset.validation
            images = len(own) if own is not None else self.content["data"]["validation"]
            self.driver.run(Choosing(self.study, self.seeds, images, end), crew)
            self.slots = crew.slots

    def freeze(self) -> None:
        """Freeze the networks of the front."""
        if self.driver.caught or self.study.frozen:
            return
        seeds = self.seeds
        if self.effort.hours:
            left = 3600 * self.effort.hours - self.driver.clock.at
            seeds = affordable_seeds(self.study, seeds, left, self.slots)
        self.driver.record([freezing(self.study, seeds)])

    def test(self) -> None:
        """Train the frozen networks on all training images and test them once."""
        stage = Testing(self.study)
        if self.driver.caught or stage.next({}, 0.0) is None:
            return
        with self.crew("examine", self.dataset) as crew:
            self.driver.run(stage, crew, self.keep)

    def keep(self, job: Job, value: dict[str, Any]) -> None:
        """Write the run folder that a worker returned."""
        keep_run(self.folder, job.ends["number"], job.ends["seed"], value["files"])

    def crew(self, work: str, dataset: Dataset) -> Any:
        """Return a crew for the function `work` of the module of the tasks, as a context manager."""
        shared = Shared(self.content, dataset, str(self.folder.resolve()), self.effort.storage)
        return open_crew(self.effort.on, f"{self.effort.work}:{work}", shared, slots=self.effort.workers,
                         storage=self.effort.storage)


def header_in(folder: Path) -> Event:
    """Return the first line of the ledger in a folder, {} for a ledger without a whole line."""
    events = Ledger(folder).read()
    return events[0] if events else {}


def with_defaults(ask: Ask, header: Event, folder: Path) -> Ask:
    """Return the options with missing ones from the search to resume, or else from DEFAULTS."""
    before = Problem.read(header, folder) if header else DEFAULTS
    budgets = before.budgets.to_dict() if isinstance(before, Problem) else {}
    names = ("data", "form", "levels", "seed", "settings")
    given = {name: one if (one := getattr(ask, name)) is not None else getattr(before, name) for name in names}
    return Ask(**given, budgets={**budgets, **(ask.budgets or {})})


def checked(ask: Ask) -> Budgets:
    """Return the budgets. Raises RecipeError or UnknownName for options that are not allowed."""
    budgets = Budgets(**(ask.budgets or {}))
    budgets.check()
    if ask.form not in FORMS:
        raise UnknownName("form", str(ask.form), FORMS)
    if not 1 <= (ask.levels or 0) <= MOST_LEVELS:
        raise RecipeError(f"{option('levels')} is {ask.levels}, allowed are 1 to {MOST_LEVELS}.")
    return budgets


def begun(ledger: Ledger, problem: Problem, effort: Effort, folder: Path, *, resume: bool) -> Study:
    """Return the study to resume, or a new one whose first line the ledger will write."""
    if resume and (events := ledger.read()):
        problem.check_same(Problem.read(events[0], folder), folder)
        return study_of(events, folder)
    limits = {"trials": effort.trials, "hours": effort.hours, "seeds": effort.seeds}
    ledger.header = [{"event": "search", **problem.to_dict(), **limits}]
    return Study(problem)


def check_free(folder: Path, *, resume: bool) -> None:
    """Raise RunError if a new search would write into a folder that holds files."""
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{str(folder)!r} is a file. Give a folder with {option('out')}.")
    names = names_in(folder)
    if names and not resume:
        raise RunError(f"folder {str(folder)!r} exists and holds {names[0]!r}. If it is a search, {option('resume')} "
                       f"goes on with it; {option('out')} takes another folder.")


def interrupted(study: Study, folder: Path) -> str:
    """Return the message after Ctrl-C."""
    return (f"interrupted after {study.done} of {len(study.members)} trials; the front so far is in "
            f"{folder / 'front.html'}. Go on with: {call('search', out=folder, resume=True)}")


def why_failed(study: Study) -> str:
    """Return the reason of the first failure."""
    return next((f"Trial {one.number}: {one.reason}" for one in study.members if one.reason), "Try more trials.")
