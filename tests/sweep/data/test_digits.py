from __future__ import annotations

import numpy as np

from sweep.data.dataset import split_rows
from sweep.data.digits import Digits


def test_there_are_1797_images_of_8_by_8_in_ten_classes():
    development, test = Digits().development(), Digits().test()
    assert (development.rows.shape, test.rows.shape) == ((1_437, 64), (360, 64))
    assert development.image_shape == test.image_shape == (1, 8, 8)
    assert development.rows.max() == 16
    assert development.class_names == tuple("0123456789")


def test_the_rows_are_the_same_every_time():
    # Pinned: another choice of test rows would let old studies be tested on rows they trained on.
    assert Digits().development().digest[:16] == "5f66e9008e6e0af8"
    assert Digits().test().digest[:16] == "0549294235797911"


def test_the_split_seed_never_moves_a_test_row():
    development, test = Digits().development(), Digits().test()
    sealed = {(row.tobytes(), label) for row, label in zip(test.rows, test.labels, strict=True)}
    for seed in range(3):
        split = split_rows(Digits(), development, split_seed=seed)
        chosen = np.concatenate([split.train, split.val])
        seen = {(development.rows[i].tobytes(), development.labels[i]) for i in chosen}
        assert len(seen) == len(development.rows)
        assert not seen & sealed
