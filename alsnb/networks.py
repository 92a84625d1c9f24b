"""The paper's small feed-forward networks, trained through skorch.

Turrisi et al., section 2.4: a network of 3 layers with 50, 3 and 2 neurons, dropout 0.2
"after each layer", cross-entropy, Adam with a learning rate of 1e-3, an L2 penalty of 1e-3,
at most 200 epochs and early stopping with a patience of 50, on the F1 score of the training
set (DNNt) or on a validation set of 20 % of it (DNNv).

What the text leaves open, and what is done here:

* activation: ReLU, as in the authors' released ``models.py``;
* dropout after *each* layer, taken literally, includes the two outputs
  (``dropout_on_output=False`` leaves them alone);
* batch size: 32, a common default. The authors' released loops pass the whole training set
  at once (``batch_size=None``); with the paper's 3-neuron layer some initial weights then
  never leave a constant prediction;
* what DNNv watches: the F1 score of the validation set, as their released loop does. The
  split is stratified and taken from the training set as it reaches the network, that is after
  SMOTE, so some validation rows are synthetic;
* the weights of the best epoch are restored, as in their released loop. They are kept in
  memory: nothing is written to or read from a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import check_is_fitted
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, EarlyStopping
from skorch.dataset import Dataset
from skorch.helper import predefined_split

from .errors import CohortError, ParameterError

PAPER_HIDDEN = (50, 3)
"""Hidden layers of the paper's network; its third layer is the two outputs."""


Rows = tuple[NDArray[np.float32], NDArray[np.int64]]


class FeedForward(torch.nn.Module):
    """Fully connected layers with ReLU and dropout, two outputs.

    Parameters
    ----------
    n_features : int
        Number of inputs.
    hidden : tuple of int, default (50, 3)
        Neurons of the hidden layers.
    dropout : float, default 0.2
        Probability with which an activation is dropped after each layer.
    dropout_on_output : bool, default True
        Drop the two outputs as well, as "after each layer" reads literally.
    softmax : bool, default False
        End with a softmax, which the released scripts then feed to a cross-entropy that
        applies a second one.
    """

    def __init__(
        self,
        n_features: int,
        hidden: tuple[int, ...] = PAPER_HIDDEN,
        dropout: float = 0.2,
        dropout_on_output: bool = True,
        softmax: bool = False,
    ):
        super().__init__()
        layers: list[torch.nn.Module] = []
        width = n_features
        for neurons in hidden:
            layers += [torch.nn.Linear(width, neurons), torch.nn.ReLU()]
            if dropout:
                layers.append(torch.nn.Dropout(dropout))
            width = neurons
        layers.append(torch.nn.Linear(width, 2))
        if dropout and dropout_on_output:
            layers.append(torch.nn.Dropout(dropout))
        if softmax:
            layers.append(torch.nn.Softmax(dim=1))
        self.layers = torch.nn.Sequential(*layers)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Map (rows, features) to (rows, 2) logits, or probabilities with ``softmax``."""
        return self.layers(X)


class TensorBatches:
    """Batches cut from whole tensors, in place of a torch ``DataLoader``.

    A DataLoader collects a batch row by row in Python, which at this size takes longer than
    the step itself.

    Parameters
    ----------
    dataset : skorch.dataset.Dataset
        Holds ``X`` and ``y`` as arrays.
    batch_size : int, default -1
        Rows per batch; -1 takes all rows at once.
    shuffle : bool, default False
        Draw a new order at each pass, from torch's generator.
    """

    def __init__(self, dataset: Dataset, batch_size: int = -1, shuffle: bool = False):
        self.X = torch.as_tensor(dataset.X)
        # skorch predicts through the same class, with no labels.
        self.y = torch.zeros(len(self.X)) if dataset.y is None else torch.as_tensor(dataset.y)
        self.batch_size = len(self.X) if batch_size == -1 else batch_size
        self.shuffle = shuffle

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        if self.batch_size >= len(self.X):
            yield self.X, self.y
            return
        n = len(self.X)
        order = torch.randperm(n) if self.shuffle else torch.arange(n)
        for rows in order.split(self.batch_size):
            yield self.X[rows], self.y[rows]


def f1(predicted: NDArray[np.int64], y: NDArray[np.int64]) -> float:
    """Return the F1 score of class 1; 0 where it is neither there nor predicted.

    Parameters
    ----------
    predicted, y : numpy.ndarray of int, shape (rows,)
        Classes, 0 or 1.

    Returns
    -------
    float
        2 TP / (2 TP + FP + FN). scikit-learn's checks would cost more than an epoch.
    """
    true_positives = int(((predicted == 1) & (y == 1)).sum())
    named = int((predicted == 1).sum() + (y == 1).sum())
    return 2 * true_positives / named if named else 0.0


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread: two are several times slower on networks this small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class F1Monitor(Callback):
    """Record after each epoch the F1 score, dropout off, of a fixed set of rows.

    Parameters
    ----------
    X : numpy.ndarray of float32, shape (rows, features)
        The rows to score.
    y : numpy.ndarray of int, shape (rows,)
        Their labels; 1 is the positive class.
    """

    def __init__(self, X: NDArray[np.float32], y: NDArray[np.int64]):
        self.X = X
        self.y = y

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Write the score to the history as ``monitored_f1``."""
        with torch.no_grad():
            net.module_.eval()
            predicted = net.module_(torch.from_numpy(self.X)).argmax(dim=1).numpy()
        net.history.record("monitored_f1", f1(predicted, self.y))


class DNNClassifier(ClassifierMixin, BaseEstimator):
    """A feed-forward network as a scikit-learn classifier, deterministic by its seed.

    Parameters
    ----------
    hidden : tuple of int, default (50, 3)
        Neurons of the hidden layers.
    dropout : float, default 0.2
        Dropout probability; 0 for none.
    dropout_on_output : bool, default True
        Drop outputs too.
    softmax : bool, default False
        Softmax before the cross-entropy (released scripts).
    learning_rate : float, default 1e-3
        Adam's step.
    weight_decay : float, default 1e-3
        Adam's L2 penalty, on all weights and biases.
    max_epochs : int, default 200
        Most passes over the training set.
    patience : int, default 50
        Epochs without a better F1 score after which training stops.
    stop_on : {"training", "validation", None}, default "training"
        Rows whose F1 score decides when to stop; None trains for ``max_epochs`` and keeps
        the last weights.
    validation_fraction : float, default 0.2
        Share of the training rows set aside, stratified, for ``stop_on="validation"``.
    batch_size : int or None, default 32
        Rows per step; None takes the whole training set.
    warm_start : bool, default False
        Go on from the weights of the previous fit, with a fresh optimiser (released scripts).
    seed : int, default 0
        Seeds initial weights, dropout, the batches and the validation split.

    Attributes
    ----------
    net_ : skorch.NeuralNetClassifier
        The trained network.
    best_epoch_ : int
        Epoch, from 1, whose weights are kept.
    n_epochs_ : int
        Epochs trained.
    """

    def __init__(
        self,
        *,
        hidden: tuple[int, ...] = PAPER_HIDDEN,
        dropout: float = 0.2,
        dropout_on_output: bool = True,
        softmax: bool = False,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-3,
        max_epochs: int = 200,
        patience: int = 50,
        stop_on: Literal["training", "validation"] | None = "training",
        validation_fraction: float = 0.2,
        batch_size: int | None = 32,
        warm_start: bool = False,
        seed: int = 0,
    ):
        self.hidden = hidden
        self.dropout = dropout
        self.dropout_on_output = dropout_on_output
        self.softmax = softmax
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.max_epochs = max_epochs
        self.patience = patience
        self.stop_on = stop_on
        self.validation_fraction = validation_fraction
        self.batch_size = batch_size
        self.warm_start = warm_start
        self.seed = seed

    net_: NeuralNetClassifier

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
        DNNClassifier
            This object, trained.

        Raises
        ------
        ParameterError
            ``stop_on`` is none of the three.
        CohortError
            Labels other than 0 and 1, or too few rows to set a validation set aside.
        """
        rows, labels = self.checked(X, y)
        self.classes_ = np.array([0, 1])
        self.n_features_in_ = rows.shape[1]
        previous = None
        if self.warm_start and hasattr(self, "net_"):
            previous = self.net_.module_.state_dict()
        # The caller's random state stays as it was.
        with one_thread(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self.net_ = self._train(rows, labels, previous)
        self.n_epochs_ = len(self.net_.history)
        stopper = dict(self.net_.callbacks_).get("stop")
        self.best_epoch_ = stopper.best_epoch_ if stopper else self.n_epochs_
        return self

    def predict_proba(self, X: ArrayLike | pd.DataFrame) -> NDArray[np.float32]:
        """Return probabilities of class 0 and 1, shape (rows, 2)."""
        check_is_fitted(self, "net_")
        return self.net_.predict_proba(float32(X))

    def predict(self, X: ArrayLike | pd.DataFrame) -> NDArray[np.int64]:
        """Return the more probable class of each row, 0 or 1."""
        return self.predict_proba(X).argmax(axis=1)

    def module(self, n_features: int) -> FeedForward:
        """Return the network with fresh weights, drawn from torch's generator."""
        return FeedForward(**self._settings(n_features))

    def _settings(self, n_features: int) -> dict[str, Any]:
        return {
            "n_features": n_features,
            "hidden": tuple(self.hidden),
            "dropout": self.dropout,
            "dropout_on_output": self.dropout_on_output,
            "softmax": self.softmax,
        }

    def checked(
        self, X: ArrayLike | pd.DataFrame, y: ArrayLike
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return rows and labels as arrays, or raise what `fit` raises."""
        if self.stop_on not in ("training", "validation", None):
            raise ParameterError(
                f"stop_on is {self.stop_on!r}; expected 'training', 'validation' or None"
            )
        labels = np.asarray(y).astype(np.int64)
        if set(np.unique(labels)) != {0, 1}:
            raise CohortError(
                f"a network needs labels 0 and 1 in its training rows, found {np.unique(labels)}"
            )
        return float32(X), labels

    def set_aside(
        self, X: NDArray[np.float32], y: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], Rows]:
        """Return the rows to train on, their labels, and the rows and labels to watch."""
        if self.stop_on != "validation":
            return X, y, (X, y)
        try:
            X, X_valid, y, y_valid = train_test_split(
                X, y, test_size=self.validation_fraction, stratify=y, random_state=self.seed
            )
        except ValueError as error:
            raise CohortError(
                f"{len(y)} training rows are too few to set a stratified validation "
                f"set of {self.validation_fraction:.0%} aside: {error}"
            ) from error
        return X, y, (X_valid, y_valid)

    def _train(
        self,
        X: NDArray[np.float32],
        y: NDArray[np.int64],
        previous: dict[str, torch.Tensor] | None,
    ) -> NeuralNetClassifier:
        train_split = None
        callbacks: list[tuple[str, Callback]] = []
        X, y, watched = self.set_aside(X, y)
        if self.stop_on == "validation":
            train_split = predefined_split(Dataset(*watched))
        if self.stop_on is not None:
            callbacks = [
                ("f1", F1Monitor(*watched)),
                (
                    "stop",
                    EarlyStopping(
                        monitor="monitored_f1",
                        lower_is_better=False,
                        patience=self.patience,
                        # Any gain counts.
                        threshold=0.0,
                        threshold_mode="abs",
                        load_best=True,
                    ),
                ),
            ]
        net = NeuralNetClassifier(
            FeedForward,
            **{f"module__{key}": value for key, value in self._settings(X.shape[1]).items()},
            criterion=torch.nn.CrossEntropyLoss,
            optimizer=torch.optim.Adam,
            lr=self.learning_rate,
            optimizer__weight_decay=self.weight_decay,
            optimizer__fused=True,  # one kernel in place of many: faster steps, same maths
            max_epochs=self.max_epochs,
            batch_size=self.batch_size or -1,
            iterator_train=TensorBatches,
            iterator_train__shuffle=True,
            iterator_valid=TensorBatches,
            train_split=train_split,
            callbacks=callbacks,
            callbacks__valid_acc=None,
            callbacks__print_log=None,
            predict_nonlinearity=None if self.softmax else "auto",
            classes=[0, 1],
            verbose=0,
            device="cpu",
        )
        net.initialize()
        if previous is not None:
            net.module_.load_state_dict(previous)
        return net.partial_fit(X, y)


def float32(X: ArrayLike | pd.DataFrame) -> NDArray[np.float32]:
    """Return rows as torch takes them: contiguous, of single precision."""
    return np.ascontiguousarray(np.asarray(X), dtype=np.float32)
