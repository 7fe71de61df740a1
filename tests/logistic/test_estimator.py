"""Logistic regression against finite differences, SciPy and scikit-learn."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.special import expit, log_softmax
from scipy.special import softmax as scipy_softmax
from sklearn import linear_model
from sklearn.datasets import load_digits, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from pixelry.logistic import LogisticRegression, cross_entropy, plot_boundary, plot_cost, plot_weights, sigmoid, softmax
from pixelry.logistic.functions import Objective
from pixelry.logistic.solvers import SOLVERS, smoothness

RANDOM = np.random.default_rng(0)


def problem(classes: int, bias: bool = True) -> Objective:
    """Return a small weighted problem with soft targets."""
    random = np.random.default_rng(classes)
    features = random.normal(size=(30, 4)) * [1, 10, 0.1, 1]
    columns = 1 if classes == 2 else classes
    targets = random.random((30, columns))
    targets = targets if columns == 1 else targets / targets.sum(1, keepdims=True)
    weights = random.random(30)
    return Objective(features, targets, weights / weights.sum(), 0.1, bias)


def test_functions_equal_scipys_and_never_overflow() -> None:
    scores = np.concatenate([np.linspace(-30, 30, 101), [-1e4, 1e4]])
    np.testing.assert_allclose(sigmoid(scores), expit(scores), rtol=1e-14)
    table = RANDOM.normal(size=(20, 5)) * 1e4
    np.testing.assert_allclose(softmax(table), scipy_softmax(table, axis=1), atol=1e-15)
    targets = np.eye(5)[RANDOM.integers(5, size=20)]
    np.testing.assert_allclose(
        cross_entropy(table, targets), -(targets * log_softmax(table, axis=1)).sum(1), rtol=1e-12
    )
    assert cross_entropy(np.array([[1e4], [-1e4]]), np.array([[0.0], [1.0]])).tolist() == [1e4, 1e4]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("classes", [2, 3, 5])
def test_gradient_and_curvature_equal_finite_differences(classes: int, bias: bool) -> None:
    objective = problem(classes, bias)
    random = np.random.default_rng(1)
    theta = 0.3 * random.normal(size=objective.shape)
    value, gradient = objective.value_and_gradient(theta)
    numeric = approx_fprime(theta.ravel(), lambda t: objective.value_and_gradient(t.reshape(theta.shape))[0], 1e-7)
    np.testing.assert_allclose(gradient.ravel(), numeric, atol=2e-6)
    direction = random.normal(size=theta.shape)
    step = 1e-6 * direction
    change = objective.value_and_gradient(theta + step)[1] - objective.value_and_gradient(theta - step)[1]
    np.testing.assert_allclose(objective.curvature(theta, direction), change / 2e-6, atol=1e-6)
    assert value > 0


@pytest.mark.parametrize("classes", [2, 4])
def test_smoothness_bounds_every_curvature(classes: int) -> None:
    objective = problem(classes)
    bound, random = smoothness(objective), np.random.default_rng(2)
    for _ in range(50):
        theta, direction = (random.normal(size=objective.shape) for _ in range(2))
        direction /= np.linalg.norm(direction)
        assert np.vdot(direction, objective.curvature(theta, direction)) <= bound


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("solver", ["newton", "lbfgs", "gradient_descent"])
def test_the_optimum_is_scikit_learns(solver: str, classes: int, bias: bool) -> None:
    X, y = make_classification(200, 6, n_informative=4, n_classes=classes, random_state=1)
    weights = np.random.default_rng(0).integers(1, 4, 200).astype(float)
    theirs = linear_model.LogisticRegression(C=0.7, fit_intercept=bias, tol=1e-10, max_iter=10_000)
    theirs.fit(X, y, weights)
    ours = LogisticRegression(C=0.7, fit_intercept=bias, solver=solver, max_iter=20_000, tol=1e-8).fit(X, y, weights)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=2e-5)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-4)
    assert ours.coef_.shape == theirs.coef_.shape
    assert ours.score(X, y, weights) == theirs.score(X, y, weights)
    assert ours.loss_curve_[0] == pytest.approx(np.log(classes))
    assert all(after <= before + 1e-12 for before, after in zip(ours.loss_curve_, ours.loss_curve_[1:], strict=False))


def test_sgd_comes_near_and_is_repeatable() -> None:
    X, y = load_digits(return_X_y=True)
    X = X / 16
    best = LogisticRegression(solver="lbfgs", max_iter=2000, tol=1e-5).fit(X, y)
    with pytest.warns(ConvergenceWarning, match="sgd stopped after 40 iterations"):
        near = LogisticRegression(solver="sgd", max_iter=40, random_state=3).fit(X, y)
    with pytest.warns(ConvergenceWarning):
        again = LogisticRegression(solver="sgd", max_iter=40, random_state=3).fit(X, y)
    assert near.loss_curve_[-1] < 1.2 * best.loss_curve_[-1]
    assert np.array_equal(near.coef_, again.coef_)


def test_single_precision_is_kept_and_near() -> None:
    X, y = load_digits(return_X_y=True)
    double = LogisticRegression(solver="lbfgs", tol=1e-4).fit(X / 16, y)
    single = LogisticRegression(solver="lbfgs", tol=1e-4).fit((X / 16).astype(np.float32), y)
    assert single.coef_.dtype == np.float32
    assert single.loss_curve_[-1] == pytest.approx(double.loss_curve_[-1], rel=1e-4)


def test_scikit_learns_checks_pass() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the checks fit odd problems, and warn of it
        results: Any = check_estimator(LogisticRegression(), on_fail=None)
    failed = [(r["check_name"], r["exception"]) for r in results if r["status"] not in ("passed", "skipped")]
    assert not failed
    assert sum(r["status"] == "passed" for r in results) > 40


def test_it_works_in_pipelines_and_searches() -> None:
    X, y = make_classification(120, 5, random_state=0)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression()), {"logisticregression__C": [0.01, 1, 100]}, cv=3
    )
    assert search.fit(X, y).best_score_ > 0.8


def test_labels_of_any_type() -> None:
    X = np.array([[0.0], [1], [2], [3]])
    model = LogisticRegression().fit(X, ["no", "no", "yes", "yes"])
    assert model.predict([[-1.0], [5.0]]).tolist() == ["no", "yes"]
    assert (model.decision_function([[-1.0], [5.0]]) > 0).tolist() == [False, True]
    np.testing.assert_allclose(model.predict_proba(X).sum(1), 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"C": -1}, "C is -1; it must be above 0"),
        ({"solver": "magic"}, "unknown solver 'magic'; expected auto, gradient_descent"),
        ({"momentum": 1.0}, "momentum is 1"),
        ({"learning_rate": 0.0}, "learning_rate is 0"),
        ({"tol": -1.0}, "tol is -1"),
        ({"max_iter": 0}, "max_iter is 0"),
    ],
)
def test_options_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LogisticRegression(**options).fit([[0.0], [1.0]], [0, 1])


def test_one_class_and_nan_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 classes; got one class"):
        LogisticRegression().fit([[0.0], [1.0]], [1, 1])
    with pytest.raises(ValueError, match="NaN"):
        LogisticRegression().fit([[np.nan], [1.0]], [0, 1])


def test_stopping_early_is_said() -> None:
    X, y = make_classification(100, 4, random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"gradient_descent stopped after 3 iterations .* raise max_iter"):
        LogisticRegression(solver="gradient_descent", max_iter=3).fit(X, y)


def test_every_solver_is_listed() -> None:
    assert set(SOLVERS) == {"gradient_descent", "sgd", "newton", "lbfgs"}


def test_plots_show_what_was_fitted() -> None:
    X, y = make_classification(80, 2, n_redundant=0, n_informative=2, random_state=2020)
    model = LogisticRegression().fit(X, y)
    (line,) = plot_cost(model).axes[0].lines
    assert np.asarray(line.get_ydata()).tolist() == model.loss_curve_
    assert len(plot_boundary(model, X, y).axes[0].collections) >= 3
    digits, labels = load_digits(return_X_y=True)
    templates = LogisticRegression(tol=1e-3).fit(digits / 16, labels)
    figure = plot_weights(templates, (8, 8))
    shown = np.stack([np.asarray(axes.images[0].get_array()) for axes in figure.axes])
    np.testing.assert_allclose(shown.reshape(10, 64), templates.coef_)
    with pytest.raises(ValueError, match="2 features; the model has 64"):
        plot_boundary(templates, digits, labels)
    with pytest.raises(ValueError, match=r"64 weights a class; .* has 49"):
        plot_weights(templates, (7, 7))
