"""The seeds of a study's draws: all of them follow from its own."""

from __future__ import annotations

# They keep stacks and confirmations apart from trials, which have (study seed, position) alone.
_STACKS, _CONFIRMATIONS = 1, 2


def trial_seed(study_seed: int, position: int) -> int:
    """Return the seed of one position: its sampler's, or of a training by the reference."""
    return _seed(study_seed, position)


def stack_seed(study_seed: int, stack: int) -> int:
    """Return the seed of one stack of a study's search."""
    return _seed(study_seed, stack, _STACKS)


def fresh_seed(study_seed: int, number: int) -> int:
    """Return a seed for a confirmation: another stream than those of the search."""
    return _seed(study_seed, number, _CONFIRMATIONS)


def _seed(*numbers: int) -> int:
    import numpy as np

    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
