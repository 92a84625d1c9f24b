"""Several trials of one small network, trained side by side.

The networks of :mod:`alsnb.networks` are so small that most of their training is the overhead of
single calls. Here the trials take their steps together: what works value by value is one call for
all of them, backward passes are written out, and what only reports on progress is left out. Each
trial has a random stream of its own, and every sum is made by the same call on the same shapes as
when `DNNClassifier` trains it alone, so that it ends with the same weights and stops at the same
epoch. `DNNClassifier` is the reference, and the tests compare the two bit by bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted

from .networks import DNNClassifier, FeedForward, f1, float32, one_thread

Tensors = list[torch.Tensor]


class NetworkTrials(ClassifierMixin, BaseEstimator):
    """Trials of a network, from different seeds, as one estimator.

    Parameters
    ----------
    network : DNNClassifier
        The network, not fitted; trial t takes its seed plus t. ``warm_start`` is not for it.
    trials : int, default 5
        Networks to train.

    Attributes
    ----------
    modules_ : list of FeedForward
        The trained networks, ready to predict.
    best_epochs_, n_epochs_ : list of int
        As `DNNClassifier`'s ``best_epoch_`` and ``n_epochs_``, by trial.
    """

    def __init__(self, network: DNNClassifier, *, trials: int = 5):
        self.network = network
        self.trials = trials

    modules_: list[FeedForward]

    def fit(self, X: ArrayLike | pd.DataFrame, y: ArrayLike) -> Self:
        """Train on X (rows, features) and y (0 or 1).

        Parameters
        ----------
        X : array-like, shape (rows, features)
            Scaled features.
        y : array-like of int, shape (rows,)
            Labels; 1 is the positive class.

        Returns
        -------
        NetworkTrials
            This object, trained.

        Raises
        ------
        ParameterError, CohortError
            As for `DNNClassifier`.
        """
        seeds = [self.network.seed + t for t in range(self.trials)]
        networks = [clone(self.network).set_params(seed=seed) for seed in seeds]
        rows, labels = networks[0].checked(X, y)
        self.classes_ = np.array([0, 1])
        self.n_features_in_ = rows.shape[1]
        with one_thread(), torch.no_grad():
            trials = [_Trial.start(network, rows, labels) for network in networks]
            _train(trials, self.network)
        for trial in trials:
            trial.restore()
        self.modules_ = [trial.module for trial in trials]
        self.n_epochs_ = [trial.epoch for trial in trials]
        self.best_epochs_ = [trial.best_epoch or trial.epoch for trial in trials]
        return self

    def predict_proba(self, X: ArrayLike | pd.DataFrame) -> NDArray[np.float32]:
        """Return probabilities of class 0 and 1 by each trial, shape (trials, rows, 2)."""
        check_is_fitted(self, "modules_")
        rows = torch.from_numpy(float32(X))
        with one_thread(), torch.no_grad():
            outputs = [
                # In batches, as skorch predicts.
                torch.cat(
                    [module(part) for part in rows.split(self.network.batch_size or len(rows))]
                )
                for module in self.modules_
            ]
            made = [z if self.network.softmax else torch.softmax(z, dim=-1) for z in outputs]
        return torch.stack(made).numpy()

    def predict(self, X: ArrayLike | pd.DataFrame) -> NDArray[np.int64]:
        """Return the more probable class by each trial, shape (trials, rows)."""
        return self.predict_proba(X).argmax(axis=2)


@dataclass
class _Trial:
    module: FeedForward
    stream: torch.Generator
    X: torch.Tensor
    y: torch.Tensor
    watched: tuple[torch.Tensor, NDArray[np.int64]]
    weights: Tensors
    averages: tuple[Tensors, Tensors]
    epoch: int = 0
    best_epoch: int = 0
    best: float = -np.inf
    best_weights: Tensors = field(default_factory=list)

    @classmethod
    def start(cls, network: DNNClassifier, X: NDArray[np.float32], y: NDArray[np.int64]) -> _Trial:
        """Draw initial weights, and set rows aside, as `DNNClassifier` does."""
        X, y, watched = network.set_aside(X, y)
        stream = torch.Generator()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(network.seed)
            module = network.module(X.shape[1])
            stream.set_state(torch.get_rng_state())
        weights = [p.data for p in module.parameters()]
        return cls(
            module=module.eval(),
            stream=stream,
            X=torch.from_numpy(X),
            y=torch.from_numpy(y),
            watched=(torch.from_numpy(watched[0]), watched[1]),
            weights=weights,
            averages=(
                [torch.zeros_like(w) for w in weights],
                [torch.zeros_like(w) for w in weights],
            ),
        )

    def keep_best(self, patience: int) -> bool:
        """Score the watched rows, keep weights that are better; return whether to stop."""
        X, y = self.watched
        score = f1(self.module(X).argmax(dim=1).numpy(), y)
        if score > self.best:
            self.best, self.best_epoch = score, self.epoch
            self.best_weights = [w.clone() for w in self.weights]
        return self.epoch - self.best_epoch == patience

    def restore(self) -> None:
        """Go back to the best epoch's weights."""
        for own, best in zip(self.weights, self.best_weights, strict=bool(self.best_weights)):
            own.copy_(best)


def _train(trials: Sequence[_Trial], network: DNNClassifier) -> None:
    n = len(trials[0].X)
    size = min(network.batch_size or n, n)
    going = list(trials)
    steps: dict[int, _Step] = {}
    step = torch.zeros(())
    for epoch in range(1, network.max_epochs + 1):
        orders = [_order(trial, n, size) for trial in going]
        labels = [t.y[order] for t, order in zip(going, orders, strict=True)]
        # The gradient of the mean cross-entropy with regard to logarithms, but for its size.
        target = -torch.nn.functional.one_hot(torch.stack(labels), 2).to(torch.float32)
        for first in range(0, n, size):
            rows = slice(first, min(first + size, n))
            count = rows.stop - first
            if count not in steps:
                steps[count] = _Step(going, network, count)
            # Rows are gathered by batch, for products can round by how their memory is aligned.
            inputs = [
                t.X.index_select(0, order[rows]) for t, order in zip(going, orders, strict=True)
            ]
            steps[count].take(inputs, target[:, rows] / count, step)
        stopped = []
        for trial in going:
            trial.epoch = epoch
            if network.stop_on is not None and trial.keep_best(network.patience):
                stopped.append(id(trial))
        if stopped:
            going = [trial for trial in going if id(trial) not in stopped]
            steps.clear()
        if not going:
            return


def _order(trial: _Trial, n: int, size: int) -> torch.Tensor:
    return torch.arange(n) if size >= n else torch.randperm(n, generator=trial.stream)


def _aligned(trials: int, rows: int, columns: int) -> torch.Tensor:
    """Take memory for a matrix by trial, each beginning where memory is aligned to 64 bytes."""
    padded = -(-rows * columns // 16) * 16
    return torch.empty(trials, padded)[:, : rows * columns].unflatten(1, (rows, columns))


class _Step:
    """One step of several trials on batches of one size; memory is taken once.

    All lists are by layer, and tensors have a row of matrices by trial.
    """

    def __init__(self, trials: Sequence[_Trial], network: DNNClassifier, count: int):
        self.network = network
        self.streams = [trial.stream for trial in trials]
        weights = [trial.weights for trial in trials]
        self.matrices = [list(own) for own in zip(*(w[::2] for w in weights), strict=True)]
        self.biases = [list(own) for own in zip(*(w[1::2] for w in weights), strict=True)]
        self.transposed = [[w.t() for w in own] for own in self.matrices]
        widths = [len(own[0]) for own in self.biases]
        shapes = [(len(trials), count, width) for width in widths]
        self.values = [_aligned(*shape) for shape in shapes]
        self.dropped = [_aligned(*shape) for shape in shapes]
        self.noise = [_aligned(*shape) for shape in shapes]
        self.slopes = [_aligned(*shape) for shape in shapes]
        self.by_trial = {
            kind: [list(stacked.unbind()) for stacked in getattr(self, kind)]
            for kind in ("values", "dropped", "noise", "slopes")
        }
        last = len(shapes) - 1
        self.drops = [
            bool(network.dropout) and (layer < last or network.dropout_on_output)
            for layer in range(len(shapes))
        ]
        gradients = [[torch.empty_like(w) for w in own] for own in weights]
        self.gradients = [list(own) for own in zip(*(g[::2] for g in gradients), strict=True)]
        self.sums = [list(own) for own in zip(*(g[1::2] for g in gradients), strict=True)]
        self.flat: tuple[Tensors, ...] = tuple(
            [tensor for own in which for tensor in own]
            for which in (
                weights,
                gradients,
                *zip(*(trial.averages for trial in trials), strict=True),
            )
        )

    def take(self, inputs: Tensors, target: torch.Tensor, step: torch.Tensor) -> None:
        """Pass forward and backward, and let Adam change the weights."""
        below = [inputs]
        for layer in range(len(self.values)):
            below.append(self._forward(layer, below[-1]))
        output = self.dropped[-1] if self.drops[-1] else self.values[-1]
        if self.network.softmax:
            output = torch.softmax(output, dim=2)
        logarithms = torch.log_softmax(output, dim=2)
        slope = torch.ops.aten._log_softmax_backward_data(target, logarithms, 2, torch.float32)
        if self.network.softmax:
            slope = torch.ops.aten._softmax_backward_data(slope, output, 2, torch.float32)
        self.slopes[-1].copy_(slope)
        for layer in reversed(range(len(self.values))):
            self._backward(layer, below[layer])
        step += 1
        # What `torch.optim.Adam(fused=True)` calls; its own preparations would take longer.
        torch.ops.aten._fused_adam_(
            *self.flat, [], [step] * len(self.flat[0]),
            lr=self.network.learning_rate, weight_decay=self.network.weight_decay,
            beta1=0.9, beta2=0.999, eps=1e-8, amsgrad=False, maximize=False,
        )  # fmt: skip

    def _forward(self, layer: int, inputs: Tensors) -> Tensors:
        """Give a layer's outputs by trial."""
        own = zip(
            self.by_trial["values"][layer],
            self.biases[layer],
            inputs,
            self.transposed[layer],
            strict=True,
        )
        for z, bias, x, matrix in own:
            torch.addmm(bias, x, matrix, out=z)
        values = self.values[layer]
        if layer < len(self.values) - 1:
            values.relu_()
        if not self.drops[layer]:
            return self.by_trial["values"][layer]
        for mask, stream in zip(self.by_trial["noise"][layer], self.streams, strict=True):
            mask.bernoulli_(1 - self.network.dropout, generator=stream)
        noise = self.noise[layer].div_(1 - self.network.dropout)
        torch.mul(values, noise, out=self.dropped[layer])
        return self.by_trial["dropped"][layer]

    def _backward(self, layer: int, inputs: Tensors) -> None:
        """Give gradients from the slope at a layer's outputs, and the slope below it."""
        slope = self.slopes[layer]
        if self.drops[layer]:
            slope.mul_(self.noise[layer])
        if layer < len(self.values) - 1:
            torch.ops.aten.threshold_backward(slope, self.values[layer], 0, grad_input=slope)
        own = self.by_trial["slopes"][layer]
        for s, x, gradient, sums in zip(
            own, inputs, self.gradients[layer], self.sums[layer], strict=True
        ):
            torch.mm(s.t(), x, out=gradient)
            torch.sum(s, 0, out=sums)
        if layer:
            below = self.by_trial["slopes"][layer - 1]
            for z, s, matrix in zip(below, own, self.matrices[layer], strict=True):
                torch.mm(s, matrix, out=z)
