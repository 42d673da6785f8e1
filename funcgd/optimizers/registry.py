"""One row for each named optimizer: what tables and tests are made from."""

import dataclasses

from funcgd.core.transform import Transform
from funcgd.optimizers.acprop import acprop
from funcgd.optimizers.adabelief import adabelief
from funcgd.optimizers.adadelta import adadelta
from funcgd.optimizers.adafactor import adafactor
from funcgd.optimizers.adagrad import adagrad
from funcgd.optimizers.adam import adam, adamw
from funcgd.optimizers.adamax import adamax, adamaxw
from funcgd.optimizers.adan import adan
from funcgd.optimizers.ademamix import ademamix, simplified_ademamix
from funcgd.optimizers.adopt import adopt
from funcgd.optimizers.amsgrad import amsgrad
from funcgd.optimizers.gradient_descent import gradient_descent, normalized_gradient_descent
from funcgd.optimizers.lbfgs import lbfgs
from funcgd.optimizers.lion import lion
from funcgd.optimizers.madgrad import madgrad
from funcgd.optimizers.nadam import nadam, nadamw
from funcgd.optimizers.novograd import novograd
from funcgd.optimizers.optimistic import optimistic_adam, optimistic_adam_v2, optimistic_gradient_descent
from funcgd.optimizers.radam import radam
from funcgd.optimizers.rmsprop import rmsprop
from funcgd.optimizers.rprop import rprop
from funcgd.optimizers.sgd import sgd
from funcgd.optimizers.sign_sgd import sign_sgd, signum
from funcgd.optimizers.sm3 import sm3
from funcgd.optimizers.trust_ratio import fromage, lamb, lars
from funcgd.optimizers.yogi import yogi


@dataclasses.dataclass(frozen=True)
class Row:
    """What is known of an optimizer.

    >>> from funcgd.optimizers.registry import ROWS
    >>> ROWS["adam"].year
    2014
    """

    example: Transform  # with a learning rate that suits problems of unit scale
    year: int  # of the first publication
    paper: str
    link: str = ""
    variants: tuple[Transform, ...] = ()  # other structures, tested like the example
    needs: tuple[str, ...] = ()  # optional arguments that update cannot do without
    rate: str = ""  # on a quadratic with curvatures in [μ, L], κ = L/μ: how ‖θ − θ*‖ shrinks per step
    elementwise: bool = True  # entries do not influence each other
    scale_invariant: bool = False  # the step does not change when the loss is multiplied by a number

    @property
    def name(self) -> str:
        """The public name."""
        return type(self.example).__name__

    @property
    def promise(self) -> str:
        """The first sentence of its documentation."""
        return (type(self.example).__doc__ or "").split("\n")[0]


_ROWS = (
    Row(
        gradient_descent(0.1),
        1847,
        "Cauchy, Méthode générale pour la résolution des systèmes d'équations simultanées",
        rate="(κ − 1)/(κ + 1) at η = 2/(L + μ)",
    ),
    Row(
        normalized_gradient_descent(0.1),
        2006,
        "Nocedal, Wright, Numerical Optimization, section 2.2",
        "https://doi.org/10.1007/978-0-387-40065-5",
        elementwise=False,
        scale_invariant=True,
    ),
    Row(
        sgd(0.1),
        1951,
        "Robbins, Monro, A stochastic approximation method",
        "https://doi.org/10.1214/aoms/1177729586",
        variants=(
            sgd(0.1, momentum=0.9),
            sgd(0.1, momentum=0.9, nesterov=True),
            sgd(0.1, momentum=0.9, velocity=True),
            sgd(0.1, momentum=0.9, nesterov=True, velocity=True),
            sgd(0.1, momentum=0.9, accumulator_dtype="bfloat16"),
        ),
        rate="(√κ − 1)/(√κ + 1) with the best momentum",
    ),
    Row(
        lbfgs(),
        1980,
        "Nocedal, Updating quasi-Newton matrices with limited storage",
        "https://doi.org/10.1090/S0025-5718-1980-0572855-7",
        variants=(lbfgs(0.1, 3, scale_init_precond=False, linesearch=None),),
        needs=("params", "value", "grad", "value_fn"),
        elementwise=False,
    ),
    Row(
        adagrad(0.5),
        2011,
        "Duchi, Hazan, Singer, Adaptive subgradient methods for online learning and stochastic optimization",
        "https://jmlr.org/papers/v12/duchi11a.html",
        variants=(adagrad(0.5, initial_accumulator_value=0.0),),
    ),
    Row(
        rmsprop(0.01),
        2012,
        "Tieleman, Hinton, Lecture 6.5, Neural networks for machine learning",
        "https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf",
        variants=(
            rmsprop(0.01, eps=0.01, centered=True, momentum=0.9, bias_correction=True),
            rmsprop(0.01, eps_in_sqrt=False, momentum=0.9, nesterov=True),
            rmsprop(0.01, eps=0.01, centered=True, eps_in_sqrt=False),
        ),
        scale_invariant=True,
    ),
    Row(
        adam(0.01),
        2014,
        "Kingma, Ba, Adam: a method for stochastic optimization",
        "https://arxiv.org/abs/1412.6980",
        variants=(adam(0.01, nesterov=True), adam(0.01, mu_dtype="bfloat16"), adam(0.01, b1=0.0, b2=0.0)),
        scale_invariant=True,
    ),
    Row(
        adamw(0.01),
        2017,
        "Loshchilov, Hutter, Decoupled weight decay regularization",
        "https://arxiv.org/abs/1711.05101",
        variants=(adamw(0.01, weight_decay=0.1, nesterov=True),),
        needs=("params",),
        scale_invariant=True,
    ),
    Row(
        sign_sgd(0.01),
        2018,
        "Bernstein, Wang, Azizzadenesheli, Anandkumar, signSGD: compressed optimisation for non-convex problems",
        "https://arxiv.org/abs/1802.04434",
        scale_invariant=True,
    ),
    Row(
        signum(0.01),
        2018,
        "Bernstein, Wang, Azizzadenesheli, Anandkumar, signSGD: compressed optimisation for non-convex problems",
        "https://arxiv.org/abs/1802.04434",
        scale_invariant=True,
    ),
    Row(
        lion(0.01),
        2023,
        "Chen et al., Symbolic discovery of optimization algorithms",
        "https://arxiv.org/abs/2302.06675",
        variants=(lion(0.01, mu_dtype="bfloat16", weight_decay=0.1),),
        needs=("params",),
        scale_invariant=True,
    ),
    Row(
        rprop(0.01),
        1993,
        "Riedmiller, Braun, A direct adaptive method for faster backpropagation learning: the RPROP algorithm",
        "https://doi.org/10.1109/ICNN.1993.298623",
        scale_invariant=True,
    ),
    Row(
        adadelta(),
        2012,
        "Zeiler, ADADELTA: an adaptive learning rate method",
        "https://arxiv.org/abs/1212.5701",
        needs=("params",),
        scale_invariant=True,
    ),
    Row(
        nadam(0.01),
        2016,
        "Dozat, Incorporating Nesterov momentum into Adam",
        "https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ",
        scale_invariant=True,
    ),
    Row(
        nadamw(0.01),
        2016,
        "Dozat, Incorporating Nesterov momentum into Adam",
        "https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ",
        needs=("params",),
        scale_invariant=True,
    ),
    Row(
        adamax(0.01),
        2014,
        "Kingma, Ba, Adam: a method for stochastic optimization",
        "https://arxiv.org/abs/1412.6980",
        scale_invariant=True,
    ),
    Row(
        adamaxw(0.01),
        2017,
        "Loshchilov, Hutter, Decoupled weight decay regularization",
        "https://arxiv.org/abs/1711.05101",
        needs=("params",),
        scale_invariant=True,
    ),
    Row(
        amsgrad(0.01),
        2018,
        "Reddi, Kale, Kumar, On the convergence of Adam and beyond",
        "https://arxiv.org/abs/1904.09237",
        variants=(amsgrad(0.01, mu_dtype="bfloat16", bias_correction_mu=False, bias_correction_nu=False),),
        scale_invariant=True,
    ),
    Row(
        adabelief(0.01),
        2020,
        "Zhuang et al., AdaBelief optimizer: adapting stepsizes by the belief in observed gradients",
        "https://arxiv.org/abs/2010.07468",
        variants=(adabelief(0.01, nesterov=True),),
        scale_invariant=True,
    ),
    Row(
        adan(0.01),
        2022,
        "Xie, Zhou, Li, Lin, Yan, Adan: adaptive Nesterov momentum algorithm for faster optimizing deep models",
        "https://arxiv.org/abs/2208.06677",
        needs=("params",),
        scale_invariant=True,
    ),
    Row(
        radam(0.01),
        2019,
        "Liu et al., On the variance of the adaptive learning rate and beyond",
        "https://arxiv.org/abs/1908.03265",
        variants=(radam(0.01, nesterov=True),),
    ),
    Row(
        yogi(0.01),
        2018,
        "Zaheer, Reddi, Sachan, Kale, Kumar, Adaptive methods for nonconvex optimization",
        "https://papers.nips.cc/paper/8186-adaptive-methods-for-nonconvex-optimization",
    ),
    Row(
        adopt(0.01),
        2024,
        "Taniguchi et al., ADOPT: modified Adam can converge with any β₂ with the optimal rate",
        "https://arxiv.org/abs/2411.02853",
        variants=(adopt(0.01, nesterov=True, use_clipping=False, mu_dtype="bfloat16"),),
        scale_invariant=True,
    ),
    Row(
        ademamix(0.01),
        2024,
        "Pagliardini, Ablin, Grangier, The AdEMAMix optimizer: better, faster, older",
        "https://arxiv.org/abs/2409.03137",
        needs=("params",),
        scale_invariant=True,
    ),
    Row(
        simplified_ademamix(0.001),
        2025,
        "Morwani, Vyas, Zhang, Kakade, Connections between schedule-free optimizers, AdEMAMix, and accelerated SGD",
        "https://arxiv.org/abs/2502.02431",
        needs=("params",),
        scale_invariant=True,
    ),
    Row(
        acprop(0.01),
        2021,
        "Zhuang et al., Momentum centering and asynchronous update for adaptive gradient methods",
        "https://arxiv.org/abs/2110.05454",
        needs=("params",),
        scale_invariant=True,
    ),
    Row(
        optimistic_gradient_descent(0.1),
        2019,
        "Mokhtari, Ozdaglar, Pattathil, A unified analysis of extra-gradient and optimistic gradient methods",
        "https://arxiv.org/abs/1901.08511",
    ),
    Row(
        optimistic_adam(0.01),
        2017,
        "Daskalakis, Ilyas, Syrgkanis, Zeng, Training GANs with optimism",
        "https://arxiv.org/abs/1711.00141",
        variants=(optimistic_adam(0.01, 0.02, nesterov=False),),
        scale_invariant=True,
    ),
    Row(
        optimistic_adam_v2(0.01),
        2017,
        "Daskalakis, Ilyas, Syrgkanis, Zeng, Training GANs with optimism",
        "https://arxiv.org/abs/1711.00141",
        scale_invariant=True,
    ),
    Row(
        madgrad(0.01),
        2021,
        "Defazio, Jelassi, Adaptivity without compromise: a momentumized, adaptive, dual averaged gradient method",
        "https://arxiv.org/abs/2101.11075",
        needs=("params",),
    ),
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
    ),
)

ROWS = {row.name: row for row in _ROWS}
