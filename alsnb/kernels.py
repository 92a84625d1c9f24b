"""Kernel matrices with libsvm's own values, so that several machines can share one.

``sklearn.svm.SVC`` computes its kernel anew in every fit and again in every prediction. These are
the same operations in the same order (libsvm, ``svm.cpp``: ``Kernel::dot``, ``powi``,
``kernel_rbf`` and ``k_function``) on the same BLAS product, and so give the same bits where the
compiler keeps the order; a machine fitted with ``kernel="precomputed"`` then takes the same steps.
A matrix product would be faster still, but rounds otherwise.

The kernels are compiled by numba at the first call and kept on disk where it can write.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NAMES = ("linear", "poly", "rbf", "sigmoid")


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    try:
        return numba.njit(cache=True)(function)
    except RuntimeError:  # no folder to keep it in
        return numba.njit(function)


class Kernels:
    """Kernel matrices of one training set, and of rows to test against it.

    Parameters
    ----------
    X : numpy.ndarray of float64, shape (rows, features)
        Training rows, C-contiguous.
    X_test : numpy.ndarray of float64, shape (test rows, features)
        Rows to test.
    """

    def __init__(self, X: Floats, X_test: Floats):
        self._X, self._X_test = X, X_test
        self._products = _products(X)
        self._products_test: Floats | None = None
        self._distances_test: Floats | None = None

    def gamma_scale(self) -> float:
        """Return what ``gamma="scale"`` stands for."""
        variance = self._X.var()
        return 1.0 / (self._X.shape[1] * variance) if variance != 0 else 1.0

    def matrices(self, kernel: str, gamma: float, degree: int) -> tuple[Floats, Floats]:
        """Give the kernel among training rows, and between test and training rows.

        Parameters
        ----------
        kernel : {"linear", "poly", "rbf", "sigmoid"}
            As for ``sklearn.svm.SVC``, with ``coef0=0``.
        gamma : float
            Its scale.
        degree : int
            Of the polynomial.

        Returns
        -------
        train : numpy.ndarray of float64, shape (rows, rows)
        test : numpy.ndarray of float64, shape (test rows, rows)
        """
        if kernel == "rbf":
            # In training libsvm expands the squared distance, in prediction it does not.
            if self._distances_test is None:
                self._distances_test = _distances(self._X_test, self._X)
            return _rbf(self._products, gamma), _rbf_test(self._distances_test, gamma)
        if self._products_test is None:
            self._products_test = _products_test(self._X_test, self._X)
        if kernel == "linear":
            return self._products, self._products_test
        if kernel == "poly":
            train, test = (_power(d, gamma, degree) for d in (self._products, self._products_test))
            return train, test
        return _tanh(self._products, gamma), _tanh(self._products_test, gamma)


@_compiled
def _products(A: Floats) -> Floats:
    n = len(A)
    out = np.empty((n, n))
    for i in range(n):
        for j in range(i + 1):
            out[i, j] = out[j, i] = np.dot(A[i], A[j])
    return out


@_compiled
def _products_test(A: Floats, B: Floats) -> Floats:
    out = np.empty((len(A), len(B)))
    for i in range(len(A)):
        for j in range(len(B)):
            out[i, j] = np.dot(A[i], B[j])
    return out


@_compiled
def _distances(A: Floats, B: Floats) -> Floats:
    out = np.empty((len(A), len(B)))
    difference = np.empty(A.shape[1])
    for i in range(len(A)):
        for j in range(len(B)):
            for k in range(len(difference)):
                difference[k] = A[i, k] - B[j, k]
            out[i, j] = np.dot(difference, difference)
    return out


@_compiled
def _rbf(products: Floats, gamma: float) -> Floats:
    n = len(products)
    out = np.empty((n, n))
    for i in range(n):
        for j in range(i + 1):
            distance = products[i, i] + products[j, j] - 2 * products[i, j]
            out[i, j] = out[j, i] = math.exp(-gamma * distance)
    return out


@_compiled
def _rbf_test(distances: Floats, gamma: float) -> Floats:
    rows, columns = distances.shape
    out = np.empty((rows, columns))
    for i in range(rows):
        for j in range(columns):
            out[i, j] = math.exp(-gamma * distances[i, j])
    return out


@_compiled
def _power(products: Floats, gamma: float, degree: int) -> Floats:
    rows, columns = products.shape
    out = np.empty((rows, columns))
    for i in range(rows):
        for j in range(columns):
            factor, power, left = gamma * products[i, j], 1.0, degree
            while left > 0:
                if left % 2 == 1:
                    power *= factor
                factor *= factor
                left //= 2
            out[i, j] = power
    return out


@_compiled
def _tanh(products: Floats, gamma: float) -> Floats:
    rows, columns = products.shape
    out = np.empty((rows, columns))
    for i in range(rows):
        for j in range(columns):
            out[i, j] = math.tanh(gamma * products[i, j])
    return out
