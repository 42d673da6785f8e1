"""Steps whose length is found, not chosen."""

from funcgd.optimizers.dadapt_adamw import dadapt_adamw
from funcgd.optimizers.prodigy import prodigy
from funcgd.optimizers.registry.row import Row

ROWS: tuple[Row, ...] = (
    Row(
        prodigy(),
        2023,
        "Mishchenko, Defazio, Prodigy: an expeditiously adaptive parameter-free learner",
        "https://arxiv.org/abs/2306.06101",
        variants=(prodigy(betas=(0.8, 0.99), beta3=0.9, safeguard_warmup=True, bias_correction=False),),
        needs=("params",),
        elementwise=False,
        scale_invariant=True,
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
    ),
)
