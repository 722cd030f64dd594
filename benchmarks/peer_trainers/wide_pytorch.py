"""Some models at once by PyTorch: their weights side by side in one wide product, no autograd."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from measuring import CLASSES, FEATURES

from peer_trainers.pytorch import EVALUATED_AT_ONCE, flip_some, tensors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from measuring import Data

    from sweep_model.hyperparameters import Hyperparameters


class Wide:
    """T models with weights (d, T k) that see the same batches with the same flips.

    They share their batch size and flip probability, not their rates and l2.
    """

    def __init__(self, data: Data, threads: int) -> None:
        torch.set_num_threads(threads)
        self._training, self._validation = tensors(data.training), tensors(data.validation)
        self._one_hot = torch.eye(CLASSES)

    def train(self, settings: Sequence[Hyperparameters]) -> Iterator[list[float]]:
        """See `Trainer`."""
        models = len(settings)
        weights = torch.randn(FEATURES, CLASSES).mul_(0.01).repeat(1, models)
        bias = torch.zeros(models * CLASSES)
        rows, labels = self._training
        epoch = 0
        while True:
            rates = torch.tensor([setting.rate(epoch) for setting in settings])
            decay = 2 * rates * torch.tensor([setting.l2 for setting in settings])
            shrinks = (1 - decay).repeat_interleave(CLASSES)
            for chosen in torch.randperm(len(rows)).split(settings[0].batch_size):
                batch = flip_some(rows[chosen], settings[0].flip_probability)
                slopes = torch.addmm(bias, batch, weights).view(-1, models, CLASSES).softmax(2)
                slopes -= self._one_hot[labels[chosen]].unsqueeze(1)
                slopes *= (rates / -len(batch)).unsqueeze(1)
                steps = slopes.view(-1, models * CLASSES)
                weights.mul_(shrinks).addmm_(batch.T, steps)
                bias += steps.sum(0)
            self._evaluate(weights, bias, rows, labels)
            _, accuracies = self._evaluate(weights, bias, *self._validation)
            yield accuracies.tolist()
            epoch += 1

    def _evaluate(
        self, weights: torch.Tensor, bias: torch.Tensor, rows: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean losses and accuracies, one per model."""
        models = len(bias) // CLASSES
        losses, right = torch.zeros(models), torch.zeros(models)
        at_once = EVALUATED_AT_ONCE
        for some, theirs in zip(rows.split(at_once), labels.split(at_once), strict=True):
            scores = torch.addmm(bias, some, weights).view(-1, models, CLASSES)
            true = scores.gather(2, theirs.view(-1, 1, 1).expand(-1, models, 1)).squeeze(2)
            losses += (scores.logsumexp(2) - true).sum(0)
            right += (scores.argmax(2) == theirs.unsqueeze(1)).sum(0)
        return losses / len(rows), right / len(rows)
