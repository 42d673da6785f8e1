"""Steps scaled entry by entry, by sums or running moments of the gradient."""

from funcgd.optimizers.acprop import acprop
from funcgd.optimizers.adabelief import adabelief
from funcgd.optimizers.adadelta import adadelta
from funcgd.optimizers.adagrad import adagrad
from funcgd.optimizers.adam import adam, adamw
from funcgd.optimizers.adamax import adamax, adamaxw
from funcgd.optimizers.adan import adan
from funcgd.optimizers.ademamix import ademamix, simplified_ademamix
from funcgd.optimizers.adopt import adopt
from funcgd.optimizers.amsgrad import amsgrad
from funcgd.optimizers.madgrad import madgrad
from funcgd.optimizers.nadam import nadam, nadamw
from funcgd.optimizers.optimistic import optimistic_adam, optimistic_adam_v2
from funcgd.optimizers.radam import radam
from funcgd.optimizers.registry.row import SOLVES, Row
from funcgd.optimizers.rmsprop import rmsprop
from funcgd.optimizers.sophia import sophia
from funcgd.optimizers.yogi import yogi

ROWS = (
    Row(
        adagrad(0.5),
        2011,
        "Duchi, Hazan, Singer, Adaptive subgradient methods for online learning and stochastic optimization",
        "https://jmlr.org/papers/v12/duchi11a.html",
        variants=(adagrad(0.5, initial_accumulator_value=0.0),),
        forgets=False,
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
        adadelta(),
        2012,
        "Zeiler, ADADELTA: an adaptive learning rate method",
        "https://arxiv.org/abs/1212.5701",
        needs=("params",),
        scale_invariant=True,
        forgets=False,  # its steps grow out of earlier ones
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
        forgets=False,
    ),
    Row(
        yogi(0.01),
        2018,
        "Zaheer, Reddi, Sachan, Kale, Kumar, Adaptive methods for nonconvex optimization",
        "https://papers.nips.cc/paper/8186-adaptive-methods-for-nonconvex-optimization",
        forgets=False,
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
        acprop(0.01),
        2021,
        "Zhuang et al., Momentum centering and asynchronous update for adaptive gradient methods",
        "https://arxiv.org/abs/2110.05454",
        needs=("params",),
        scale_invariant=True,
    ),
    Row(
        radam(0.01),
        2019,
        "Liu et al., On the variance of the adaptive learning rate and beyond",
        "https://arxiv.org/abs/1908.03265",
        variants=(radam(0.01, nesterov=True),),
        solves={**SOLVES, "rosenbrock": 0.2},
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
        forgets=False,
    ),
    Row(
        sophia(0.01, gamma=100.0, update_interval=2),
        2023,
        "Liu, Li, Hall et al., Sophia: a scalable stochastic second-order optimizer for language model pre-training",
        "https://arxiv.org/abs/2305.14342",
        variants=(sophia(0.01, clip_threshold=None, eps=0.1, mu_dtype="bfloat16"),),
        needs=("params", "value_fn or obj_fn"),
        solves={**SOLVES, "rosenbrock": 0.3, "breast_cancer": 0.01},
    ),
)
