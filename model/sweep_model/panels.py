"""Train many trainings side by side, at close to the speed of the machine's arithmetic.

One training's step is two thin matrix products, which leave a processor half idle. So trainings
of one batch size stand side by side in the *lanes* of a *panel*, and each product serves all of
them. It is the descent of `sweep_model.reference`, batch after batch, on rows x (m, d) in the
mirror basis, m of them in a batch:

    scores  s = W_even x_even +- W_odd x_odd + b       - where the lane sees the image mirrored
    slopes  g = d loss / d s                           of each row, class and lane
    step    W <- (1 - 2 rate l2) W - (rate / m) g x,   b <- b - (rate / m) g

with the weights of all lanes in one matrix (d, k * lanes). A training comes out the same to the
bit in any lane and beside any neighbours, as long as the number of lanes is the same: each lane
meets the same edges of the processor's vector registers, and no arithmetic mixes lanes.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sweep_model import AVERAGED
from sweep_model.hyperparameters import Hyperparameters
from sweep_model.losses import predict
from sweep_model.metrics import OF_ROWS, of_predictions
from sweep_model.preprocessing import MirrorRows, check_images
from sweep_model.rng import flips, initial_weights, row_order
from sweep_model.training import (
    EpochResult,
    Evaluation,
    Training,
    averaged_steps,
    check_labels,
    check_row_weights,
    divergence,
)

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence
    from concurrent.futures import Executor

    import numpy.typing as npt

    from sweep_model import Floats, Labels, Mask
    from sweep_model.losses import Loss
    from sweep_model.training import DivergedError, PanelKind

LANES = (1, 2, 4, 8)
KERNELS = 1
"""The version of the arithmetic in this module: with another one bits may differ."""
_EVALUATED = 1024  # rows of one product, measured: more are no faster
_NOTHING = Evaluation(math.nan, math.nan, math.nan)  # of an empty lane
_LOG_RANGE = 20 * math.log(2)  # how far the scale of the weights may stray from 1


@dataclass(frozen=True, eq=False, kw_only=True)
class Problem:
    """What all panels share and only read.

    Attributes
    ----------
    rows : the training rows.
    evaluation : sets of rows that every epoch is evaluated on, by name.
    final : further sets that the last epoch of a training is evaluated on.
    further : by the name of a set, metrics beside loss and accuracy that it is evaluated by; of
        "val" also those of the mean of the weights, see `AVERAGED`.
    class_weights : (k,) how much a row of each class counts in `weighted_accuracy`.
    held_out : whether each training is evaluated on training rows: "val" are those whose weight is
        0 in it, "train" the others. All lanes share the product, so folds read the rows once.
    normalise, draw : how the rows were made ready, a name, and which draw of them these are: those
        trainings train on them that carry the same ones.

    Raises
    ------
    ValueError
        The sets do not fit together.
    """

    rows: MirrorRows
    evaluation: Mapping[str, MirrorRows]
    loss: Loss
    classes: int
    final: Mapping[str, MirrorRows] = field(default_factory=dict)
    further: Mapping[str, Sequence[str]] = field(default_factory=dict)
    class_weights: Floats | None = None
    held_out: bool = False
    normalise: str = "standardise"
    draw: int = 0

    @property
    def averaged(self) -> list[str]:
        """The metrics by which the mean of the weights is evaluated."""
        names = self.further.get("val", ())
        return [name.removeprefix(AVERAGED) for name in names if name.startswith(AVERAGED)]

    @property
    def sets(self) -> tuple[str, ...]:
        """The names of all that is evaluated."""
        return (*(("train", "val") if self.held_out else ()), *self.evaluation, *self.final)

    def __post_init__(self) -> None:
        twice = sorted(self.evaluation.keys() & self.final.keys())
        if twice:
            raise ValueError(f"sets of both every epoch and the last: {twice}")
        # A list: one of the sets may be named "training" itself.
        sets = [("training", self.rows), *self.evaluation.items(), *self.final.items()]
        for name, one in sets:
            check_labels(name, one.labels, self.classes)
            if one.basis != self.rows.basis:
                raise ValueError(f"{name} rows differ in basis: {one.basis!r}, {self.rows.basis!r}")


@dataclass(frozen=True, eq=False)
class LaneState:
    """What a training carries from one pass into the next.

    Attributes
    ----------
    weights : (k, d) float32, in the mirror basis.
    bias : (k,) float32.
    """

    weights: Floats
    bias: Floats


class Panel:
    """Trainings of one batch size, seed and rows in the lanes of one matrix of weights.

    Attributes
    ----------
    trainings : what each lane holds; None for an empty one.
    weights : (d, k * lanes) float32, class-major: class c of lane t is column c * lanes + t.
    bias : (k, lanes) float32.
    mean : weights and bias likewise, their mean over some steps of the last pass, where it is
        evaluated.
    """

    def __init__(self, problem: Problem, *, seed: int, batch_size: int, lanes: int) -> None:
        self.problem, self.seed, self.batch_size = problem, seed, batch_size
        self.trainings: list[Training | None] = [None] * lanes
        features, classes = problem.rows.rows.shape[1], problem.classes
        self.weights: Floats = np.zeros((features, classes * lanes), dtype=np.float32)
        self._by_lane = self.weights.reshape(features, classes, lanes)
        self.bias: Floats = np.zeros((classes, lanes), dtype=np.float32)
        self.mean = (np.zeros_like(self.weights), self.bias.copy()) if problem.averaged else None

    def put(self, lane: int, training: Training, state: LaneState) -> None:
        """Let a training stand in an empty lane."""
        self.trainings[lane] = training
        self._by_lane[:, :, lane] = state.weights.T
        self.bias[:, lane] = state.bias

    def state(self, lane: int) -> LaneState:
        """Return a copy of what the training in a lane carries."""
        return LaneState(self._by_lane[:, :, lane].T.copy(), self.bias[:, lane].copy())

    def clear(self, lane: int) -> None:
        """Empty a lane; what a diverged training left would make products slow."""
        self.trainings[lane] = None
        self._by_lane[:, :, lane] = 0
        self.bias[:, lane] = 0

    @np.errstate(over="ignore", invalid="ignore")  # `divergence` sees it, training by training
    def evaluate(self, pass_number: int) -> dict[int, EpochResult | DivergedError]:
        """Return per lane how its training stands after a pass, or how it diverged."""
        training_at = {lane: one for lane, one in enumerate(self.trainings) if one is not None}
        epochs = {lane: pass_number - one.first_pass + 1 for lane, one in training_at.items()}
        means = self._held_out() if self.problem.held_out else {}
        means |= {
            name: self._means(rows, {name: None})[name]
            for name, rows in self.problem.evaluation.items()
        }
        if self.mean is not None:
            means["val"] = self._with_averaged(means["val"], *self.mean)
        last = {lane for lane, one in training_at.items() if epochs[lane] == one.epochs}
        final = {
            name: self._means(rows, {name: None})[name]
            for name, rows in self.problem.final.items()
            if last
        }
        squares = np.square(self.weights, dtype=np.float64).sum(axis=0)
        squares = squares.reshape(self.bias.shape).sum(axis=0)
        finite = np.isfinite(squares) & np.isfinite(self.bias).all(axis=0)
        results: dict[int, EpochResult | DivergedError] = {}
        for lane, training in training_at.items():
            setting = training.hyperparameters
            penalty = float(setting.l2 * squares[lane])
            result = EpochResult(
                epoch=epochs[lane],
                learning_rate=setting.rate(epochs[lane] - 1),
                evaluations={
                    name: replace(by_lane[lane], cost=by_lane[lane].loss + penalty)
                    for name, by_lane in (means | (final if lane in last else {})).items()
                },
            )
            results[lane] = divergence(result, finite=bool(finite[lane])) or result
        return results

    def _with_averaged(
        self, evaluations: Sequence[Evaluation], weights: Floats, bias: Floats
    ) -> list[Evaluation]:
        """Add what was asked of the mean of the weights on validation rows."""
        if self.problem.held_out:
            averaged = self._means(self.problem.rows, {"val": self._held()}, weights, bias)["val"]
        else:
            rows = self.problem.evaluation["val"]
            averaged = self._means(rows, {"val": None}, weights, bias)["val"]
        return [
            one
            if training is None
            else replace(
                one,
                further={
                    **one.further,
                    **{AVERAGED + name: mean.value(name) for name in self.problem.averaged},
                },
            )
            for training, one, mean in zip(self.trainings, evaluations, averaged, strict=True)
        ]

    def _held_out(self) -> dict[str, list[Evaluation]]:
        """Evaluate the lanes on the training rows that count in them, and on those that do not."""
        held = self._held()
        return self._means(self.problem.rows, {"train": ~held, "val": held})

    def _held(self) -> Mask:
        """Which training rows do not count in each lane, (n, lanes)."""
        held = np.zeros((len(self.problem.rows.labels), len(self.trainings)), dtype=np.bool_)
        for lane, training in enumerate(self.trainings):
            if training is not None and training.row_weights is not None:
                held[:, lane] = training.row_weights == 0
        return held

    def _means(
        self,
        rows: MirrorRows,
        sets: Mapping[str, Mask | None],
        weights: Floats | None = None,
        bias: Floats | None = None,
    ) -> dict[str, list[Evaluation]]:
        """Evaluate the lanes on sets of the rows, (n, lanes), or all; without the penalty.

        By the last weights, unless others are given.
        """
        weights = self.weights if weights is None else weights
        bias = self.bias if bias is None else bias
        classes, lanes = bias.shape
        total = {name: np.zeros(lanes) for name in sets}
        right = {name: np.zeros(lanes) for name in sets}
        further = {name: _Further(self.problem, name, lanes) for name in sets}
        products: Floats = np.empty((_EVALUATED, classes * lanes), dtype=np.float32)
        space: Floats = np.empty(products.size, dtype=np.float32)
        for start in range(0, len(rows.labels), _EVALUATED):
            labels = rows.labels[start : start + _EVALUATED]
            scores = products[: len(labels)]
            batch = rows.rows[start : start + _EVALUATED]
            np.matmul(batch.astype(np.float32, copy=False), weights, out=scores)
            by_class = space[: scores.size].reshape(classes, len(labels), lanes)
            np.add(_by_class(scores, classes), bias[:, None], out=by_class)
            predicted, largest = predict(by_class)
            hits = predicted == labels[:, None]
            for name in sets:
                further[name].take_in(by_class, labels, predicted)
            values = self.problem.loss.values_(by_class, labels, largest)
            for name, which in sets.items():
                if which is None:
                    right[name] += np.count_nonzero(hits, axis=0)
                    total[name] += values.sum(axis=0, dtype=np.float64)
                    continue
                some = which[start : start + _EVALUATED]
                right[name] += np.count_nonzero(hits & some, axis=0)
                total[name] += np.where(some, values, 0).sum(axis=0, dtype=np.float64)
        found: dict[str, list[Evaluation]] = {}
        for name, which in sets.items():
            counts = np.full(lanes, len(rows.labels)) if which is None else which.sum(axis=0)
            counts = np.maximum(counts, 1)  # an empty lane holds nothing out
            losses, accuracies = total[name] / counts, right[name] / counts
            found[name] = [
                Evaluation(
                    float(losses[lane]),
                    float(losses[lane]),
                    float(accuracies[lane]),
                    further[name].of(
                        lane, rows.labels, slice(None) if which is None else which[:, lane]
                    ),
                )
                if training is not None
                else _NOTHING
                for lane, training in enumerate(self.trainings)
            ]
        return found


class _Further:
    """Keeps, of a panel's lanes, what further metrics of a set of rows need."""

    def __init__(self, problem: Problem, name: str, lanes: int) -> None:
        self._problem = problem
        names = dict.fromkeys(one.removeprefix(AVERAGED) for one in problem.further.get(name, ()))
        self._names = [one for one in names if one not in ("loss", "accuracy")]
        self._predicted: list[list[Labels]] = [[] for _ in range(lanes)]
        self._values: list[dict[str, list[Floats | Mask]]] = [
            {name: [] for name in self._names if name in OF_ROWS} for _ in range(lanes)
        ]

    def take_in(self, scores: Floats, labels: Labels, predicted: npt.NDArray[np.int32]) -> None:
        """Take in a block of rows: scores (k, m, lanes), labels (m,), predictions (m, lanes)."""
        if not self._names:
            return
        for lane, by_name in enumerate(self._values):
            self._predicted[lane].append(predicted[:, lane].astype(np.int64))
            if by_name:  # a copy: the same arithmetic in every lane
                own = np.ascontiguousarray(scores[:, :, lane].T)
                for name, values in by_name.items():
                    values.append(OF_ROWS[name](own, labels, self._problem.loss))

    def of(self, lane: int, labels: Labels, which: Mask | slice) -> dict[str, float]:
        """Return a lane's metrics of some of the rows, by name."""
        return {
            name: float(np.concatenate(self._values[lane][name])[which].mean(dtype=np.float64))
            if name in OF_ROWS
            else of_predictions(
                name,
                np.concatenate(self._predicted[lane])[which],
                labels[which],
                self._problem.classes,
                self._problem.class_weights,
            )
            for name in self._names
        }


class _Descent:
    """One pass of a panel over the rows: what each of its steps needs, worked out beforehand."""

    def __init__(self, panel: Panel, pass_number: int, order: Labels) -> None:
        self.batch_size, self._loss = panel.batch_size, panel.problem.loss
        self._weights, self._bias = panel.weights, panel.bias
        rows = panel.problem.rows
        self._evens = rows.basis.evens
        self._labels = rows.labels[order]
        n, lanes = len(order), len(panel.trainings)
        self._signs: Floats | None = None  # (n, lanes), -1 for a mirrored image
        if self._evens < rows.basis.features:
            self._signs = np.ones((n, lanes), dtype=np.float32)
        counts: Floats | None = None  # (n, lanes), how much each row counts
        if any(one is not None and one.row_weights is not None for one in panel.trainings):
            counts = np.ones((n, lanes))
        rates, shrinks = np.zeros(lanes), np.ones(lanes)
        for lane, training in enumerate(panel.trainings):
            if training is None:
                continue
            setting, epoch = training.hyperparameters, pass_number - training.first_pass
            rates[lane] = setting.rate(epoch)
            shrinks[lane] = 1 - 2 * setting.l2 * setting.rate(epoch)
            if self._signs is not None:
                mirrored = flips(panel.seed, training.number, epoch, n, setting.flip_probability)
                self._signs[:, lane] = np.where(mirrored[order], -1, 1)
            if counts is not None and training.row_weights is not None:
                given = training.row_weights[order]
                # Only their ratios count, and float32 holds no weight of 1e39 or 1e-46.
                counts[:, lane] = given / (given.max() or 1)
        self._row_weights = None if counts is None else counts.astype(np.float32)
        self._plan(rates, shrinks, self._batch_sums(n, lanes, counts))
        longest, columns = min(self.batch_size, n), self._weights.shape[1]
        self._even: Floats = np.empty((longest, columns), dtype=np.float32)
        self._odd = np.empty_like(self._even)
        self._space: Floats = np.empty(self._even.size, dtype=np.float32)
        self._change = np.empty_like(self._weights)
        self._mean, self._counted = panel.mean, averaged_steps(len(self._scales))
        for each in self._mean or ():
            each[:] = 0

    def _batch_sums(self, n: int, lanes: int, counts: Floats | None) -> Floats:
        """The sum of the row weights of every batch, (steps, lanes) float64."""
        starts = np.arange(0, n, self.batch_size)
        if counts is not None:
            return np.add.reduceat(counts, starts, axis=0)
        lengths = np.minimum(starts + self.batch_size, n) - starts
        return np.repeat(lengths[:, None].astype(np.float64), lanes, axis=1)

    def _plan(self, rates: Floats, shrinks: Floats, sums: Floats) -> None:
        """Work out the numbers of every step from those of each lane; sums are (steps, lanes).

        A lane's weights are W = scale * stored, so that shrinking them, which l2 does in every
        step, costs one number and not all of W, and a step s of W is a step s / scale of what is
        stored. After `period` steps, and at the end of the pass, the stored weights are multiplied
        by the scale, which is 1 again from then on. When that is depends on the lane alone. A batch
        of weight 0 makes no step.
        """
        active = sums > 0
        done = np.cumsum(active, axis=0)
        with np.errstate(divide="ignore"):  # no shrinking: never; to 0: in every step
            period = _LOG_RANGE / np.abs(np.log(np.abs(shrinks)))
        period = np.clip(period, 1, len(sums)).astype(int)
        scales = np.power(shrinks, (done - active) % period)
        after = scales * np.where(active, shrinks, 1)
        multiply = done % period == 0
        multiply[-1] = True
        steps = np.zeros_like(sums)
        classes = len(self._bias)
        np.divide(-rates * self._loss.slope_scale(classes), sums, out=steps, where=active)
        self._scales = scales.astype(np.float32)
        self._bias_steps = steps.astype(np.float32)
        self._weight_steps = (steps / np.where(multiply, 1, after)).astype(np.float32)
        self._factors = {
            int(step): np.tile(np.where(multiply[step], after[step], 1), classes).astype(np.float32)
            for step in np.flatnonzero(multiply.any(axis=1))
        }

    def step(self, number: int, rows: Floats) -> None:
        """Take the step of batch `number`, whose rows (m, d) are float32."""
        m, evens, (classes, lanes) = len(rows), self._evens, self._bias.shape
        at = slice(number * self.batch_size, number * self.batch_size + m)
        even, odd = self._even[:m], self._odd[:m]
        even_by_class, odd_by_class = _by_class(even, classes), _by_class(odd, classes)
        scores = self._space[: even.size].reshape(classes, m, lanes)
        scale = self._scales[number]
        np.matmul(rows[:, :evens], self._weights[:evens], out=even)
        np.multiply(even_by_class, scale, out=scores)
        if self._signs is not None:
            signs = self._signs[at]
            np.matmul(rows[:, evens:], self._weights[evens:], out=odd)
            np.multiply(odd_by_class, signs * scale, out=odd_by_class)
            scores += odd_by_class
        scores += self._bias[:, None]
        self._loss.slopes_(scores, self._labels[at])
        if self._row_weights is not None:
            scores *= self._row_weights[at]
        self._bias += self._bias_steps[number] * np.add.reduce(scores, axis=1)
        np.multiply(scores, self._weight_steps[number], out=even_by_class)
        np.matmul(rows[:, :evens].T, even, out=self._change[:evens])
        if self._signs is not None:
            np.multiply(even_by_class, signs, out=odd_by_class)
            np.matmul(rows[:, evens:].T, odd, out=self._change[evens:])
        if number in self._factors:
            self._weights *= self._factors[number]
        self._weights += self._change
        if self._mean is not None and number in self._counted:
            self._average(number, *self._mean)

    def _average(self, number: int, weights: Floats, bias: Floats) -> None:
        """Count what step `number` has led to in the means."""
        share = np.float32(1 / len(self._counted))
        last = number + 1 == len(self._scales)
        scale = share if last else share * self._scales[number + 1]
        scales = np.broadcast_to(scale, self._bias.shape).reshape(-1)
        np.multiply(self._weights, scales, out=self._change)
        weights += self._change
        bias += share * self._bias


@np.errstate(over="ignore", invalid="ignore")  # whatever is not finite is seen in the results
def _descend(panels: Sequence[Panel], pass_number: int) -> None:
    """Take panels through one pass, reading rows once for all; see `_reading_together`."""
    first = panels[0]  # with the longest batches
    rows = first.problem.rows.rows
    n, features = rows.shape
    order = row_order(first.seed, pass_number, n)
    descents = [_Descent(panel, pass_number, order) for panel in panels]
    length = min(n, first.batch_size)
    space: Floats = np.empty((length, features), dtype=np.float32)
    for start in range(0, n, length):
        at = order[start : start + length]
        chunk = space[: len(at)]
        if isinstance(rows, np.ndarray) and rows.dtype == np.float32:
            np.take(rows, at, axis=0, out=chunk, mode="clip")  # which needs no second buffer
        else:
            chunk[:] = rows[at]
        for descent in descents:
            size = descent.batch_size
            for offset in range(0, len(at), size):
                descent.step((start + offset) // size, chunk[offset : offset + size])


class Panels:
    """Trainings in panels, as few as hold them; one pass over the rows is an epoch of each.

    Parameters
    ----------
    problems : rows, loss and classes; several have the same rows, each normalised in its own way,
        or other draws of them.
    lanes : of every panel: 1, 2, 4 or 8. The bits of a training depend on it.
    next_pass : the number of the first pass.

    Attributes
    ----------
    problems : by the name of how their rows are normalised, and their draw.
    next_pass : the number of the next pass.
    may_move : whether trainings may change their lane, so that fewer panels hold them; not where
        `lanes_agree` says no.
    """

    def __init__(self, *problems: Problem, lanes: int, next_pass: int = 0) -> None:
        if lanes not in LANES:
            raise ValueError(f"lanes must be one of {LANES}, got {lanes!r}")
        self.problems = {(each.normalise, each.draw): each for each in problems}
        self.lanes, self.next_pass, self.may_move = lanes, next_pass, True
        self._groups: dict[PanelKind, list[Panel]] = {}
        self._places: dict[Hashable, tuple[Panel, int]] = {}

    def __len__(self) -> int:
        return len(self._places)

    def start(self, key: Hashable, training: Training) -> None:
        """Begin a training with the next pass, which must be its first.

        Raises
        ------
        ValueError
            The key is taken, the pass is another, there are flips but no images, or no rows are
            normalised as its are.
        """
        problem = self.problem_of(training)
        basis, classes = problem.rows.basis, problem.classes
        if training.first_pass != self.next_pass:
            raise ValueError(f"{training.first_pass=} is not the next pass, {self.next_pass}")
        weights = basis.turn(initial_weights(training.seed, classes, basis.features))
        bias = np.zeros(classes, dtype=np.float32)
        self.restore(key, training, LaneState(weights, bias))

    def restore(self, key: Hashable, training: Training, state: LaneState) -> None:
        """Go on with a training, to the same bits, from a state that it had before the next pass.

        Raises
        ------
        ValueError
            As `start`, or the state is not of these rows.
        """
        problem, setting = self.problem_of(training), training.hyperparameters
        basis, classes = problem.rows.basis, problem.classes
        check_images(basis.features, setting.flip_probability, basis.image_shape)
        check_row_weights(training.row_weights, len(problem.rows.labels))
        if key in self._places:
            raise ValueError(f"{key=} is training already")
        if not training.first_pass <= self.next_pass < training.first_pass + training.epochs:
            raise ValueError(f"pass {self.next_pass} is no epoch of {training!r}")
        shapes = state.weights.shape, state.bias.shape
        if shapes != ((classes, basis.features), (classes,)):
            raise ValueError(f"state of shapes {shapes} is not of these rows")
        group = self._groups.setdefault(training.panel_kind, [])
        panel = next((one for one in group if None in one.trainings), None)
        if panel is None:
            panel = Panel(
                problem, seed=training.seed, batch_size=setting.batch_size, lanes=self.lanes
            )
            group.append(panel)
        self._place(key, panel, training, state)

    def problem_of(self, training: Training) -> Problem:
        """Return whose rows a training trains on; a ValueError where there are none."""
        wanted = training.normalise, training.draw
        if wanted not in self.problems:
            ways = ", ".join(dict.fromkeys(way for way, _ in self.problems))
            raise ValueError(f"rows are {ways}, not {training.normalise!r} of draw {training.draw}")
        return self.problems[wanted]

    def drop(self, key: Hashable) -> None:
        """Take a training out; a KeyError where there is no such key."""
        panel, lane = self._places.pop(key)
        panel.clear(lane)

    def state(self, key: Hashable) -> LaneState:
        """Return a copy of what a training carries between two passes, for `restore`."""
        panel, lane = self._places[key]
        return panel.state(lane)

    def run_pass(
        self, pool: Executor | None = None, workers: int = 1
    ) -> tuple[dict[Hashable, EpochResult | DivergedError], list[Seconds]]:
        """Train and evaluate every training for one epoch.

        After an exception, Ctrl-C among them, the weights are half trained: begin anew.

        Parameters
        ----------
        pool : threads that share the work; without one, the caller's.
        workers : among how many the work is shared; does not affect results.

        Returns
        -------
        By key how each training stands, or how it diverged and is out; the caller drops what has
        had its last epoch. And the seconds of each worker.

        Raises
        ------
        ValueError
            A training has had its last epoch before.
        """
        for key, (panel, lane) in self._places.items():
            training = panel.trainings[lane]
            if training is not None and self.next_pass >= training.first_pass + training.epochs:
                raise ValueError(f"{key=} has had its last epoch; drop it")
        self._compact()
        shares, number = self._deal(max(1, workers)), self.next_pass
        run = map if pool is None else pool.map
        done = list(run(_train_and_evaluate, shares, [number] * len(shares)))
        self.next_pass += 1
        at = {panel: lanes for by_panel, _ in done for panel, lanes in by_panel.items()}
        found = {key: at[panel][lane] for key, (panel, lane) in self._places.items()}
        for key, result in found.items():
            if isinstance(result, Exception):
                self.drop(key)
        return found, [seconds for _, seconds in done]

    def _place(self, key: Hashable, panel: Panel, training: Training, state: LaneState) -> None:
        lane = panel.trainings.index(None)
        panel.put(lane, training, state)
        self._places[key] = panel, lane

    def _compact(self) -> None:
        """Forget empty panels, and move trainings together where more panels become empty by it."""
        for group in self._groups.values():
            group[:] = [panel for panel in group if any(panel.trainings)]
            # With the emptiest last, which are few to move.
            group.sort(key=lambda panel: panel.trainings.count(None))
            while self.may_move and sum(one.trainings.count(None) for one in group) >= self.lanes:
                emptiest = group.pop()
                for key, (panel, lane) in list(self._places.items()):
                    if panel is emptiest:
                        goal = next(one for one in group if None in one.trainings)
                        training = panel.trainings[lane]
                        assert training is not None  # noqa: S101 - it has a place
                        self._place(key, goal, training, panel.state(lane))

    def _deal(self, workers: int) -> list[list[Panel]]:
        """Part the panels among workers about evenly, the longest pass first."""
        panels = [panel for group in self._groups.values() for panel in group]
        panels.sort(key=lambda panel: panel.batch_size)
        shares: list[list[Panel]] = [[] for _ in range(min(workers, len(panels)))]
        for panel in panels:
            min(shares, key=lambda share: sum(pass_cost(one.batch_size) for one in share)).append(
                panel
            )
        return shares


def lanes_agree(problem: Problem, *, lanes: int, batch_size: int) -> bool:
    """Whether this machine's BLAS gives a training the same bits in each lane of a panel.

    A training takes two steps and a short one in every lane, beside random neighbours, and is
    evaluated: 0.1 s for CIFAR-10 at most. To be asked with as many BLAS threads as train.
    """
    rng = np.random.default_rng(0)
    basis, n = problem.rows.basis, 2 * batch_size + batch_size // 2
    few = problem.rows.first(n)
    small = replace(problem, rows=few, evaluation={"val": few}, final={}, held_out=False)
    setting = Hyperparameters(
        l2=0.01,
        learning_rate=0.01,
        decay_period=1,
        batch_size=batch_size,
        flip_probability=0 if basis.image_shape is None else 0.5,
    )

    def random(number: int) -> tuple[Training, LaneState]:
        shape = (problem.classes, basis.features)
        weights = rng.standard_normal(shape, dtype=np.float32)
        bias = rng.standard_normal(problem.classes, dtype=np.float32)
        training = Training(hyperparameters=setting, epochs=1, number=number)
        return training, LaneState(weights, bias)

    own, outcomes = random(0), set()
    for lane in range(lanes):
        panel = Panel(small, seed=0, batch_size=batch_size, lanes=lanes)
        for place in range(lanes):
            panel.put(place, *(own if place == lane else random(place + 1)))
        _descend([panel], 0)
        state = panel.state(lane)
        outcome = (state.weights.tobytes(), state.bias.tobytes(), str(panel.evaluate(0)[lane]))
        outcomes.add(outcome)
    return len(outcomes) == 1


def pass_cost(batch_size: int) -> float:
    """About how long a panel's pass takes, relative to long batches: of 4 and 8 lanes, measured."""
    return 1 + 12 / batch_size


class Seconds(NamedTuple):
    """Wall time of a worker's pass."""

    training: float
    evaluation: float


def _train_and_evaluate(
    panels: list[Panel], pass_number: int
) -> tuple[dict[Panel, dict[int, EpochResult | DivergedError]], Seconds]:
    began = time.perf_counter()
    for together in _reading_together(panels):
        _descend(together, pass_number)
    trained = time.perf_counter()
    results = {panel: panel.evaluate(pass_number) for panel in panels}
    return results, Seconds(trained - began, time.perf_counter() - trained)


def _reading_together(panels: list[Panel]) -> list[list[Panel]]:
    """Group panels of the same rows and seed whose batches fit into the longest of the group."""
    groups: list[list[Panel]] = []
    for panel in sorted(panels, key=lambda one: -one.batch_size):
        for group in groups:
            first = group[0]
            same = first.problem is panel.problem and first.seed == panel.seed
            if same and first.batch_size % panel.batch_size == 0:
                group.append(panel)
                break
        else:
            groups.append([panel])
    return groups


def _by_class(columns: Floats, classes: int) -> Floats:
    """View (m, k * lanes) as (k, m, lanes)."""
    return columns.reshape(len(columns), classes, -1).transpose(1, 0, 2)
