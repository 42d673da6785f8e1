"""Averages of parameters, and looks ahead or around."""

from funcgd.optimizers.adam import adam
from funcgd.optimizers.cautious import cautious
from funcgd.optimizers.gradient_descent import normalized_gradient_descent
from funcgd.optimizers.lookahead import lookahead
from funcgd.optimizers.mars import mars
from funcgd.optimizers.parameter_averages import params_ema, swa
from funcgd.optimizers.registry.row import Row
from funcgd.optimizers.sam import sam
from funcgd.optimizers.schedule_free import schedule_free, schedule_free_adamw, schedule_free_sgd
from funcgd.optimizers.sgd import sgd

ROWS = (
    Row(
        lookahead(sgd(0.1, momentum=0.9), 5, 0.5),
        2019,
        "Zhang, Lucas, Hinton, Ba, Lookahead optimizer: k steps forward, 1 step back",
        "https://arxiv.org/abs/1907.08610",
        variants=(lookahead(sgd(0.1, momentum=0.9), 2, 0.8, reset_state=True),),
        needs=("params",),
        forgets=False,  # the slow parameters are part of the state
    ),
    Row(
        params_ema(sgd(0.1, momentum=0.9), 0.9),
        1992,
        "Polyak, Juditsky, Acceleration of stochastic approximation by averaging",
        "https://doi.org/10.1137/0330046",
        variants=(params_ema(sgd(0.1), 0.9, debias=False),),
        needs=("params",),
    ),
    Row(
        swa(sgd(0.1, momentum=0.9), 2),
        2018,
        "Izmailov, Podoprikhin, Garipov et al., Averaging weights leads to wider optima and better generalization",
        "https://arxiv.org/abs/1803.05407",
        needs=("params",),
    ),
    Row(
        schedule_free(sgd(0.1), 0.1),
        2024,
        "Defazio, Yang, Mehta, Mishchenko, Khaled, Cutkosky, The road less scheduled",
        "https://arxiv.org/abs/2405.15682",
        needs=("params",),
        forgets=False,  # z is where the parameters would be
    ),
    Row(
        schedule_free_sgd(0.5, warmup_steps=3),
        2024,
        "Defazio, Yang, Mehta, Mishchenko, Khaled, Cutkosky, The road less scheduled",
        "https://arxiv.org/abs/2405.15682",
        variants=(schedule_free_sgd(0.5, weight_decay=0.1, state_dtype="bfloat16"),),
        needs=("params",),
        forgets=False,  # z is where the parameters would be
    ),
    Row(
        schedule_free_adamw(0.05),
        2024,
        "Defazio, Yang, Mehta, Mishchenko, Khaled, Cutkosky, The road less scheduled",
        "https://arxiv.org/abs/2405.15682",
        variants=(schedule_free_adamw(0.05, warmup_steps=3, weight_decay=0.1),),
        needs=("params",),
        scale_invariant=True,
        forgets=False,  # z is where the parameters would be
    ),
    Row(
        sam(sgd(0.1, momentum=0.9), normalized_gradient_descent(0.05), opaque_mode=True),
        2020,
        "Foret, Kleiner, Mobahi, Neyshabur, Sharpness-aware minimization for efficiently improving generalization",
        "https://arxiv.org/abs/2010.01412",
        variants=(sam(sgd(0.1, momentum=0.9), normalized_gradient_descent(0.05)),),
        needs=("params", "value_fn or grad_fn"),
        elementwise=False,
        leafwise=False,
    ),
    Row(
        cautious(sgd(0.1, momentum=0.9)),
        2024,
        "Liang, Chen, Liu, Liu, Cautious optimizers: improving training with one line of code",
        "https://arxiv.org/abs/2411.16085",
        variants=(cautious(adam(0.01), eps=0.0),),
        elementwise=False,
    ),
    Row(
        mars(0.01, max_norm=3.0),
        2024,
        "Yuan, Liu, Wu, Zhou, Gu, MARS: unleashing the power of variance reduction for training large models",
        "https://arxiv.org/abs/2411.10438",
        variants=(mars(0.01, gamma=1.0, weight_decay=0.1, exact=True),),
        needs=("params",),
        elementwise=False,
        leafwise=False,  # max_norm is that of the whole
    ),
)
