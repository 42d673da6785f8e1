"""Steps for matrices as wholes: orthogonalised, or preconditioned from both sides."""

from funcgd.optimizers.galore import galore
from funcgd.optimizers.lion import scale_by_lion
from funcgd.optimizers.muon import muon
from funcgd.optimizers.psgd import psgd_kron
from funcgd.optimizers.registry.row import Row
from funcgd.optimizers.shampoo import shampoo
from funcgd.optimizers.soap import soap

ROWS: tuple[Row, ...] = (
    Row(
        muon(0.01),
        2024,
        "Jordan et al., Muon: an optimizer for hidden layers in neural networks",
        "https://kellerjordan.github.io/posts/muon/",
        variants=(
            muon(
                0.01,
                "dion",
                weight_decay=0.1,
                mu_dtype="bfloat16",
                adaptive=True,
                preconditioning="spectral",
                consistent_rms=0.2,
                normuon_b2=0.95,
            ),
        ),
        needs=("params",),
        elementwise=False,
        scale_invariant=True,
    ),
    Row(
        shampoo(0.1),
        2018,
        "Gupta, Koren, Singer, Shampoo: preconditioned stochastic tensor optimization",
        "https://arxiv.org/abs/1802.09568",
        variants=(shampoo(0.1, 0.9, momentum=0.9, precondition_frequency=3, max_precond_dim=2),),
        needs=("params",),
        elementwise=False,
        scale_invariant=True,
        forgets=False,
    ),
    Row(
        soap(0.01),
        2024,
        "Vyas et al., SOAP: improving and stabilizing Shampoo using Adam",
        "https://arxiv.org/abs/2409.11321",
        variants=(soap(0.01, shampoo_beta=0.9, precondition_frequency=2, max_precond_dim=2, mu_dtype="bfloat16"),),
        needs=("params",),
        elementwise=False,
        scale_invariant=True,
        forgets=False,  # the basis turns from where it was
    ),
    Row(
        psgd_kron(0.01),
        2015,
        "Li, Preconditioned stochastic gradient descent",
        "https://arxiv.org/abs/1512.04202",
        variants=(
            psgd_kron(
                0.01,
                0.8,
                0.1,
                preconditioner_update_probability=0.5,
                max_size_triangular=2,
                min_ndim_triangular=1,
                mu_dtype="bfloat16",
                precond_dtype="bfloat16",
            ),
        ),
        needs=("params",),
        elementwise=False,
        stochastic=True,  # but zero gradients give zero updates
    ),
    Row(
        galore(0.01, 2, 2),
        2024,
        "Zhao et al., GaLore: memory-efficient LLM training by gradient low-rank projection",
        "https://arxiv.org/abs/2403.03507",
        variants=(galore(0.01, 1, 3, 0.5, scale_by_lion(), 0.1),),
        needs=("params",),
        elementwise=False,
        scale_invariant=True,
        forgets=False,  # the decays of what is inside are not its numbers
    ),
)
