"""Table of which games converge: variants of the Dirac-GAN, and a GAN on the line."""

from __future__ import annotations

import math
from pathlib import Path

from . import frame

# By game: its title, whether it converges in theory, and |(theta, psi)| after 500 steps of the
# vector field in NumPy, with simultaneous updates, theta first and psi first.
GAMES = {
    "gan": ("GAN", "no", ("3.097", "1.421", "1.413")),
    "nsgan": ("NSGAN", "no", ("0.640", "0.284", "0.2706")),
    "wgan": ("WGAN, not clipped", "no", ("2.56e4", "1.398", "1.434")),
    "wgan-clipped": ("WGAN, clipped at 1", "no", ("1.002", "1.024", "0.9846")),
    "wgan-gp": ("WGAN-GP, weight 0.35", "no", ("1.802", "1.221", "1.28")),
    "wgan-unrolled": (
        "WGAN, generator unrolled by 1",
        "yes",
        ("5.256e-5", "1.293e-9", "1.333e-9"),
    ),
    "consensus": ("GAN, consensus 1", "yes", ("2.58e-10", "1.72e-11", "1.79e-11")),
    "instance-noise": ("GAN, instance noise 0.7", "yes", ("5.73e-5", "4.00e-6", "4.38e-6")),
    "gan-r1-weak": ("GAN, R1 of 0.3", "yes", ("2.643e-6", "2.301e-7", "2.383e-7")),
    "gan-r1-critical": ("GAN, R1 of 1", "yes", ("9.5e-22", "7.5e-17", "8.49e-17")),
    "nsgan-r1": ("NSGAN, R1 of 0.3", "yes", ("2.212e-6", "1.499e-7", "1.639e-7")),
    "rpgan-zero-sum": (
        "RpGAN (zero-sum), R1 and R2 of 0.3",
        "yes",
        ("2.16e-13", "1.21e-14", "1.14e-14"),
    ),
    "rpgan": ("RpGAN, R1 and R2 of 0.3", "yes", ("1.356e-13", "1.593e-14", "1.496e-14")),
}

ORDERS = {"simultaneous": "at once", "theta_first": "theta first", "psi_first": "psi first"}

CONVERGED = 0.01
"""The distance from the equilibrium, initially sqrt(2), below which a game has converged."""


def parts(budget: str) -> tuple[frame.Part, ...]:
    """Returns the tables of the Dirac-GAN and of the Gaussian on the line."""
    count = 20 if budget == "quick" else 500
    distances = tuple(
        frame.Column(order, words, "{:.4g}".format) for order, words in ORDERS.items()
    )
    verdict = frame.Column("converged", "converges", lambda value: "yes" if value == 1 else "no")
    games = tuple(
        frame.Piece(
            name,
            title,
            {"game": name, "rate": 0.2, "steps": count},
            measure_game,
            {**dict(zip(ORDERS, ends, strict=True)), "converged": converges},
        )
        for name, (title, converges, ends) in GAMES.items()
    )
    return (
        frame.Part(
            "games",
            "The distance from the equilibrium after 500 steps of rate 0.2 from (1, 1)",
            (*distances, verdict),
            games,
            source=(
                "Theory: the vector fields of the paper followed in NumPy, in float64, at the "
                "settings of its authors' notebook; converges: according to the paper, for the "
                "RpGAN according to Huang et al. 2024, and for the unrolled game according to its "
                "eigenvalues."
            ),
            theirs="theory",
            note=(
                f"Ours converges if the distance is below {CONVERGED} in all three orders. "
                "The NSGAN does converge in continuous time, slower than any exponential."
            ),
            figure=tuple(ORDERS.values()),
        ),
        _line(budget),
    )


def _line(budget: str) -> frame.Part:
    steps = 100 if budget == "quick" else 4000
    settings = {
        "steps": steps,
        "steps_per_call": 50,
        "batch_size": 256,
        "seeds": 2 if budget == "quick" else 3,
        "samples": 50_000,
    }
    columns = (
        frame.Column("value", "V(D)", "{:.4f}".format),
        frame.Column("mean", "mean", "{:.3f}".format),
        frame.Column("deviation", "deviation", "{:.3f}".format),
        frame.Column("error", "error of D*", "{:.3f}".format),
    )
    theory = {
        "value": f"-log 4 = {-math.log(4):.4f}",
        "mean": "4",
        "deviation": "0.5",
        "error": "0",
    }
    return frame.Part(
        "line",
        "A GAN on the line at its equilibrium",
        columns,
        (frame.Piece("line", "GAN on N(4, 0.5^2)", settings, measure_line, theory),),
        source="Theory: Goodfellow et al. 2014, proposition 1 and theorem 1.",
        theirs="theory",
        note=(
            "`python -m experiments.vanilla --data gauss1d`: perceptrons of 128 and 128 units. The "
            "error of D* = 1/2 is the largest |D(x) - 1/2| within two standard deviations of the "
            "data's mean."
        ),
    )


def measure_game(settings: frame.Settings, folder: Path) -> frame.Measured:
    """Measures the final distance from the equilibrium in each order, and draws the three paths.

    Args:
        settings: The row's settings.
        folder: The row's folder.
    """
    import numpy as np

    from jaxgan.plotting import plane_points

    from . import dirac_game, strips

    paths = {
        order: dirac_game.played(
            dirac_game.GAMES[settings["game"]],
            order,
            rate=settings["rate"],
            count=settings["steps"],
        )
        for order in ORDERS
    }
    ends = {order: float(np.linalg.norm(path[-1])) for order, path in paths.items()}
    converged = float(all(end < CONVERGED for end in ends.values()))
    numbers = {**{order: [end] for order, end in ends.items()}, "converged": [converged]}
    panels = [strips.path(path, reach=2.0) for path in paths.values()]
    return frame.Measured(numbers, plane_points.beside(panels))


def measure_line(settings: frame.Settings, folder: Path) -> frame.Measured:
    """Trains the GAN of 2014 on the line, and measures its distance from the equilibrium.

    Args:
        settings: The row's settings.
        folder: The row's folder.
    """
    import numpy as np

    import jaxgan
    from jaxgan.data import mixtures
    from jaxgan.metrics import minimax
    from jaxgan.runs import command_line

    from .. import vanilla

    config = vanilla.Config(
        data="gauss1d",
        steps=settings["steps"],
        steps_per_call=settings["steps_per_call"],
        batch_size=settings["batch_size"],
        seeds=settings["seeds"],
        sample_every=0,
        workdir=str(folder / "run"),
        cache=False,
    )
    path, mixture = command_line.train(vanilla, config), mixtures.gauss1d()
    real = mixture.batch(seed=1, step=0, size=settings["samples"])["image"]
    around = np.linspace(3.0, 5.0, 201, dtype=np.float32)[:, None]
    numbers: dict[str, list[float]] = {}
    for seed in config.model_seeds:
        trained = jaxgan.load(path, seed=seed)
        fake = np.asarray(trained.sample(1, settings["samples"]))
        judge = trained.state["discriminator"]
        found = {
            "value": minimax.value(judge(real), judge(fake)),
            "mean": fake.mean(dtype=np.float64),
            "deviation": fake.std(dtype=np.float64),
            "error": np.abs(1 / (1 + np.exp(-np.asarray(judge(around)))) - 0.5).max(),
        }
        for name, number in found.items():
            numbers.setdefault(name, []).append(float(number))
    return frame.Measured(numbers)


TABLE = frame.Table(
    title="Dirac-GAN: which games converge",
    paper=(
        "Mescheder et al. 2018, Which training methods for GANs do actually converge? "
        "(arXiv 1801.04406)."
    ),
    protocol=(
        "The data are a point at 0, the generator a point at theta, the discriminator psi x. The "
        "library's losses, penalties and steps are run with SGD in float64; the players are "
        "updated simultaneously, or one after the other."
    ),
    scope={"default": "The full protocol."},
    parts=parts,
)
