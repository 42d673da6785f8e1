"""Averages of parameters, and looks ahead or around."""

from funcgd.optimizers.lookahead import lookahead
from funcgd.optimizers.parameter_averages import params_ema, swa
from funcgd.optimizers.registry.row import Row
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
)
