"""The ways to train trials that are held against each other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from measuring import BATCH_SIZES

from sweep_model.hyperparameters import Hyperparameters

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A way to train trials.

    Attributes
    ----------
    trainer : where its `peer_trainers.Trainer` is.
    package : what must be installed for it beyond the project's own requirements.
    arrangements : (processes, threads of each) on two cores, the ones worth measuring.
    trials : how many a process trains at once.
    aim : how many times longer it should take than panels, at least.
    """

    name: str
    trainer: str
    arrangements: tuple[tuple[int, int], ...] = ((2, 1),)
    trials: int = 1
    batch_sizes: tuple[int, ...] = (50,)
    flip_probability: float = 0.2
    aim: float | None = None
    package: str | None = None

    def setting(self, trial: optuna.Trial, i: int) -> Hyperparameters:
        """What Optuna suggests for the i-th trial of a process."""
        return Hyperparameters(
            l2=trial.suggest_float("l2", 1e-4, 1e-1, log=True),
            learning_rate=trial.suggest_float("learning_rate", 1e-3, 1e-2, log=True),
            decay_period=trial.suggest_int("decay_period", 5, 20),
            batch_size=self.batch_sizes[i % len(self.batch_sizes)],
            flip_probability=self.flip_probability,
        )


def panels(trainings: int, batch_sizes: tuple[int, ...] = BATCH_SIZES) -> Peer:
    """The way of this project: some trainings at once, on two threads of one process."""
    sizes = "mixed batches" if len(batch_sizes) > 1 else f"batches of {batch_sizes[0]}"
    return Peer(
        name=f"panels, {trainings} trainings, {sizes}",
        trainer="peer_trainers.side_by_side:SideBySide",
        arrangements=((1, 2),),
        trials=trainings,
        batch_sizes=batch_sizes,
    )


OURS, *OTHERS_OF_OURS = (panels(16), panels(8), panels(48), panels(16, (50,)), panels(16, (100,)))
PLAIN = Peer(name="NumPy loop", trainer="peer_trainers.plain:Plain")
TORCH = Peer(name="", trainer="", package="torch")
WIDE = replace(TORCH, trainer="peer_trainers.wide_pytorch:Wide")
PEERS = (
    *OTHERS_OF_OURS,
    replace(PLAIN, name="NumPy loop, no flips", flip_probability=0.0, aim=2),
    PLAIN,
    replace(
        TORCH,
        name="PyTorch, DataLoader, flips by image",
        trainer="peer_trainers.pytorch:Loader",
        aim=5,
    ),
    replace(
        TORCH,
        name="PyTorch, DataLoader, flips by batch",
        trainer="peer_trainers.pytorch:CollatingLoader",
        aim=5,
    ),
    replace(
        TORCH,
        name="PyTorch, indexed",
        trainer="peer_trainers.pytorch:Indexed",
        aim=2.5,
    ),
    replace(WIDE, name="PyTorch, indexed, no autograd", aim=2.5),
    replace(
        WIDE,
        name="PyTorch, 16 models wide",
        trials=16,
        arrangements=((2, 1), (1, 2)),
        aim=1.3,
    ),
    Peer(
        name="scikit-learn, partial_fit",
        trainer="peer_trainers.scikit_learn:ScikitLearn",
        aim=30,
    ),
    Peer(name="textbook NumPy, float64", trainer="peer_trainers.textbook:Textbook", aim=30),
)
