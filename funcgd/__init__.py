"""funcgd: gradient descent as values and pure functions, in JAX. `import funcgd as fg`."""

from funcgd import (
    calculus,
    core,
    data,
    diagnostics,
    line_searches,
    losses,
    models,
    optimizers,
    problems,
    projections,
    schedules,
    solvers,
    training,
    transforms,
)
from funcgd.calculus import *
from funcgd.calculus import perturbations
from funcgd.core import *
from funcgd.data import *
from funcgd.diagnostics import *
from funcgd.line_searches import *
from funcgd.losses import *
from funcgd.models import *
from funcgd.optimizers import *
from funcgd.projections import *
from funcgd.schedules import *
from funcgd.solvers import *
from funcgd.solvers import assignment
from funcgd.training import *
from funcgd.training import microbatching
from funcgd.training import stopping as stop
from funcgd.transforms import *

__version__ = "0.1.0"
