"""funcgd: gradient descent as values and pure functions, in JAX. `import funcgd as fg`."""

from funcgd import calculus, core, losses, models, optimizers, problems, schedules, training, transforms
from funcgd.calculus import *  # noqa: F403
from funcgd.core import *  # noqa: F403
from funcgd.losses import *  # noqa: F403
from funcgd.models import *  # noqa: F403
from funcgd.optimizers import *  # noqa: F403
from funcgd.schedules import *  # noqa: F403
from funcgd.training import *  # noqa: F403
from funcgd.training import stopping as stop
from funcgd.transforms import *  # noqa: F403
