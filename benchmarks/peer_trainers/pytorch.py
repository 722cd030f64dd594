"""One trial at a time by PyTorch: nn.Linear and SGD, with and without a DataLoader."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, TypeAlias

import torch
from measuring import CLASSES, FEATURES, SHAPE
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset, TensorDataset, default_collate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from measuring import Data

    from sweep_model.hyperparameters import Hyperparameters
    from sweep_model.training import Rows

EVALUATED_AT_ONCE = 1_000
Batch: TypeAlias = "tuple[torch.Tensor, torch.Tensor]"  # rows (m, d) and labels (m,)


def tensors(rows: Rows) -> Batch:
    """Rows and labels, sharing their memory."""
    return torch.from_numpy(rows.rows), torch.from_numpy(rows.labels)


def flip_some(rows: torch.Tensor, probability: float) -> torch.Tensor:
    """A batch (m, d) with some of its images mirrored."""
    lines = rows.view(len(rows), -1, SHAPE[2])
    chosen = torch.rand(len(rows), 1, 1) < probability
    return torch.where(chosen, lines.flip(2), lines).view(rows.shape)


class OneModel(ABC):
    """Training by autograd; where its batches come from is what the kinds differ in."""

    def __init__(self, data: Data, threads: int) -> None:
        torch.set_num_threads(threads)
        self.training, self.validation = tensors(data.training), tensors(data.validation)

    @abstractmethod
    def batches(self, setting: Hyperparameters) -> Iterable[Batch]:
        """Batches of rows and labels, to be gone through once per epoch."""

    def train(self, settings: Sequence[Hyperparameters]) -> Iterator[list[float]]:
        """See `Trainer`."""
        (setting,) = settings
        model = nn.Linear(FEATURES, CLASSES)
        decayed = {"params": [model.weight], "weight_decay": 2 * setting.l2}
        optimizer = torch.optim.SGD([decayed, {"params": [model.bias]}], lr=setting.learning_rate)
        schedule = torch.optim.lr_scheduler.StepLR(
            optimizer, setting.decay_period, gamma=setting.decay_factor
        )
        while True:
            for rows, labels in self.batches(setting):
                optimizer.zero_grad()
                cross_entropy(model(rows), labels).backward()
                optimizer.step()
            schedule.step()
            evaluate(model, *self.training)
            _, accuracy = evaluate(model, *self.validation)
            yield [accuracy]


def evaluate(model: nn.Module, rows: torch.Tensor, labels: torch.Tensor) -> tuple[float, float]:
    """Mean loss and accuracy."""
    loss, right = 0.0, 0
    at_once = EVALUATED_AT_ONCE
    with torch.no_grad():
        for some, theirs in zip(rows.split(at_once), labels.split(at_once), strict=True):
            scores = model(some)
            loss += cross_entropy(scores, theirs, reduction="sum").item()
            right += int((scores.argmax(1) == theirs).sum())
    return loss / len(rows), right / len(rows)


class FlippingImages(Dataset):  # type: ignore[misc] # PyTorch is an extra, so Any to mypy
    """Images and labels; each time that an image is asked for it may come mirrored."""

    def __init__(self, rows: torch.Tensor, labels: torch.Tensor, probability: float) -> None:
        self._images, self._labels = rows.view(-1, *SHAPE), labels
        self._probability = probability

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, i: int) -> Batch:
        image = self._images[i]
        if torch.rand(()) < self._probability:
            image = image.flip(-1)
        return image.flatten(), self._labels[i]


class Loader(OneModel):
    """A DataLoader over a data set that mirrors images one by one."""

    def batches(self, setting: Hyperparameters) -> Iterable[Batch]:
        """See `OneModel`."""
        images = FlippingImages(*self.training, setting.flip_probability)
        loader: Iterable[Batch] = DataLoader(images, setting.batch_size, shuffle=True)
        return loader


class CollatingLoader(OneModel):
    """A DataLoader whose collate function mirrors images of a whole batch."""

    def batches(self, setting: Hyperparameters) -> Iterable[Batch]:
        """See `OneModel`."""

        def collate(samples: list[Batch]) -> Batch:
            rows, labels = default_collate(samples)
            return flip_some(rows, setting.flip_probability), labels

        loader: Iterable[Batch] = DataLoader(
            TensorDataset(*self.training), setting.batch_size, shuffle=True, collate_fn=collate
        )
        return loader


class Indexed(OneModel):
    """No DataLoader: a shuffled tensor of row numbers, and flips by batch."""

    def batches(self, setting: Hyperparameters) -> Iterable[Batch]:
        """See `OneModel`."""
        rows, labels = self.training
        for chosen in torch.randperm(len(rows)).split(setting.batch_size):
            yield flip_some(rows[chosen], setting.flip_probability), labels[chosen]
