"""The solvers: each finds the minimum of an `Objective` from zero, and says how it went."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.sparse.linalg import LinearOperator, cg
from threadpoolctl import ThreadpoolController

from pixelry.logistic.functions import Array, Objective


@dataclass(frozen=True)
class Solution:
    """Where a solver arrived.

    Attributes:
        theta: The parameters.
        losses: The objective at the start and after each iteration.
        converged: Whether the largest entry of the gradient fell below the tolerance.
    """

    theta: Array
    losses: list[float]
    converged: bool


@dataclass(frozen=True)
class Options:
    """What the solvers may be told; each takes what it needs.

    Attributes:
        max_iter: Iterations, or epochs of `sgd`.
        tol: The largest entry of the gradient at which a solver stops.
        learning_rate: Step size of the two gradient methods; None takes 1 / L, see `smoothness`.
        batch_size: Samples a step of `sgd`.
        momentum: Of `sgd`, in [0, 1).
        random: Of the order of samples in `sgd`.
    """

    max_iter: int
    tol: float
    learning_rate: float | None
    batch_size: int
    momentum: float
    random: np.random.Generator


def smoothness(objective: Objective, iterations: int = 20) -> float:
    """Return L, the largest curvature that the objective can have anywhere.

    The Hessian is at most X^T X / 4 in the binary case and X^T X / 2 for the softmax (Boehning 1992), whose largest
    eigenvalue is found by power iteration; a tenth is added since that approaches it from below.
    """
    bound = 0.25 if objective.shape[1] == 1 else 0.5
    vector = np.ones((objective.shape[0], 1), objective.features.dtype)
    value = 0.0
    for _ in range(iterations):
        vector = objective.transposed(objective.weights[:, None] * objective.scores(vector))
        value = float(np.linalg.norm(vector))
        if value == 0:
            break
        vector /= value
    return 1.1 * bound * value + objective.l2 or 1.0


def gradient_descent(objective: Objective, options: Options) -> Solution:
    """Full-batch gradient descent: theta <- theta - rate * gradient, and nothing else."""
    rate = options.learning_rate or 1 / smoothness(objective)
    theta = np.zeros(objective.shape, objective.features.dtype)
    loss, gradient = objective.value_and_gradient(theta)
    losses = [loss]
    for _ in range(options.max_iter):
        if np.abs(gradient).max() <= options.tol:
            return Solution(theta, losses, True)
        theta = theta - rate * gradient
        loss, gradient = objective.value_and_gradient(theta)
        losses.append(loss)
    return Solution(theta, losses, bool(np.abs(gradient).max() <= options.tol))


def sgd(objective: Objective, options: Options) -> Solution:
    """Mini-batch gradient descent with Nesterov momentum (Sutskever et al. 2013), the rate falling to zero.

    With the rate falling linearly the noise of the batches dies away, so that the end is near the minimum.
    """
    count = len(objective.features)
    batch = min(options.batch_size, count)
    steps = -(-count // batch)
    peak = options.learning_rate or 1 / smoothness(objective)
    theta = np.zeros(objective.shape, objective.features.dtype)
    velocity = np.zeros_like(theta)
    losses = [objective.value_and_gradient(theta)[0]]
    gradient = theta
    for epoch in range(options.max_iter):
        order = options.random.permutation(count)
        for step in range(steps):
            rate = peak * (1 - (epoch * steps + step) / (options.max_iter * steps))
            rows = order[step * batch : (step + 1) * batch]
            if not objective.weights[rows].any():
                continue
            ahead = theta + options.momentum * velocity
            velocity = options.momentum * velocity - rate * objective.subset(rows).value_and_gradient(ahead)[1]
            theta = theta + velocity
        loss, gradient = objective.value_and_gradient(theta)
        losses.append(loss)
        if np.abs(gradient).max() <= options.tol:
            break
    return Solution(theta, losses, bool(np.abs(gradient).max() <= options.tol))


def newton(objective: Objective, options: Options) -> Solution:
    """Truncated Newton: the step solves H s = -g by conjugate gradients (Nocedal and Wright 2006, algorithm 7.1).

    The Hessian is never formed. The system is solved the more exactly the closer the minimum is, which gives
    superlinear convergence; a step that does not lower the loss enough is halved (Armijo).
    """
    theta = np.zeros(objective.shape, objective.features.dtype)
    loss, gradient = objective.value_and_gradient(theta)
    losses = [loss]
    for _ in range(options.max_iter):
        if np.abs(gradient).max() <= options.tol:
            return Solution(theta, losses, True)
        step = _newton_step(objective, theta, gradient)
        slope, size = float(np.vdot(gradient, step)), 1.0
        for _ in range(40):
            new_loss, new_gradient = objective.value_and_gradient(theta + size * step)
            # The last decimals of a sum are noise: at the minimum no step can lower it measurably.
            if new_loss <= loss + 1e-4 * size * slope + 1e-14 * abs(loss):
                break
            size /= 2
        theta, loss, gradient = theta + size * step, new_loss, new_gradient
        losses.append(loss)
    return Solution(theta, losses, bool(np.abs(gradient).max() <= options.tol))


def _newton_step(objective: Objective, theta: Array, gradient: Array) -> Array:
    def product(direction: Array) -> Array:
        return objective.curvature(theta, direction.reshape(theta.shape)).ravel()

    hessian = LinearOperator((theta.size, theta.size), matvec=product, dtype=theta.dtype)
    norm = float(np.linalg.norm(gradient))
    step, _ = cg(hessian, -gradient.ravel(), rtol=min(0.1, norm**0.5), maxiter=max(50, 2 * theta.shape[0]))
    step = step.reshape(theta.shape)
    # Along directions without curvature the system says nothing; downhill is always right.
    return step if np.vdot(gradient, step) < 0 else -gradient


def lbfgs(objective: Objective, options: Options) -> Solution:
    """Limited-memory BFGS by SciPy (Nocedal and Wright 2006, algorithm 7.5), on centred features.

    The bias takes the features' mean up, so the minimum is the same; but the pixels of a picture, which are never
    negative, no longer pull at the bias with every step, and the way is half as long.
    """
    shape, dtype = objective.shape, objective.features.dtype
    center = (objective.weights @ objective.features).astype(np.float64)[None] * float(objective.bias)
    losses = [objective.value_and_gradient(np.zeros(shape, dtype))[0]]
    largest = [float("inf")]  # entry of the latest gradient

    def theta_of(flat: Array) -> Array:
        variables = flat.reshape(shape)
        return (_shifted(variables, -center) if objective.bias else variables).astype(dtype)

    def function(flat: Array) -> tuple[float, Array]:
        loss, gradient = objective.value_and_gradient(theta_of(flat))
        largest[0] = float(np.abs(gradient).max())
        wide = gradient.astype(np.float64)
        if objective.bias:
            wide[:-1] -= center.T * wide[-1:]
        return loss, wide.ravel()

    def after(intermediate_result: object) -> None:
        losses.append(float(intermediate_result.fun))  # type: ignore[attr-defined]
        if largest[0] <= options.tol:
            raise StopIteration

    limits = {"maxiter": options.max_iter, "maxfun": 10 * options.max_iter, "gtol": 0.0, "ftol": 0.0}
    with _one_thread_for_scipy():
        found = minimize(function, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", callback=after, options=limits)
    theta = theta_of(found.x)
    gradient = objective.value_and_gradient(theta)[1]
    return Solution(theta, losses, bool(np.abs(gradient).max() <= options.tol))


def _shifted(theta: Array, shift: Array) -> Array:
    """Return theta with the bias that gives the same scores on features from which `shift` (1, D) was taken away."""
    return np.vstack([theta[:-1], theta[-1:] + shift @ theta[:-1]])


def _one_thread_for_scipy() -> AbstractContextManager[object]:
    """Keep SciPy's own copy of OpenBLAS to one thread.

    NumPy and SciPy bring a pool of threads each. SciPy's part here is a few short vectors, after which its threads wait
    at full load, on the cores that NumPy's large products want: a third of the time.
    """
    controller = ThreadpoolController()
    own = [library.filepath for library in controller.lib_controllers if "scipy.libs" in library.filepath]
    return controller.select(filepath=own).limit(limits=1)


Solver = Callable[[Objective, Options], Solution]
SOLVERS: dict[str, Solver] = {
    "gradient_descent": gradient_descent,
    "sgd": sgd,
    "newton": newton,
    "lbfgs": lbfgs,
}
