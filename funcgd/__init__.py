"""funcgd: gradient descent as values and pure functions, in JAX. `import funcgd as fg`."""

from funcgd.core import *  # noqa: F403
from funcgd.optimizers import *  # noqa: F403
from funcgd.training import *  # noqa: F403
from funcgd.training import stopping as stop
from funcgd.transforms import *  # noqa: F403
