"""Distances between sets of features: against closed forms, plain loops and other libraries."""

from __future__ import annotations

import doctest
from collections.abc import Callable

import numpy as np
import pytest
import scipy.linalg
import torch
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors
from torch import Tensor
from torchmetrics.image.fid import _compute_fid
from torchmetrics.image.kid import poly_mmd

from pixelry import distances
from pixelry.distances import frechet_distance, kernel_distance, nearest, precision_recall, total_variation
from pixelry.errors import UsageError

PAIRS = [frechet_distance, kernel_distance, precision_recall, nearest]


def draw(rows: int, width: int, seed: int, *, scale: float = 1.0, shift: float = 0.0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(shift, scale, (rows, width)))


def with_moments(mean: Tensor, root: Tensor, *, rows: int = 60, seed: int = 0) -> Tensor:
    """Return rows whose mean, and unbiased covariance root.T @ root, are exactly those given."""
    drawn = draw(rows, len(mean), seed)
    white: Tensor = torch.linalg.qr(drawn - drawn.mean(0)).Q * (rows - 1) ** 0.5
    return white @ root + mean


def naive_precision_recall(real: Tensor, made: Tensor, neighbours: int) -> tuple[float, float]:
    def covered(rows: Tensor, by: Tensor) -> float:
        radii = np.sort(cdist(by, by), axis=1)[:, neighbours]
        return float((cdist(rows, by) <= radii).any(1).mean())

    return covered(made, real), covered(real, made)


def test_examples() -> None:
    assert doctest.testmod(distances).failed == 0


@pytest.mark.parametrize(("rows", "others", "width"), [(40, 40, 1), (50, 30, 5), (80, 200, 20)])
def test_frechet_agrees_with_the_formula_and_torchmetrics(rows: int, others: int, width: int) -> None:
    a, b = draw(rows, width, 0), draw(others, width, 1, scale=1.5, shift=0.3)
    b[:, 0] += b[:, -1]  # covariances that do not commute
    cov_a, cov_b = (np.cov(x.numpy(), rowvar=False).reshape(width, width) for x in (a, b))
    root = np.real(scipy.linalg.sqrtm(cov_a @ cov_b))
    means = a.mean(0), b.mean(0)
    formula = float((means[0] - means[1]).square().sum()) + np.trace(cov_a + cov_b - 2 * root)
    theirs = _compute_fid(means[0], torch.from_numpy(cov_a), means[1], torch.from_numpy(cov_b))
    assert frechet_distance(a, b) == pytest.approx(formula, rel=1e-9)
    assert frechet_distance(a, b) == pytest.approx(float(theirs), rel=1e-9)
    assert frechet_distance(b, a) == pytest.approx(frechet_distance(a, b), rel=1e-9)


def test_frechet_of_equal_covariances_is_the_squared_distance_of_the_means() -> None:
    a = draw(50, 6, 0)
    assert frechet_distance(a, a + torch.arange(6)) == pytest.approx(55, rel=1e-10)
    # Few rows in many dimensions: the same holds where covariances are singular.
    few = draw(8, 40, 1)
    assert frechet_distance(few, few + 0.5) == pytest.approx(10, rel=1e-10)


def test_frechet_of_diagonal_covariances_compares_standard_deviations() -> None:
    mean = torch.zeros(4, dtype=torch.float64), torch.tensor([0.0, 1, 2, 0], dtype=torch.float64)
    std = torch.tensor([1.0, 2, 3, 0], dtype=torch.float64), torch.tensor([2.0, 2, 0.5, 0.1], dtype=torch.float64)
    a, b = (with_moments(mean[k], torch.diag(std[k]), seed=k) for k in (0, 1))
    expected = 5 + float((std[0] - std[1]).square().sum())
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("rows", "others"), [(2, 2), (10, 25), (25, 10), (100, 10)])
def test_frechet_of_singular_covariances_is_exact(rows: int, others: int) -> None:
    a, b = draw(rows, 60, 0), draw(others, 60, 1)
    # The trace of the root is the sum of the singular values of the product of the centred rows.
    x, y = ((z - z.mean(0)) / (len(z) - 1) ** 0.5 for z in (a, b))
    trace = float(torch.linalg.svdvals(x @ y.T).sum())
    means = float((a.mean(0) - b.mean(0)).square().sum())
    expected = means + float(x.square().sum() + y.square().sum()) - 2 * trace
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("rows", "width"), [(2, 1), (5, 30), (50, 10)])
def test_frechet_of_a_set_to_itself_is_zero_and_never_below(rows: int, width: int) -> None:
    for seed in range(5):
        a = draw(rows, width, seed)
        assert 0 <= frechet_distance(a, a) < 1e-10
        flat = draw(20, 2, seed) @ draw(2, 12, seed + 9)  # a plane: of lower rank than rows and columns allow
        assert 0 <= frechet_distance(flat, flat.flip(0)) < 1e-5
    assert frechet_distance(torch.ones(4, 3), torch.ones(5, 3)) == 0


def naive_kernel_distance(a: Tensor, b: Tensor) -> float:
    def kernel(x: Tensor, y: Tensor) -> float:
        return (float(x @ y) / len(x) + 1) ** 3

    def inside(rows: Tensor) -> float:
        values = [kernel(x, y) for i, x in enumerate(rows) for j, y in enumerate(rows) if i != j]
        return sum(values) / len(values)

    between = [kernel(x, y) for x in a for y in b]
    return inside(a) + inside(b) - 2 * sum(between) / len(between)


@pytest.mark.parametrize(("rows", "others", "width"), [(2, 2, 1), (9, 14, 3), (20, 11, 40)])
def test_kernel_distance_agrees_with_the_double_loop(rows: int, others: int, width: int) -> None:
    a, b = draw(rows, width, 0), draw(others, width, 1, shift=0.5)
    assert kernel_distance(a, b) == pytest.approx(naive_kernel_distance(a, b), rel=1e-10, abs=1e-12)


def test_kernel_distance_agrees_with_torchmetrics() -> None:
    a, b = draw(60, 8, 0), draw(60, 8, 1, scale=1.3)
    assert kernel_distance(a, b) == pytest.approx(float(poly_mmd(a, b)), rel=1e-10)


def test_kernel_distance_is_unbiased() -> None:
    values = np.array([kernel_distance(draw(10, 4, 2 * k), draw(15, 4, 2 * k + 1)) for k in range(400)])
    error = values.std() / len(values) ** 0.5
    assert abs(values.mean()) < 3 * error
    assert values.min() < 0
    # Rows paired with themselves, the biased estimate, would raise the mean by more than 1.
    assert error < 0.05
    assert kernel_distance(draw(500, 4, 0), draw(500, 4, 1, shift=1)) > 1


def test_precision_and_recall_of_known_cases() -> None:
    a = draw(40, 5, 0)
    assert precision_recall(a, a) == (1, 1)
    assert precision_recall(a, a + 100) == (0, 0)
    modes = torch.cat([draw(20, 5, k, shift=50.0 * k) for k in range(4)])
    assert precision_recall(modes, modes[:20]) == (1, 0.25)
    assert precision_recall(modes[:20], modes) == (0.25, 1)


@pytest.mark.parametrize("neighbours", [1, 3, 7])
def test_precision_and_recall_agree_with_all_pairs(neighbours: int) -> None:
    real, made = draw(70, 3, 0), draw(50, 3, 1, scale=0.7, shift=1.2)
    expected = naive_precision_recall(real, made, neighbours)
    assert precision_recall(real, made, neighbours=neighbours) == pytest.approx(expected)
    assert 0 < expected[1] < expected[0] < 1


def test_spheres_hold_what_lies_on_them() -> None:
    # Copies of copies lie on spheres of radius 0, and neighbours on a grid at exactly the radius.
    rows = draw(30, 200, 0, scale=10).repeat_interleave(5, 0)
    assert precision_recall(rows, rows[:70]) == (1, 70 / 150)
    steps = 0.1 * torch.arange(9, dtype=torch.float64)
    assert precision_recall(torch.cartesian_prod(steps, steps), torch.cartesian_prod(steps, steps + 0.1)) == (1, 1)
    assert precision_recall(torch.full((6, 4), 0.1), torch.full((7, 4), 0.1 + 1e-3)) == (0, 0)


def test_precision_and_recall_do_not_depend_on_where_zero_is() -> None:
    real, made = draw(60, 3, 0), draw(50, 3, 1, scale=0.7, shift=0.8)
    assert precision_recall(real + 1e7, made + 1e7) == precision_recall(real, made)


def test_nearest_agrees_with_scikit_learn() -> None:
    a, b = draw(50, 6, 0, shift=10), draw(80, 6, 1, shift=10)
    expected, which = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(b.numpy()).kneighbors(a.numpy())
    distance, index = nearest(a, b)
    np.testing.assert_allclose(distance, expected[:, 0], rtol=1e-10)
    np.testing.assert_array_equal(index, which[:, 0])
    assert (distance.dtype, index.dtype) == (torch.float64, torch.int64)


def test_nearest_finds_copies_exactly() -> None:
    b = draw(40, 30, 0, shift=1e4).float()
    distance, index = nearest(b.flip(0), b)
    assert not distance.any()
    assert index.equal(torch.arange(40).flip(0))


def test_total_variation_of_known_histograms() -> None:
    p = torch.tensor([3, 0, 1])
    assert total_variation(p, 7 * p) == 0
    assert total_variation(p, torch.tensor([0, 9, 0])) == 1
    assert total_variation(p, torch.tensor([0.25, 0.25, 0.5])) == pytest.approx(0.5)
    assert total_variation(torch.tensor([True, False]), torch.tensor([1, 1], dtype=torch.uint8)) == 0.5


@pytest.mark.parametrize(
    ("p", "q", "message"),
    [
        ([1, 2], [1, 2, 3], r"shapes \(2,\) and \(3,\); expected \(K,\)"),
        ([[1, 2]], [[1, 2]], r"expected \(K,\)"),
        ([1, 2], [0, 0], "q has no counts above 0"),
        ([], [], "p has no counts above 0"),
        ([1, -2], [1, 2], "p has counts that are negative or not finite"),
        ([1, 2], [1, float("nan")], "q has counts that are negative or not finite"),
    ],
)
def test_histograms_that_are_none(p: list[float], q: list[float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        total_variation(torch.tensor(p), torch.tensor(q))


@pytest.mark.parametrize("block", [1, 100, 333])
def test_results_do_not_depend_on_the_blocks(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = draw(23, 4, 0), draw(31, 4, 1)
    whole = kernel_distance(a, b), precision_recall(a, b), nearest(a, b)
    monkeypatch.setattr(distances, "BLOCK", block)
    assert kernel_distance(a, b) == pytest.approx(whole[0], rel=1e-10)
    assert precision_recall(a, b) == whole[1]
    for ours, theirs in zip(nearest(a, b), whole[2], strict=True):
        assert ours.equal(theirs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("function", PAIRS)
def test_any_float_is_computed_in_float64(function: Callable[..., object], dtype: torch.dtype) -> None:
    a, b = draw(12, 3, 0).to(dtype).requires_grad_(), draw(15, 3, 1).to(dtype)
    before = a.detach().clone()
    ours, doubles = function(a, b), function(a.detach().double(), b.double())
    assert str(ours) == str(doubles)
    assert a.equal(before)


@pytest.mark.parametrize("function", PAIRS)
def test_features_that_are_none(function: Callable[..., object]) -> None:
    good, bad = torch.rand(6, 3), torch.rand(6, 3)
    bad[2, 1], bad[3, 0] = float("nan"), float("inf")
    for a, b, message in (
        (good, bad, "has 2 NaN or infinite values"),
        (bad, good, "has 2 NaN or infinite values"),
        (good, good[:, :2], "has 3 columns and (b|made) 2; expected equally many"),
        (good, good[:0], r"has 0 rows; expected \d or more"),
        (good[0], good, r"float32 of shape \(3,\); expected floats \(rows, features\)"),
        (good, good[:, :0], r"of shape \(6, 0\); expected floats"),
        (good, good.int(), r"int32 of shape \(6, 3\); expected floats"),
    ):
        with pytest.raises(UsageError, match=message):
            function(a, b)


def test_too_few_rows() -> None:
    rows = torch.rand(3, 2)
    for function in (frechet_distance, kernel_distance):
        with pytest.raises(UsageError, match="b has 1 row; expected 2 or more"):
            function(rows, rows[:1])
    with pytest.raises(UsageError, match="real has 3 rows; expected 4 or more"):
        precision_recall(rows, rows)
    with pytest.raises(UsageError, match="neighbours is 0; expected 1 or more"):
        precision_recall(rows, rows, neighbours=0)
