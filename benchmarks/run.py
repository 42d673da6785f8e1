"""All benchmarks: `make bench`. Read the ratios; absolute times depend on the machine and its other users."""

import backprop_cost
import engine
import hypergradients
import imports
import jax
import large
import least_squares
import losses
import many_small_problems
import muon
import optax
import solvers
import sweep
import training
import updates

if __name__ == "__main__":
    print(f"jax {jax.__version__}, optax {optax.__version__}, {jax.devices()[0].device_kind}")
    modules = (imports, losses, updates, large, muon, training, engine, sweep, hypergradients, solvers, least_squares)
    for module in (*modules, many_small_problems, backprop_cost):
        print(f"\n{'=' * 100}\n{module.__doc__}")
        module.main()
