"""Steps along the gradient, its sign or its momentum."""

from funcgd.optimizers.dpsgd import dpsgd
from funcgd.optimizers.gradient_descent import gradient_descent, normalized_gradient_descent
from funcgd.optimizers.lbfgs import lbfgs
from funcgd.optimizers.lion import lion
from funcgd.optimizers.noisy_sgd import noisy_sgd
from funcgd.optimizers.optimistic import optimistic_gradient_descent
from funcgd.optimizers.registry.row import SOLVES, Row
from funcgd.optimizers.rprop import rprop
from funcgd.optimizers.sgd import sgd
from funcgd.optimizers.sign_sgd import sign_sgd, signum

ROWS = (
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
        leafwise=False,
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
        noisy_sgd(0.1),
        2015,
        "Neelakantan et al., Adding gradient noise improves learning for very deep networks",
        "https://arxiv.org/abs/1511.06807",
        stochastic=True,
    ),
    Row(
        optimistic_gradient_descent(0.1),
        2019,
        "Mokhtari, Ozdaglar, Pattathil, A unified analysis of extra-gradient and optimistic gradient methods",
        "https://arxiv.org/abs/1901.08511",
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
        dpsgd(0.1, 5.0, 0.1, 0),
        2016,
        "Abadi et al., Deep learning with differential privacy",
        "https://arxiv.org/abs/1607.00133",
        variants=(dpsgd(0.1, 5.0, 0.1, 0, momentum=0.9, nesterov=True),),
        elementwise=False,
        stochastic=True,
        leafwise=False,
        solves={**SOLVES, "breast_cancer": 0.05},
    ),
    Row(
        lbfgs(),
        1980,
        "Nocedal, Updating quasi-Newton matrices with limited storage",
        "https://doi.org/10.1090/S0025-5718-1980-0572855-7",
        variants=(lbfgs(0.1, 3, scale_init_precond=False, linesearch=None),),
        needs=("params", "value", "grad", "value_fn"),
        elementwise=False,
        differentiable=False,
        leafwise=False,
        forgets=False,
    ),
)
