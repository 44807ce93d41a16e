"""Plots of 1D and 2D toy data with densities and discriminator. Needs matplotlib."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from jaxgan import data
from jaxgan.metrics import minimax

Draw = Callable[[Any], np.ndarray]
"""`draw(state) -> points [N, D]`: generates points."""


def picture_of(mixture: data.Mixture, draw: Draw) -> Callable[[Any], Image.Image]:
    """Returns the picture of a state for points on a line or in the plane.

    Args:
        mixture: The data.
        draw: `draw(state)` generates points [N, D].

    Raises:
        ValueError: If the points have more than 2 dimensions.
    """
    dimensions = mixture.shape[0]
    real = mixture.batch(seed=0, step=0, size=4096)["image"]
    if dimensions == 2:
        return lambda state: plane(mixture, real, draw(state), judge_of(state))
    if dimensions == 1:
        return lambda state: line(mixture, real[:, 0], draw(state)[:, 0], judge_of(state))
    raise ValueError(f"points of {dimensions} dimensions cannot be plotted; expected 1 or 2")


def judge_of(state: Any) -> Callable[[np.ndarray], np.ndarray] | None:
    """Returns the discriminator as a function of points [N, D] to logits [N].

    It is None if the state has no player 'discriminator'.
    """
    if "discriminator" not in state.players:
        return None
    return lambda points: np.asarray(
        _judge(state["discriminator"], jnp.asarray(points, jnp.float32)), np.float64
    )


@jax.jit
def _judge(discriminator: Any, points: Any) -> Any:
    return discriminator(points, train=False)


def plane(
    mixture: data.Mixture,
    real: np.ndarray,
    fake: np.ndarray,
    judge: Callable[[np.ndarray], np.ndarray] | None,
) -> Image.Image:
    """Plots generated points over real points and their modes, with D(x) as the background.

    The title reports the fraction of generated points in view.

    Args:
        mixture: The data. Each mode is drawn as a circle of 3 standard deviations.
        real: Real points [N, 2].
        fake: Generated points [N, 2].
        judge: The discriminator (`judge_of`). None: no background.
    """
    reach = 1.3 * np.abs(real).max()
    axis = np.linspace(-reach, reach, 160)
    x, y = np.meshgrid(axis, axis)
    points = np.stack([x.ravel(), y.ravel()], axis=1)
    figure, axes = _figure(6.4, 6.0)
    if judge is not None:
        field = sigmoid(judge(points)).reshape(x.shape)
        shown = axes.pcolormesh(x, y, field, cmap="coolwarm", vmin=0, vmax=1, alpha=0.6)
        figure.colorbar(shown, ax=axes, label="D(x)", shrink=0.8)
    axes.scatter(*real[:1024].T, s=6, color="black", alpha=0.25, linewidths=0, label="real")
    # Modes can be narrower than a pixel of the background, so circles mark them.
    for center in mixture.centers:
        angle = np.linspace(0, 2 * np.pi, 60)
        circle = center[:, None] + 3 * mixture.std * np.stack([np.cos(angle), np.sin(angle)])
        axes.plot(*circle, color="black", linewidth=0.8)
    inside = (np.abs(fake) <= reach).all(axis=1)
    axes.scatter(*fake[inside].T, s=6, color="limegreen", linewidths=0, label="generated")
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    axes.set_title(f"{inside.mean():.0%} of the generated points in view")
    figure.legend(loc="outside lower center", ncols=2)
    return _rendered(figure)


def line(
    mixture: data.Mixture,
    real: np.ndarray,
    fake: np.ndarray,
    judge: Callable[[np.ndarray], np.ndarray] | None,
) -> Image.Image:
    """Plots the densities p (real) and q (generated) on a line, D(x) and the optimal D*(x).

    q is a Gaussian kernel density estimate of the generated points. D* = p / (p + q) is drawn where
    p or q has mass. The title compares V(D) with its value at the optimum, -log 4. V(D) is the mean
    of log D(x) over the real points plus the mean of log(1 - D(x)) over the generated points.

    Args:
        mixture: The data, with density p.
        real: Real points [N].
        fake: Generated points [N].
        judge: The discriminator (`judge_of`). None: neither D nor V(D) is shown.

    References:
        Goodfellow et al. 2014, equation 1.
    """
    low, high = _extent(np.concatenate([real, fake]))
    x = np.linspace(low, high, 400)
    p, q = mixture.density(x[:, None]), kernel_density(fake, x)
    figure, axes = _figure(8.0, 5.0)
    axes.fill_between(x, p, color="black", alpha=0.15, label="p (real)")
    axes.fill_between(x, q, color="limegreen", alpha=0.3, label="q (generated)")
    axes.set(xlabel="x", ylabel="density", xlim=(low, high))
    right = axes.twinx()
    right.set(ylabel="D(x)", ylim=(-0.02, 1.02))
    has_mass = p + q > 1e-4 * max(p.max(), q.max())
    best = np.where(has_mass, p / np.maximum(p + q, 1e-300), np.nan)
    right.plot(x, best, "--", color="black", label="D* = p / (p + q)")
    if judge is not None:
        right.plot(x, sigmoid(judge(x[:, None])), color="crimson", label="D")
        reached = minimax.value(judge(real[:, None]), judge(fake[:, None]))
        axes.set_title(f"V(D) = {reached:.4f}, at the optimum -log 4 = {-math.log(4):.4f}")
    figure.legend(loc="outside lower center", ncols=4)
    return _rendered(figure)


def kernel_density(points: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Returns the Gaussian kernel density estimate at x, with the bandwidth of Silverman's rule.

    The bandwidth is at least a thousandth of the range of x, because a generator may collapse to a
    point.

    Args:
        points: Points [N].
        x: Positions [M] at which the density is evaluated.
    """
    width = 1.06 * points.std() * len(points) ** -0.2
    width = max(width, 1e-3 * float(np.ptp(x)))
    exponents = -0.5 * np.square((x[:, None] - points[None, :]) / width)
    return np.exp(exponents).mean(axis=1) / (width * math.sqrt(2 * math.pi))


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Computes 1 / (1 + exp(-logits)) without overflow."""
    return np.exp(-np.logaddexp(0, -logits))


def _extent(points: np.ndarray) -> tuple[float, float]:
    low, high = float(points.min()), float(points.max())
    margin = 0.1 * (high - low)
    return low - margin, high + margin


def _figure(width: float, height: float) -> tuple[Figure, Any]:
    # Without pyplot, which keeps figures and a backend in global state.
    figure = Figure(figsize=(width, height), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots()


def _rendered(figure: Figure) -> Image.Image:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    buffer.seek(0)
    return Image.open(buffer)
