"""Pictures of points on a line or plane, with density and discriminator. Needs matplotlib."""

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


def picture_of(mixture: data.Mixture, draw: Draw) -> Callable[[Any], Image.Image]:
    """The picture of a state for points on a line or plane; `draw(state)` generates them [N, D].

    Raises ValueError on points of more dimensions.
    """
    dimensions = mixture.shape[0]
    real = mixture.batch(seed=0, step=0, size=4096)["image"]
    if dimensions == 2:
        return lambda state: plane(mixture, real, draw(state), judge_of(state))
    if dimensions == 1:
        return lambda state: line(mixture, real[:, 0], draw(state)[:, 0], judge_of(state))
    raise ValueError(f"points of {dimensions} dimensions cannot be drawn; expected 1 or 2")


def judge_of(state: Any) -> Callable[[np.ndarray], np.ndarray] | None:
    """The discriminator's logits [N] at points [N, D]; None where no player has that name."""
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
    """Generated points [N, 2] over real ones and their modes, D(x) as the field behind them."""
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
    # Modes can be narrower than a pixel of the field, so their circles are drawn from the formula.
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
    """The densities p and q on a line, D(x) beside D* = p / (p + q), and V(D) beside -log 4.

    q is a Gaussian kernel estimate from the generated points; D* is drawn where p or q has mass. V
    is the mean over the given real and generated points of log D(x) and log(1 - D(x)) (Goodfellow
    et al. 2014, equation 1).
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
    """The Gaussian kernel estimate from points [N] of their density at x [M], by Silverman's rule.

    The bandwidth is at least a thousandth of the range of x: a generator may collapse to a point.
    """
    width = 1.06 * points.std() * len(points) ** -0.2
    width = max(width, 1e-3 * float(np.ptp(x)))
    exponents = -0.5 * np.square((x[:, None] - points[None, :]) / width)
    return np.exp(exponents).mean(axis=1) / (width * math.sqrt(2 * math.pi))


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-logits)), without overflow."""
    return np.exp(-np.logaddexp(0, -logits))


def _extent(points: np.ndarray) -> tuple[float, float]:
    low, high = float(points.min()), float(points.max())
    margin = 0.1 * (high - low)
    return low - margin, high + margin


def _figure(width: float, height: float) -> tuple[Figure, Any]:
    # Not by pyplot, which keeps figures and a backend in global state.
    figure = Figure(figsize=(width, height), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots()


def _rendered(figure: Figure) -> Image.Image:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    buffer.seek(0)
    return Image.open(buffer)
