"""Logistic regression as a scikit-learn estimator."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from pixelry.logistic.functions import Array, Objective, probabilities
from pixelry.logistic.solvers import SOLVERS, Options

# Work of one pass, in multiplications, up to which Newton's few exact steps are quickest.
NEWTON_WORK = 2_000_000


class LogisticRegression(ClassifierMixin, BaseEstimator):
    """Binary and multinomial logistic regression with an L2 penalty, in NumPy.

    Minimises the sum of the cross-entropies plus the squared weights over 2 C, as scikit-learn's class of the same
    name does; the bias is not penalised. Two classes have one column of weights and the sigmoid, more have one column
    each and the softmax.

    Args:
        C: Inverse of the penalty's strength, above 0; `float("inf")` for none.
        solver: "gradient_descent" (full batch), "sgd" (mini-batches with Nesterov momentum), "newton" (truncated),
            "lbfgs", or "auto": newton for small problems, lbfgs for large ones.
        fit_intercept: Whether there is a bias.
        max_iter: Iterations at most; of "sgd" epochs.
        tol: A solver stops when no entry of the gradient of the mean loss is larger.
        learning_rate: Of the two gradient methods; None takes the largest that is safe.
        batch_size: Samples a step of "sgd".
        momentum: Of "sgd", in [0, 1).
        random_state: Of the order of samples in "sgd".

    Attributes:
        coef_: Weights, (1, D) for two classes, else (K, D).
        intercept_: Biases, (1,) or (K,).
        classes_: The labels, sorted.
        n_iter_: Iterations taken.
        loss_curve_: The mean objective at the start and after each iteration, in nats.
        n_features_in_: D.

    Examples:
        >>> X = np.array([[0.0], [1.0], [2.0], [3.0]])
        >>> model = LogisticRegression().fit(X, ["low", "low", "high", "high"])
        >>> model.predict([[0.2], [2.8]])
        array(['low', 'high'], dtype='<U4')
    """

    def __init__(
        self,
        *,
        C: float = 1.0,  # noqa: N803 (scikit-learn's name)
        solver: str = "auto",
        fit_intercept: bool = True,
        max_iter: int = 500,
        tol: float = 1e-6,
        learning_rate: float | None = None,
        batch_size: int = 128,
        momentum: float = 0.9,
        random_state: Any = None,
    ) -> None:
        self.C = C
        self.solver = solver
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.momentum = momentum
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LogisticRegression:  # noqa: N803
        """Fit to features (N, D) and labels (N,) of any type.

        Args:
            X: Finite numbers; float32 is computed in single precision, anything else in double.
            y: At least two classes.
            sample_weight: (N,), how often each sample counts; by default once.

        Raises:
            ValueError: An option out of range, features that are not finite, or fewer than two classes.

        Warns:
            ConvergenceWarning: `max_iter` was reached first.
        """
        self._check_options()
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32])  # noqa: N806
        check_classification_targets(y)
        weights = _check_sample_weight(sample_weight, X, dtype=X.dtype, ensure_non_negative=True)
        self.classes_, index = np.unique(y, return_inverse=True)
        counted = np.unique(index[weights > 0])
        if len(self.classes_) < 2 or len(counted) < 2:
            raise ValueError(
                f"logistic regression needs samples of at least 2 classes; got one class: {self.classes_[counted][:1]}"
            )
        total = float(weights.sum(dtype=np.float64))
        objective = Objective(
            X, _targets(index, X.dtype), weights / X.dtype.type(total), 1 / (self.C * total), self.fit_intercept
        )
        self._solve(objective)
        return self

    def _solve(self, objective: Objective) -> None:
        name = self.solver
        if name == "auto":
            work = objective.features.size * objective.shape[1]
            name = "newton" if work <= NEWTON_WORK and objective.features.dtype == np.float64 else "lbfgs"
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        random = np.random.default_rng(seed)
        options = Options(self.max_iter, self.tol, self.learning_rate, self.batch_size, self.momentum, random)
        solution = SOLVERS[name](objective, options)
        theta = solution.theta.T
        self.coef_ = theta[:, :-1] if self.fit_intercept else theta
        self.intercept_ = theta[:, -1] if self.fit_intercept else np.zeros(len(theta), theta.dtype)
        self.loss_curve_ = solution.losses
        self.n_iter_ = max(1, len(solution.losses) - 1)
        if not solution.converged:
            warnings.warn(
                f"{name} stopped after {self.n_iter_} iterations before its gradient fell to tol={self.tol:g}: raise "
                "max_iter, scale the features to like size, or accept it with a larger tol",
                ConvergenceWarning,
                stacklevel=3,
            )

    def _check_options(self) -> None:
        if self.solver != "auto" and self.solver not in SOLVERS:
            raise ValueError(f"unknown solver '{self.solver}'; expected auto, {', '.join(SOLVERS)}")
        for name in ("C", "max_iter", "batch_size"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be above 0")
        if self.learning_rate is not None and not self.learning_rate > 0:
            raise ValueError(f"learning_rate is {self.learning_rate}; it must be above 0, or None")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum is {self.momentum}; it must be at least 0 and below 1")
        if not self.tol >= 0:
            raise ValueError(f"tol is {self.tol}; it must be 0 or more")

    def _scores(self, X: Any) -> Array:  # noqa: N803
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=[np.float64, np.float32])  # noqa: N806
        return np.asarray(X @ self.coef_.T + self.intercept_)

    def decision_function(self, X: Any) -> Array:  # noqa: N803
        """Return the scores: (N,) for two classes, positive for the second; else (N, K)."""
        scores = self._scores(X)
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def predict_proba(self, X: Any) -> Array:  # noqa: N803
        """Return the probability of each class, (N, K)."""
        p = probabilities(self._scores(X))
        return np.hstack([1 - p, p]) if p.shape[1] == 1 else p

    def predict(self, X: Any) -> Array:  # noqa: N803
        """Return the most probable label of each sample, (N,)."""
        scores = self._scores(X)
        index = (scores[:, 0] > 0).astype(int) if scores.shape[1] == 1 else scores.argmax(1)
        labels: Array = self.classes_[index]
        return labels


def _targets(index: Array, dtype: Any) -> Array:
    """Return one column of 0 and 1 for two classes, else a column each."""
    count = int(index.max()) + 1
    if count == 2:
        return index[:, None].astype(dtype)
    return np.eye(count, dtype=dtype)[index]
