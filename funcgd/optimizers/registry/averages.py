"""Averages of parameters, and looks ahead or around."""

from funcgd.optimizers.lookahead import lookahead
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
    ),
)
