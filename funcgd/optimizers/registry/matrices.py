"""Steps for matrices as wholes: orthogonalised, or preconditioned from both sides."""

from funcgd.optimizers.muon import muon
from funcgd.optimizers.registry.row import Row

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
)
