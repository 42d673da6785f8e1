"""Steps whose length is found, not chosen."""

from funcgd.optimizers.adam import adam
from funcgd.optimizers.cocob import cocob
from funcgd.optimizers.dadapt_adamw import dadapt_adamw
from funcgd.optimizers.distance_over_gradients import dog, dowg
from funcgd.optimizers.mechanize import mechanize
from funcgd.optimizers.momo import momo, momo_adam
from funcgd.optimizers.polyak import polyak_sgd
from funcgd.optimizers.prodigy import prodigy
from funcgd.optimizers.registry.row import SOLVES, Row
from funcgd.optimizers.sgd import sgd

ROWS: tuple[Row, ...] = (
    Row(
        cocob(),
        2017,
        "Orabona, Tommasi, Training deep networks without learning rates through coin betting",
        "https://arxiv.org/abs/1705.07795",
        needs=("params",),
        scale_invariant=True,
        forgets=False,
        solves={**SOLVES, "rosenbrock": 0.2},
    ),
    Row(
        prodigy(),
        2023,
        "Mishchenko, Defazio, Prodigy: an expeditiously adaptive parameter-free learner",
        "https://arxiv.org/abs/2306.06101",
        variants=(prodigy(betas=(0.8, 0.99), beta3=0.9, safeguard_warmup=True, bias_correction=False),),
        needs=("params",),
        elementwise=False,
        scale_invariant=True,
        leafwise=False,
        forgets=False,
    ),
    Row(
        dadapt_adamw(),
        2023,
        "Defazio, Mishchenko, Learning-rate-free learning by D-adaptation",
        "https://arxiv.org/abs/2301.07733",
        variants=(dadapt_adamw(weight_decay=0.1, bias_correction=False),),
        needs=("params",),
        elementwise=False,
        scale_invariant=True,
        leafwise=False,
        forgets=False,
    ),
    Row(
        dog(),
        2023,
        "Ivgi, Hinder, Carmon, DoG is SGD's best friend: a parameter-free dynamic step size schedule",
        "https://arxiv.org/abs/2302.12022",
        variants=(dog(init_step=("learning_rate", 1e-3), weight_decay=0.1),),
        needs=("params",),
        elementwise=False,
        scale_invariant=True,
        leafwise=False,
        forgets=False,
    ),
    Row(
        dowg(init_estim_sq_dist=1e-4),
        2023,
        "Khaled, Mishchenko, Jin, DoWG unleashed: an efficient universal parameter-free gradient descent method",
        "https://arxiv.org/abs/2305.16284",
        variants=(dowg(weight_decay=0.1),),
        needs=("params",),
        elementwise=False,
        scale_invariant=True,
        leafwise=False,
        forgets=False,
    ),
    Row(
        mechanize(adam(1.0)),
        2023,
        "Cutkosky, Defazio, Mehta, Mechanic: a learning rate tuner",
        "https://arxiv.org/abs/2306.00144",
        variants=(mechanize(sgd(1.0), num_betas=2),),
        needs=("params",),
        elementwise=False,
        scale_invariant=True,
        leafwise=False,
        forgets=False,
        solves={**SOLVES, "rosenbrock": 0.2},
    ),
    Row(
        polyak_sgd(f_min=-1.0),
        2021,
        "Loizou, Vaswani, Laradji, Lacoste-Julien, Stochastic Polyak step-size for SGD",
        "https://arxiv.org/abs/2002.10542",
        variants=(polyak_sgd(f_min=-1.0, eps=0.1, variant="sps+"),),
        needs=("value",),
        elementwise=False,
        leafwise=False,
        solves={name: left for name, left in SOLVES.items() if name != "beale"},
    ),
    Row(
        momo(lower_bound=-1.0),
        2023,
        "Schaipp, Ohana, Eickenberg, Defazio, Gower, MoMo: momentum models for adaptive learning rates",
        "https://arxiv.org/abs/2305.07583",
        variants=(momo(weight_decay=0.1, lower_bound=-1.0, adapt_lower_bound=True),),
        needs=("params", "value"),
        elementwise=False,
        leafwise=False,
    ),
    Row(
        momo_adam(1.0, lower_bound=-1.0),
        2023,
        "Schaipp, Ohana, Eickenberg, Defazio, Gower, MoMo: momentum models for adaptive learning rates",
        "https://arxiv.org/abs/2305.07583",
        variants=(momo_adam(weight_decay=0.1, lower_bound=-1.0, adapt_lower_bound=True),),
        needs=("params", "value"),
        elementwise=False,
        leafwise=False,
    ),
)
