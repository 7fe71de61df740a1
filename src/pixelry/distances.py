"""How far made pictures are from real ones: pure functions over features.

Features are floats (N, D), one row for each picture. Everything is computed in float64, on the device of the first
argument, and without gradients. All pairs of 60,000 rows are 29 GB, so functions of pairs work through blocks of rows.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pixelry.errors import UsageError

# Numbers in one block of pairs: 64 MiB as float64. Results do not depend on it but for rounding.
BLOCK = 2**23
# Rounding of |x|² + |y|² - 2 x·y, as a share of |x|² + |y|²: with it a point on a sphere counts as inside.
SLACK = 1e-12


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Return the squared Fréchet distance between the Gaussians fitted to two sets of features.

    It is |mean a - mean b|² + tr(A + B - 2 (A B)^½) with the unbiased covariances A and B. The square root of A B has
    the trace of the one of A^½ B A^½, which is symmetric, so that nothing becomes complex where A or B is singular.

    Source: Heusel et al., "GANs trained by a two time-scale update rule converge to a local Nash equilibrium",
    NeurIPS 2017, eq. 6; Dowson and Landau, "The Fréchet distance between multivariate normal distributions", Journal
    of Multivariate Analysis, 1982.

    Args:
        a: (N, D) floats, N at least 2.
        b: (M, D) floats, M at least 2.

    Returns:
        0 or more, in squared units of the features; lower is closer. Few rows make it larger: compare equal N only.

    Raises:
        UsageError: Fewer than 2 rows, widths that differ, or values that are not finite.

    Examples:
        >>> square = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])
        >>> round(frechet_distance(square, square + 3), 6)
        18.0
    """
    a, b = _checked({"a": a, "b": b}, rows=2)
    cov_a, cov_b = _covariance(a), _covariance(b)
    values, vectors = torch.linalg.eigh(cov_a)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    # N rows span N - 1 dimensions. Eigenvalues beyond are rounding, and the root of 1e-16 is no longer small.
    rank = min(len(a) - 1, len(b) - 1, a.shape[1])
    product = torch.linalg.eigvalsh(root @ cov_b @ root)[-rank:].clamp(min=0)
    means = (a.mean(0) - b.mean(0)).square().sum()
    distance = means + cov_a.trace() + cov_b.trace() - 2 * product.sqrt().sum()
    return max(float(distance), 0.0)  # in this order NaN stays NaN


def kernel_distance(a: Tensor, b: Tensor) -> float:
    """Return the kernel (Inception) distance: the unbiased squared MMD with the kernel (x·y / D + 1)³.

    All pairs of all rows enter one estimate; the paper's mean over random subsets has the same expectation and more
    noise.

    Source: Bińkowski et al., "Demystifying MMD GANs", ICLR 2018; the estimate is eq. 3 (lemma 6) of Gretton et al.,
    "A kernel two-sample test", Journal of Machine Learning Research, 2012.

    Args:
        a: (N, D) floats, N at least 2.
        b: (M, D) floats, M at least 2.

    Returns:
        0 in expectation where both sets are from one distribution, so below 0 now and then; lower is closer.

    Raises:
        UsageError: Fewer than 2 rows, widths that differ, or values that are not finite.

    Examples:
        >>> kernel_distance(torch.zeros(3, 1), torch.ones(2, 1))
        7.0
    """
    a, b = _checked({"a": a, "b": b}, rows=2)
    return _mean_of_others(a) + _mean_of_others(b) - 2 * _kernel_sum(a, b) / (len(a) * len(b))


def precision_recall(real: Tensor, made: Tensor, *, neighbours: int = 3) -> tuple[float, float]:
    """Return which share of made pictures looks real, and which share of real ones could have been made.

    A set covers the spheres around its rows, each as large as the distance to its k-th nearest other row. Precision
    is the share of made rows that the real set covers, recall the share of real rows that the made set covers.

    Source: Kynkäänniemi et al., "Improved precision and recall metric for assessing generative models", NeurIPS 2019,
    eq. 1 and 2.

    Args:
        real: (N, D) floats, N more than `neighbours`.
        made: (M, D) floats, M more than `neighbours`.
        neighbours: The k above, 1 or more; 3 in the paper.

    Returns:
        Precision and recall in [0, 1]; higher is better. Both depend on N, M and k: compare equal ones only.

    Raises:
        UsageError: No neighbours or too few rows for them, widths that differ, or values that are not finite.

    Examples:
        >>> real = torch.arange(8.0)[:, None]
        >>> precision_recall(real, real[:4], neighbours=1)
        (1.0, 0.625)
    """
    if neighbours < 1:
        raise UsageError(f"neighbours is {neighbours}; expected 1 or more")
    real, made = _checked({"real": real, "made": made}, rows=neighbours + 1)
    # Around their middle the squares are smallest, and so is what rounding takes from their differences.
    middle = real.mean(0)
    real, made = real - middle, made - middle
    real_radii, made_radii = _squared_radii(real, neighbours), _squared_radii(made, neighbours)
    good = 0
    reached = torch.zeros(len(real), dtype=torch.bool, device=real.device)
    for rows, radii in zip(_blocks(made, len(real)), _blocks(made_radii, len(real)), strict=True):
        squares = _squared_distances(rows, real, slack=SLACK)
        good += int((squares <= real_radii).any(1).sum())
        reached |= (squares <= radii[:, None]).any(0)
    return good / len(made), int(reached.sum()) / len(real)


def nearest(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return for each row of one set how far the nearest row of the other is, and which it is.

    The distance is 0 for a copy. Rows of b that are equally near, up to 1e-7 of the size of the features, are told
    apart by chance.

    Args:
        a: (N, D) floats, N at least 1.
        b: (M, D) floats, M at least 1.

    Returns:
        Euclidean distances (N,) float64 in units of the features, and indices (N,) int64 into b.

    Raises:
        UsageError: No rows, widths that differ, or values that are not finite.

    Examples:
        >>> nearest(torch.tensor([[0.0, 0.0], [5.0, 4.0]]), torch.tensor([[5.0, 5.0], [3.0, 4.0], [0.0, 0.0]]))
        (tensor([0., 1.], dtype=torch.float64), tensor([2, 0]))
    """
    a, b = _checked({"a": a, "b": b}, rows=1)
    middle = b.mean(0)
    centred = b - middle
    index = torch.cat([_squared_distances(rows - middle, centred).argmin(1) for rows in _blocks(a, len(b))])
    # The expanded square is fast but rounded; the distance to the row that it finds is exact.
    distance = [
        torch.linalg.vector_norm(rows - b[found], dim=1)
        for rows, found in zip(_blocks(a, len(b)), _blocks(index, len(b)), strict=True)
    ]
    return torch.cat(distance), index


def total_variation(p: Tensor, q: Tensor) -> float:
    """Return the total variation distance between two histograms, each first divided by its sum.

    It is half the sum of |p - q|: the largest difference that the two give to the probability of any event.

    Source: Levin, Peres and Wilmer, "Markov chains and mixing times", 2009, proposition 4.2.

    Args:
        p: (K,) counts or shares, 0 or more, not all 0.
        q: The same for the other histogram.

    Returns:
        0 for equal shares to 1 where nothing is shared.

    Raises:
        UsageError: Lengths that differ, or counts that are negative, not finite or all 0.

    Examples:
        >>> total_variation(torch.tensor([1, 1, 0]), torch.tensor([0, 5, 5]))
        0.5
    """
    if p.ndim != 1 or p.shape != q.shape:
        raise UsageError(f"the histograms have shapes {tuple(p.shape)} and {tuple(q.shape)}; expected (K,) for both")
    shares = []
    for name, counts in (("p", p), ("q", q)):
        values = counts.detach().to(p.device, torch.float64)
        if not (torch.isfinite(values).all() and (values >= 0).all()):
            raise UsageError(f"{name} has counts that are negative or not finite; expected 0 or more")
        if not values.any():
            raise UsageError(f"{name} has no counts above 0; expected a histogram of something")
        shares.append(values / values.sum())
    return float((shares[0] - shares[1]).abs().sum() / 2)


def _checked(pair: dict[str, Tensor], *, rows: int) -> tuple[Tensor, Tensor]:
    """Return two sets of features by their names as float64 on one device, or say what is wrong with them."""
    for name, features in pair.items():
        shape = tuple(features.shape)
        if len(shape) != 2 or shape[1] < 1 or not features.is_floating_point():
            raise UsageError(f"{name} is {features.dtype} of shape {shape}; expected floats (rows, features)")
        if shape[0] < rows:
            raise UsageError(f"{name} has {shape[0]} row{'s' * (shape[0] != 1)}; expected {rows} or more")
        wrong = int((~torch.isfinite(features)).sum())
        if wrong:
            raise UsageError(f"{name} has {wrong:,} NaN or infinite values; expected finite ones only")
    (name, first), (other, second) = pair.items()
    if first.shape[1] != second.shape[1]:
        raise UsageError(f"{name} has {first.shape[1]} columns and {other} {second.shape[1]}; expected equally many")
    return first.detach().double(), second.detach().to(first.device, torch.float64)


def _blocks(rows: Tensor, columns: int) -> tuple[Tensor, ...]:
    """Split rows so that each block, times the columns, has about BLOCK numbers."""
    return rows.split(max(1, BLOCK // columns))


def _covariance(rows: Tensor) -> Tensor:
    """Return the unbiased covariance (D, D) of rows (N, D)."""
    centred = rows - rows.mean(0)
    return centred.T @ centred / (len(rows) - 1)


def _kernel_sum(a: Tensor, b: Tensor) -> float:
    """Return the sum of (x·y / D + 1)³ over all rows x of a and y of b."""
    return sum(float((rows @ b.T).div_(a.shape[1]).add_(1).pow_(3).sum()) for rows in _blocks(a, len(b)))


def _mean_of_others(rows: Tensor) -> float:
    """Return the mean of (x·y / D + 1)³ over pairs of two different rows: a row with itself is the bias."""
    selves = float((rows.square().mean(1) + 1).pow(3).sum())
    return (_kernel_sum(rows, rows) - selves) / (len(rows) * (len(rows) - 1))


def _squared_distances(a: Tensor, b: Tensor, *, slack: float = 0.0) -> Tensor:
    """Return (1 - slack) (|x|² + |y|²) - 2 x·y, (N, M), for rows x of a and y of b."""
    norms = a.square().sum(1)[:, None] + b.square().sum(1)
    return torch.addmm(norms, a, b.T, beta=1 - slack, alpha=-2)


def _squared_radii(rows: Tensor, neighbours: int) -> Tensor:
    """Return the squared distance (N,) from each row to its k-th nearest other row."""
    # The nearest of all, the first of k + 1, is the row itself, or a copy that stands for it.
    found = [_squared_distances(block, rows).topk(neighbours + 1, largest=False) for block in _blocks(rows, len(rows))]
    return torch.cat([best.values[:, -1] for best in found])
