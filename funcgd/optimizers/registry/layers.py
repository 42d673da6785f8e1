"""Steps in proportion to the parameters of each layer, or with less memory than they take."""

from funcgd.optimizers.adafactor import adafactor
from funcgd.optimizers.novograd import novograd
from funcgd.optimizers.registry.row import Row
from funcgd.optimizers.sm3 import sm3
from funcgd.optimizers.trust_ratio import fromage, lamb, lars

ROWS = (
    Row(
        lars(1.0, trust_coefficient=0.01),
        2017,
        "You, Gitman, Ginsburg, Large batch training of convolutional networks",
        "https://arxiv.org/abs/1708.03888",
        needs=("params",),
        elementwise=False,
        scale_invariant=True,
    ),
    Row(
        lamb(0.01),
        2019,
        "You, Li, Reddi et al., Large batch optimization for deep learning: training BERT in 76 minutes",
        "https://arxiv.org/abs/1904.00962",
        needs=("params",),
        elementwise=False,
        scale_invariant=True,
    ),
    Row(
        fromage(0.01),
        2020,
        "Bernstein, Vahdat, Yue, Liu, On the distance between two neural networks and the stability of learning",
        "https://arxiv.org/abs/2002.03432",
        needs=("params",),
        elementwise=False,
        scale_invariant=True,
    ),
    Row(
        novograd(0.01),
        2019,
        "Ginsburg et al., Stochastic gradient methods with layer-wise adaptive moments for training of deep networks",
        "https://arxiv.org/abs/1905.11286",
        needs=("params",),
        elementwise=False,
        scale_invariant=True,
    ),
    Row(
        sm3(0.1),
        2019,
        "Anil, Gupta, Koren, Singer, Memory-efficient adaptive optimization",
        "https://arxiv.org/abs/1901.11150",
        elementwise=False,
        scale_invariant=True,
        forgets=False,
    ),
    Row(
        adafactor(0.01),
        2018,
        "Shazeer, Stern, Adafactor: adaptive learning rates with sublinear memory cost",
        "https://arxiv.org/abs/1804.04235",
        variants=(adafactor(None, 2, momentum=0.9, dtype_momentum="bfloat16", weight_decay_rate=0.1),),
        needs=("params",),
        elementwise=False,
        scale_invariant=True,
        forgets=False,
    ),
)
