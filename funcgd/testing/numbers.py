"""The clauses about numbers: all scenarios in one compiled update, behind an axis of their own."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import funcgd as fg
from funcgd.core.numerics import wide_dtype
from funcgd.testing.common import Properties, avals, demand, is_close, needs, renewed, scaled, stored_low, update
from funcgd.testing.fixtures import SCENARIOS, STEPS, TROUBLE, TURN, params_tree, scenarios

RECOVERY, DECAY = 64, 0.02  # after half as many steps with such decays, nothing is left of the largest float32


class Runs:
    """Updates of all scenarios, one compiled step at a time; state and parameters are donated.

    `states` is the last state of the last run, behind an axis of scenarios.
    """

    def __init__(self, tx: Any, params: Any, extra: dict[str, Any]):
        self.tx, self.extra = tx, extra
        self.points, self.grads = scenarios(params, 1e30 if stored_low(tx.init(params)) else np.inf)
        self.traces = 0

        def step(tx: Any, params: Any, state: Any, g: Any) -> Any:
            self.traces += 1
            updates, state = update(tx, g, state, params, extra)
            return fg.apply_updates(params, updates), state, updates

        self.step = jax.jit(jax.vmap(step), donate_argnums=(1, 2))

    def run(self, members: list[Any], points: Any, grads: Callable[[int], Any], steps: int) -> Any:
        """The updates of members and points, one for each scenario: path → (scenario, step)."""
        who = type(self.tx).__name__
        txs = fg.stack(members)
        state = jax.vmap(lambda tx, p: tx.init(p))(fg.stack(members), points)  # which may hold its numbers
        before, rows = avals(state), []
        for t in range(steps):
            moved, state, updates = self.step(txs, jax.tree.map(jnp.copy, points), state, grads(t))
            rows.append(updates)
            if t < 2:
                demand(avals(moved) == avals(points), f"{who}: apply_updates must keep the parameters' dtypes.")
                same_structure = jax.tree.structure(updates) == jax.tree.structure(points)
                demand(same_structure, f"{who}: updates must have the structure of the parameters.")
                message = f"{who}: update must keep the state's structure, shapes, dtypes and weak types"
                demand(avals(state) == before, f"{message}: {before} became {avals(state)}.")
        self.states = state
        demand(self.traces == 1, f"{who}: must be compiled once, was traced {self.traces} times.")
        columns = jax.tree.map(lambda *u: np.stack([np.asarray(x) for x in u], axis=1), *rows)
        return {jax.tree_util.keystr(path): x for path, x in jax.tree_util.tree_leaves_with_path(columns)}


def check_numbers(
    tx: Any, dtypes: Sequence[str], properties: Properties, extra: dict[str, Any], *, small: bool = False
) -> None:
    """Finite, zero where the gradient is, of the right dtype, eager as compiled; trouble stays in place, and ends."""
    who = f"{type(tx).__name__} on {', '.join(dtypes)}"
    params = params_tree(dtypes, small=small)
    runs = Runs(tx, params, extra)
    state = tx.init(params)
    rounded = stored_low(state) or ("value_fn" in needs(tx) and any(map(_is_low, jax.tree.leaves(params))))
    tolerance = 0.05 if rounded else 1e-5  # one rounding may fall either way
    free = {f: 0.0 for f in ("eps", "eps_root") if hasattr(tx, f) and renewed(tx, **{f: 0.0}) is not None}
    others = {"other numbers": scaled(tx, 0.9), "zero, eps = 0": (free and renewed(tx, **free)) or tx}
    still = "params" in tx.needs  # then parameters may decay, but not zero ones
    if still:
        for x in jax.tree.leaves(points := jax.tree.map(np.array, runs.points)):
            x[[SCENARIOS.index("zero"), SCENARIOS.index("zero, eps = 0")]] = 0
        runs.points = jax.tree.map(jnp.asarray, points)
    updates = runs.run([others.get(s, tx) for s in SCENARIOS], runs.points, lambda t: _pick(runs.grads, t), STEPS)

    def of(scenario: str) -> dict[str, np.ndarray]:
        return {path: u[SCENARIOS.index(scenario)] for path, u in updates.items()}

    for (path, u), p in zip(updates.items(), jax.tree.leaves(params), strict=True):
        dtype = p.dtype if jnp.iscomplexobj(p) else wide_dtype(p.dtype)
        demand(u.dtype == dtype, f"{who}: updates{path} must be {dtype}, got {u.dtype}.")
    for i, scenario in enumerate(SCENARIOS[:-2]):
        parts = {"updates": of(scenario), "state": {p: np.asarray(x[i]) for p, x in _floating(runs.states)}}
        for what, tree in parts.items():
            for path, x in tree.items():
                finite = np.isfinite(np.asarray(x, np.complex128)).all()
                demand(finite, f"{who}: {what}{path} must stay finite after gradients that are {scenario}.")
    if properties.stochastic:
        check_noise(who, of("zero"))
    else:
        for scenario in ("zero", "zero, eps = 0"):
            zero = all((u[:TROUBLE] == 0).all() for u in of(scenario).values())
            where = " at zero parameters" if still else ""
            demand(zero, f"{who}: gradients that are {scenario} must give zero updates{where}.")
    if not small:
        check_eager(who, tx, params, runs, updates, tolerance)
    check_separation(who, of, properties, tolerance)
    check_turning(who, of, properties, tolerance)
    normal, moved = of("normal"), of("zero parameters")
    for path, u in normal.items():
        demand(moved[path].any() or not u.any(), f"{who}: updates{path} of zero parameters must not all be zero.")
    if not small:
        check_recovery(who, tx, runs, properties)


def _floating(tree: Any) -> list[tuple[str, Any]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return [(jax.tree_util.keystr(path), x) for path, x in leaves if jnp.issubdtype(x.dtype, jnp.inexact)]


def check_noise(who: str, updates: dict[str, np.ndarray]) -> None:
    """What is drawn at zero gradients, along a leading axis of steps, is of another key for each leaf and step."""
    drawn = [complex(u.ravel()[0]) for leaf in updates.values() for u in leaf[:TROUBLE] if u.size]
    drawn = [u for u in drawn if u != 0]
    demand(len(set(drawn)) == len(drawn), f"{who}: every leaf and every step must draw from a key of its own.")


def check_eager(who: str, tx: Any, params: Any, runs: Runs, updates: dict, tolerance: float) -> None:
    """The same without compilation, with the numbers of a member, and with low-precision gradients in float32."""
    for scenario, member, steps in (("normal", tx, 2), ("other numbers", scaled(tx, 0.9), 1)):
        i, state = SCENARIOS.index(scenario), member.init(params)
        for t in range(1 if "value_fn" in needs(tx) else steps):  # where a loop is inside, each compiles it
            g = jax.tree.map(lambda g, i=i, t=t: g[i, t], runs.grads)
            wide = [jax.tree.map(lambda x: x.astype(wide_dtype(x.dtype)) if _is_low(x) else x, g)]
            after = state
            for grads in [g, *(wide if t + i == 0 and any(map(_is_low, jax.tree.leaves(g))) else [])]:
                u, after = update(member, grads, state, params, runs.extra)
                demand(avals(after) == avals(state), f"{who}: update must keep the state's dtypes, eagerly too.")
                for (path, compiled), x in zip(updates.items(), jax.tree.leaves(u), strict=True):
                    same = is_close(compiled[i, t], x, tolerance)
                    demand(
                        same,
                        f"{who}: updates{path} must be those of one eager update ({scenario}, step {t}): "
                        f"got {compiled[i, t]}, eagerly {x}.",
                    )
            state = after


def _is_low(x: Any) -> bool:
    return x.dtype.itemsize < 4


def check_separation(who: str, of: Any, properties: Properties, tolerance: float) -> None:
    """Trouble stays in its entry or leaf; neither place nor name of a leaf matters, nor that it is split."""
    normal, w = of("normal"), "['w']"
    for scenario in SCENARIOS[-2:]:
        spoilt = of(scenario)
        if scenario == "NaN" and not properties.stochastic:
            u, unspoilt = spoilt[w][0, 0], normal[w][0, 0]  # the same where the first update knows no gradient
            shows = ~np.isfinite(u) | (u == 0) | np.isclose(u, unspoilt)
            demand(shows.all(), f"{who}: NaN must not become a number, got {u}.")
        if properties.elementwise:
            same = is_close(spoilt[w][:, 1], normal[w][:, 1], tolerance)
            advice = "declare `elementwise=False` if they are coupled by definition"
            demand(same, f"{who}: {scenario} in one row must leave others as they are; {advice}.")
        if properties.leafwise:
            same = all(is_close(spoilt[path], u, tolerance) for path, u in normal.items() if path != w)
            advice = "declare `leafwise=False` if they are coupled by definition"
            demand(same, f"{who}: {scenario} in one leaf must leave others as they are; {advice}.")
    if properties.stochastic or not properties.alike:
        return
    a, b = "['a']", "['nested'].left[0]"
    swapped = of("swapped")
    same = all(is_close(swapped[{a: b, b: a}.get(path, path)], u, tolerance) for path, u in normal.items())
    advice = "declare `alike=False` if the place of a leaf matters by definition"
    demand(same, f"{who}: leaves in each other's place must get each other's updates; {advice}.")
    if properties.elementwise and properties.leafwise:
        same = is_close(normal[a], normal[w][:, 0], tolerance)
        demand(same, f"{who}: a row of a matrix must get the updates that it gets as a leaf of its own.")


def check_turning(who: str, of: Any, properties: Properties, tolerance: float) -> None:
    """A complex leaf that is turned by a phase gets the updates turned; a real one in it is treated as real."""
    c, normal, turned = "['by_number'][7].others['complex64']", of("normal"), of("turned")
    if c not in normal or properties.stochastic:
        return
    advice = "declare `complex_ok=False`, and refuse complex leaves in `init`, if the rule has no form for them"
    for path, u in normal.items() if properties.turns else ():
        same = is_close(turned[path], u * TURN if path == c else u, tolerance)
        demand(same, f"{who}: updates{path} must turn with a complex leaf, and others stay; {advice}.")
    if properties.leafwise and properties.alike:
        message = f"{who}: real numbers in a complex leaf must be treated as in a real one; {advice}."
        demand(is_close(normal[c], normal["['a']"], tolerance), message)


def check_recovery(who: str, tx: Any, runs: Runs, properties: Properties) -> None:
    """After a huge gradient a leaf moves again, with decays that forget it at last as if there had been none."""
    if properties.stochastic or "value_fn" in needs(tx):  # where many steps tell nothing, or cost much
        return
    quick = jax.tree.map(lambda x: np.where((np.asarray(x) > DECAY) & (np.asarray(x) < 1), DECAY, x)[()], tx)
    i, j = SCENARIOS.index("normal"), SCENARIOS.index("huge")
    points = jax.tree.map(lambda p: jnp.broadcast_to(p[i], p.shape), runs.points)
    grads = jax.tree.map(lambda g: jnp.broadcast_to(g[i], g.shape), runs.grads)
    shock = jax.tree.map(lambda g, h: g[:, 0].at[j].set(h[j, 0]), grads, runs.grads)
    updates = runs.run([quick] * len(SCENARIOS), points, lambda t: _pick(grads, t) if t else shock, RECOVERY)
    for path, u in updates.items():
        stuck = (u[j, -2:] == 0) & (u[i, -2:] != 0)
        demand(not u.size or not stuck.all(), f"{who}: updates{path} must not be zero for ever after a huge gradient.")
        size = np.max(np.abs(u[i, -1]), initial=0)
        demand(
            not properties.forgets or np.allclose(u[j, -1], u[i, -1], 0.05, 1e-6 * size),
            f"{who}: {RECOVERY} steps after a huge gradient, with decays of {DECAY}, updates{path} must be as without "
            f"it, {u[i, -1]}; got {u[j, -1]}; declare `forgets=False` if it adds up for ever by definition.",
        )


def _pick(grads: Any, t: int) -> Any:
    return jax.tree.map(lambda g: g[:, t % STEPS], grads)
