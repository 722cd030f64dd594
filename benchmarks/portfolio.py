"""Settings that are good on many data sets: learn them, and try them on data that was left out.

    python benchmarks/portfolio.py record [--data-dir FOLDER] [NAME ...]
    python benchmarks/portfolio.py learn
    python benchmarks/portfolio.py check
    python benchmarks/portfolio.py live [--seeds N] [--left-out] [--data-dir FOLDER] [NAME ...]

`record` trains 96 candidates on problems (see problems.py), all of them or those that are named,
and keeps how many rows they select and judge rightly, in `candidates.npz`. The candidates are the
same on all data in the coordinates of the search: the length of the descent, l2, the decay period
as a share of the epochs. `learn` chooses among them greedily, each time the one that brings the
best so far nearest to the best there is, and writes `sweep/search/portfolio.toml`. `check` learns
without each data set in turn and says how far the chosen settings come there. `live` runs whole
searches by the project's own scheduler, with or (`--left-out`) without what the data set taught.
"""

from __future__ import annotations

import argparse
import json
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
from measuring import Table
from problems import DATA, EPOCHS, Problem, Trainer, load
from scipy.stats.qmc import Sobol
from threadpoolctl import threadpool_limits

from sweep.config import DataConfig, StudyConfig, default_lanes, default_slots
from sweep.engine import available_cores
from sweep.search import sampler
from sweep.search.sampler import Advice, Coordinates, Portfolio
from sweep.search.scheduler import Outcome, Scheduler
from sweep.search.trials import Status
from sweep.search_space import DEFAULT_SPACES, Range
from sweep_model.hyperparameters import Hyperparameters
from sweep_model.panels import Panels
from sweep_model.preprocessing import largest_eigenvalue
from sweep_model.training import EpochResult, Training

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweep_model import Floats

FILE = Path(__file__).with_name("candidates.npz")
LEARNED = Path(sampler.__file__).with_name(sampler.PORTFOLIO)
CANDIDATES, CHOSEN = 96, 10
DRAWS = 2_000
"""Random orders, of which the mean best of so many trials is taken."""


def candidates() -> list[Advice]:
    """Return the candidates: a Sobol sequence over a range wider than that of good settings."""
    points = Sobol(5, seed=1).random(128)[:CANDIDATES]
    return [
        Advice(
            descent=0.9 + 2.4 * descent,
            l2=10 ** (-6 + 6.5 * l2),
            decay=round(2 * 25**decay) / EPOCHS,
            batch_size=(50, 100, 200, 400)[int(4 * size)],
            flip_probability=0.5 * flip,
        )
        for descent, l2, decay, size, flip in points
    ]


def study_config(loss: str, *, images: bool, seed: int = 0, trials: int = 50) -> StudyConfig:
    """Return the config of a search as `sweep run` would make it."""
    space = DEFAULT_SPACES[loss] if images else DEFAULT_SPACES[loss].without_flips()
    nothing = DataConfig(
        source="digits", directory=None, name="problem", val_size=1, split_seed=0,
        data_digest="", split_digest="",
    )  # fmt: skip
    return StudyConfig(
        study="problem", loss=loss, epochs=EPOCHS, seed=seed, sampler="tpe", pruner="halving",
        objective="val-accuracy", data=nothing, space=space, slots=default_slots(trials), lanes=4,
    )  # fmt: skip


def record(name: str, folder: Path | None) -> dict[str, Any]:
    """Train the candidates on a problem; return how many rows each predicts rightly."""
    data_name, _, loss = name.rpartition("-")
    data = DATA[data_name](folder)
    trainer, images = Trainer(data, loss), data.image_shape is not None
    facts = trainer.facts()
    config = study_config(loss, images=images)
    open_space = config.space.replace(
        {
            "l2": Range(name="l2", low=1e-9, high=1e3, log=True),
            "learning_rate": Range(name="learning_rate", low=1e-9, high=1e3, log=True),
        }
    )
    config = StudyConfig(**{**vars(config), "space": open_space})
    eigenvalues = {config.data.normalise: float(facts["eigenvalues"][0])}
    coordinates = Coordinates(config, facts["rows"], facts["classes"], eigenvalues)
    with threadpool_limits(1, user_api="blas"):  # each thread has its own share
        curves = trainer.train([coordinates.advised(each) for each in candidates()])
    return {which: curves[f"{which}_right"][:, -1] for which in ("select", "judge")}


@dataclass(frozen=True, eq=False)
class Tried:
    """A problem with what the candidates came to on it: accuracies, 0 where they diverged."""

    problem: Problem
    select: Floats
    judge: Floats

    @property
    def family(self) -> str:
        """Data sets of one origin are left out together."""
        return self.problem.data.partition("-")[0]

    def random(self, count: int) -> tuple[float, float]:
        """Return what the best of so many random trials in full selects and judges, on average."""
        kept = self.problem.kinds == "default"
        select = np.nan_to_num(self.problem.select.accuracy[kept, -1])
        judge = np.nan_to_num(self.problem.judge.accuracy[kept, -1])
        rng = np.random.default_rng(0)
        draws = np.array([rng.permutation(len(select))[:count] for _ in range(DRAWS)])
        best = draws[np.arange(DRAWS), select[draws].argmax(axis=1)]
        return float(select[best].mean()), float(judge[best].mean())

    def regrets(self) -> Floats:
        """How far each candidate is from the best, as a share of what searching is worth here."""
        kept = self.problem.kinds == "default"
        drawn = np.nan_to_num(self.problem.select.accuracy[kept, -1])
        best = max(drawn.max(), self.select.max())
        worth = max(self.random(50)[0] - float(np.median(drawn)), 0.02)
        return np.minimum((best - self.select) / worth, 1.5)


def tried() -> list[Tried]:
    """Read the candidates of all problems that are recorded."""
    with np.load(FILE, allow_pickle=False) as held:
        names = sorted({key.partition("/")[0] for key in held.files})
        counts = {key: held[key] for key in held.files}
    return [
        Tried(
            problem,
            counts[f"{problem.name}/select"].clip(0) / problem.select_rows,
            counts[f"{problem.name}/judge"].clip(0) / problem.judge_rows,
        )
        for problem in load(names)
    ]


def choose(learned: Sequence[Tried], count: int = CHOSEN) -> list[int]:
    """Return candidates, greedily: the mean over families of the least regret so far counts."""
    regrets = np.array([each.regrets() for each in learned])
    families = [each.family for each in learned]
    weights = np.array([1 / families.count(family) for family in families])[:, None]
    chosen: list[int] = []
    least = np.full(len(learned), 1.5)
    for _ in range(count):
        after = np.minimum(least[:, None], regrets)
        # Where none brings the best so far nearer, the one that is good alone.
        score = (weights * after).sum(axis=0) + 1e-3 * (weights * regrets).sum(axis=0)
        score[chosen] = math.inf
        chosen.append(int(score.argmin()))
        least = after[:, chosen[-1]]
    return chosen


def write(chosen: Sequence[int], learned: Sequence[Tried]) -> None:
    """Write the portfolio."""
    names = sorted({each.problem.data for each in learned})
    lines = [
        "# Settings that are good on many data sets, the most useful first: a search begins with",
        f"# them. `python benchmarks/portfolio.py learn` chose them among {CANDIDATES} candidates,",
        "# by what those came to on `data` with both losses.",
        "# descent: log10; l2: of softmax; decay: the decay period as a share of the epochs.",
        f"data = {json.dumps(names)}",
    ]
    for number in chosen:
        advice = asdict(candidates()[number])
        lines += ["", "[[setting]]", *(f"{key} = {value:.3g}" for key, value in advice.items())]
    LEARNED.write_text("\n".join(lines) + "\n")


def check() -> None:
    """Print how far settings come that were learned without the data set."""
    table = Table(problem=-28, trials=7, best_5=8, best_10=8, random_10=10, random_50=10, judged=8, judged_50=10)  # noqa: E501 # fmt: skip
    problems = tried()
    gains: list[tuple[float, ...]] = []
    for one in problems:
        chosen = choose([each for each in problems if each.family != one.family], 20)
        so_far = np.maximum.accumulate(one.select[chosen])
        picked = [chosen[int(one.select[chosen[:count]].argmax())] for count in (5, 10)]
        few, (many, judged) = one.random(10)[0], one.random(50)
        reached = np.flatnonzero(so_far >= many)
        figures = (so_far[4], so_far[9], few, many, one.judge[picked[1]], judged)
        gains.append(figures)
        first = str(reached[0] + 1) if len(reached) else ">20"
        table.line(one.problem.name, first, *(f"{100 * figure:.2f}" for figure in figures))
    table.line("mean", "", *(f"{100 * figure:.2f}" for figure in np.mean(gains, axis=0)))


@dataclass(frozen=True)
class Found:
    """What a search came to."""

    trial_epochs: int
    select: float
    judge: float
    reached: int | None
    """How many trials had begun when the best so far was as good as asked for."""


def search(trainer: Trainer, config: StudyConfig, trials: int, enough: float) -> Found:
    """Run a search by the project's scheduler, in memory."""
    rows, workers = trainer.rows, available_cores()
    train = rows.rows.rows
    eigenvalues = {config.data.normalise: largest_eigenvalue(train)}
    scheduler = Scheduler(config, rows=len(train), classes=rows.classes, eigenvalues=eigenvalues)
    panels = Panels(rows, lanes=default_lanes(rows.classes, config.slots))
    spent, best, judged, reached = 0, -1.0, 0.0, None
    with ThreadPoolExecutor(workers) as pool:
        while True:
            for trial in scheduler.begin(trials):
                panels.start(
                    trial.index,
                    Training(
                        hyperparameters=Hyperparameters(**trial.params),
                        epochs=config.epochs,
                        seed=config.training_seed,
                        number=trial.index,
                        first_pass=trial.first_pass,
                    ),
                )
            if not scheduler.running:
                return Found(spent, best, judged, reached)
            with threadpool_limits(1, user_api="blas"):
                results, _ = panels.run_pass(pool, workers)
            outcomes: dict[int, Outcome | str] = {}
            for key, result in results.items():
                if isinstance(result, EpochResult):
                    spent += 1
                    selected = result.evaluations["val"]
                    is_last = result.epoch == config.epochs
                    name = "accuracy" if is_last else "averaged_accuracy"
                    outcomes[key] = Outcome(selected.value(name), selected.loss)
                else:
                    outcomes[key] = str(result)
            for trial in scheduler.take(outcomes):
                if trial.status != Status.FAILED:
                    panels.drop(trial.index)
                if trial.status == Status.COMPLETE and trial.values[-1] > best:
                    best = trial.values[-1]
                    judged = results[trial.index].evaluations["judge"].accuracy
                    if reached is None and best >= enough:
                        reached = trial.index + 1


def live(names: Sequence[str], folder: Path | None, seeds: int, *, left_out: bool) -> None:
    """Print what whole searches come to, beside the best of 50 random trials in full."""
    table = Table(problem=-28, trials=6, trial_epochs=13, select=8, judge=8, random_50=10, judged_50=10, reached=10)  # noqa: E501 # fmt: skip
    problems = {each.problem.name: each for each in tried()}
    for trials in (25, 50):
        sums: list[Floats] = []
        for name in names or problems:
            one = problems[name]
            chosen = sampler.portfolio().settings
            if left_out:
                others = [each for each in problems.values() if each.family != one.family]
                chosen = [candidates()[number] for number in choose(others)]
            trainer = Trainer(DATA[one.problem.data](folder), one.problem.loss)
            many, judged = one.random(50)
            with mock.patch.object(
                sampler, "portfolio", lambda chosen=chosen: Portfolio(chosen, [])
            ):
                found = [
                    search(
                        trainer,
                        study_config(
                            one.problem.loss, images=one.problem.images, seed=seed, trials=trials
                        ),
                        trials,
                        many,
                    )
                    for seed in range(seeds)
                ]
            mean = np.mean([[each.trial_epochs, each.select, each.judge] for each in found], axis=0)
            reached = ",".join("-" if each.reached is None else str(each.reached) for each in found)
            figures = [mean[0], *(100 * np.array([*mean[1:], many, judged]))]
            sums.append(np.array(figures))
            table.line(name, trials, f"{mean[0]:.0f}", *(f"{x:.2f}" for x in figures[1:]), reached)
        mean = np.mean(sums, axis=0)
        table.line("mean", trials, f"{mean[0]:.0f}", *(f"{x:.2f}" for x in mean[1:]), "")


def main() -> None:
    """Record, learn, check or search."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("record", "learn", "check", "live"))
    parser.add_argument("names", nargs="*", metavar="NAME", help="problems")
    parser.add_argument("--data-dir", type=Path, help="folder that holds CIFAR-10")
    parser.add_argument("--seeds", type=int, default=3, help="searches of each problem")
    parser.add_argument("--left-out", action="store_true", help="do not learn from the data set")
    asked = parser.parse_intermixed_args()
    if asked.what == "record":
        names = asked.names or [f"{data}-{loss}" for data in DATA for loss in DEFAULT_SPACES]
        for name in names:
            kept = dict(np.load(FILE, allow_pickle=False)) if FILE.exists() else {}
            counts = record(name, asked.data_dir)
            kept |= {f"{name}/{which}": right for which, right in counts.items()}
            np.savez_compressed(FILE, **kept)
            print(f"{name}: the best of {CANDIDATES} has {counts['select'].max()} rows right")
    elif asked.what == "learn":
        problems = tried()
        write(choose(problems), problems)
    elif asked.what == "check":
        check()
    else:
        live(asked.names, asked.data_dir, asked.seeds, left_out=asked.left_out)


if __name__ == "__main__":
    main()
