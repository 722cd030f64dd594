import math
from itertools import product
from statistics import median

from sweep.seeds import fresh_seed, stack_seed, trial_seed


def test_every_draw_of_every_study_has_a_seed_of_its_own():
    makers = (trial_seed, stack_seed, fresh_seed)
    seeds = [make(study, number) for make, study, number in product(makers, range(20), range(20))]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert math.isclose(median(seeds), 2**31, rel_tol=0.1)


def test_the_same_numbers_give_the_same_seed():
    assert trial_seed(3, 4) == trial_seed(3, 4)
    assert stack_seed(3, 4) == stack_seed(3, 4)
    assert fresh_seed(3, 4) == fresh_seed(3, 4)
