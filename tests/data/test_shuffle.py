"""Shuffling by a keyed permutation: bijective, uniform as far as χ² can tell, in memory of the positions asked."""

import functools

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from scipy import stats

import funcgd as fg
from funcgd.core.numerics import MAX_COUNT, float64_mode
from funcgd.data.arrays import order
from funcgd.data.feed import Resident
from funcgd.data.plan import Layout
from funcgd.data.shuffle import EXACT_BELOW, ROUNDS, feistel_permutation, mix, shuffled_indices
from funcgd.training.chunk import run_chunk

KEY = jax.random.key(0)
P = 1e-6  # of a false alarm, for each threshold below; seeds are fixed
FIVE = float(stats.norm.isf(P / 2))  # as many standard deviations, 4.9

BIG = 100_003


def words_of(key):
    return jax.random.bits(key, (ROUNDS,), jnp.uint32)


def whole(n, key=KEY):
    return np.asarray(feistel_permutation(words_of(key), n, jnp.arange(n)))


@functools.cache
def big_orders():
    """(16, BIG): the orders of 16 epochs."""
    full = jax.jit(jax.vmap(lambda epoch: shuffled_indices(KEY, epoch, BIG, jnp.arange(BIG))))
    return np.asarray(full(jnp.arange(16)))


def is_bijection(values, n):
    return values.shape == (n,) and values.min() >= 0 and (np.bincount(values, minlength=n) == 1).all()


AROUND_POWERS = sorted({m for k in (1, 2, 3, 4, 9, 12) for m in (2**k - 1, 2**k, 2**k + 1)})


@pytest.mark.parametrize("n", [*AROUND_POWERS, 65_536, 65_537, BIG, 1_000_003])
def test_bijection(n):
    assert is_bijection(whole(n), n)


@settings(deadline=None, max_examples=5)
@given(n=st.integers(1, 5000), seed=st.integers(0, 2**32 - 1))
def test_bijection_for_any_size_and_key(n, seed):
    assert is_bijection(whole(n, jax.random.key(seed)), n)


@settings(deadline=None, max_examples=20)
@given(words=st.lists(st.integers(0, 2**32 - 1), min_size=ROUNDS, max_size=ROUNDS))
def test_bijection_for_any_words(words):
    values = feistel_permutation(jnp.array(words, jnp.uint32), 1000, jnp.arange(1000))
    assert is_bijection(np.asarray(values), 1000)


@pytest.mark.parametrize("n", [10**9, 2**30, 2**30 + 1, MAX_COUNT])
def test_distinct_and_in_range_for_the_largest(n):
    spread = np.linspace(0, n - 1, 5000).astype(np.int64)
    positions = np.unique(np.concatenate([spread, np.arange(5000), n - 1 - np.arange(5000)])).astype(np.int32)
    values = np.asarray(shuffled_indices(KEY, 0, n, positions))
    assert len(np.unique(values)) == len(positions)
    assert values.min() >= 0
    assert values.max() < n
    # uniform on [0, n): Kolmogorov–Smirnov
    assert stats.kstest((values + 0.5) / n, "uniform").pvalue > P


def test_what_order_it_is():
    """Exact below 2¹⁶; from there on, the network; in both cases a function of (key, epoch) and the positions."""
    n = EXACT_BELOW - 1
    positions = jnp.array([[5, 0], [n - 1, 17]], jnp.uint32)
    np.testing.assert_array_equal(shuffled_indices(KEY, 2, n, positions), order(KEY, 2, n)[positions])
    words = words_of(jax.random.fold_in(KEY, 2))
    np.testing.assert_array_equal(
        shuffled_indices(KEY, 2, n + 1, positions), feistel_permutation(words, n + 1, jnp.arange(n + 1))[positions]
    )


@pytest.mark.parametrize("n", [100, BIG])
def test_a_pure_function_of_key_and_epoch(n):
    positions = jnp.arange(100)
    compiled = jax.jit(shuffled_indices, static_argnames="n")
    keys = jax.random.split(KEY, 3)
    found = jax.vmap(lambda key: compiled(key, jnp.int32(4), n, positions))(keys)
    assert found.dtype == jnp.int32
    for key, row in zip(keys, found, strict=True):
        np.testing.assert_array_equal(row, shuffled_indices(key, 4, n, positions))
        np.testing.assert_array_equal(row[7], shuffled_indices(key, 4, n, jnp.int32(7)))
        assert (row != shuffled_indices(key, 5, n, positions)).sum() > 80
    assert (found[0] != found[1]).sum() > 80


@pytest.mark.parametrize("n", [100, BIG])
def test_positions_outside_mean_the_nearest(n):
    outside = shuffled_indices(KEY, 0, n, jnp.array([-3, n, MAX_COUNT]))
    np.testing.assert_array_equal(outside, shuffled_indices(KEY, 0, n, jnp.array([0, n - 1, n - 1])))
    assert shuffled_indices(KEY, 0, n, jnp.array([-3], jnp.int8)).dtype == jnp.int32
    assert shuffled_indices(KEY, 0, n, jnp.zeros(0, jnp.int32)).shape == (0,)


def test_double_precision_mode_changes_nothing():
    narrow = shuffled_indices(KEY, 0, BIG, np.arange(100))
    with float64_mode():
        wide = shuffled_indices(KEY, 0, BIG, np.arange(100))
    assert narrow.dtype == wide.dtype == jnp.int32
    np.testing.assert_array_equal(wide, narrow)


@pytest.mark.parametrize("n", [0, -1, 2**31, 2.0, True])
def test_bad_size(n):
    with pytest.raises(ValueError, match=r"shuffled_indices: `n` must be an integer from 1 to 2147483647, got"):
        shuffled_indices(KEY, 0, n, jnp.arange(3))


def test_bad_positions():
    with pytest.raises(TypeError, match="shuffled_indices: `positions` must be integers"):
        shuffled_indices(KEY, 0, 10, jnp.arange(3.0))


def arrays(jaxpr):
    """The shape and dtype of every array in a program, those of the programs within it included."""
    for equation in jaxpr.eqns:
        yield from (x.aval for x in (*equation.invars, *equation.outvars))
        for part in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda x: hasattr(x, "eqns")):
            inner = getattr(part, "jaxpr", part)
            if hasattr(inner, "eqns"):
                yield from arrays(inner)


def test_memory_is_that_of_the_positions():
    def f(key, epoch, positions):
        return shuffled_indices(key, epoch, MAX_COUNT, positions)

    arguments = (KEY, jnp.int32(0), jnp.arange(64))
    assert max(x.size for x in arrays(jax.make_jaxpr(f)(*arguments).jaxpr)) == 64
    used = jax.jit(f).lower(*arguments).compile().memory_analysis()
    if used is not None:  # not every backend tells
        assert used.temp_size_in_bytes < 64 * 1024


KEYS = 60_000


@functools.partial(jax.jit, static_argnames="n")
def counts(n, key):
    """Over many keys: how often position i has value v, (n, n); and how often (first, last) are (u, v), (n, n)."""

    def permutation(key):
        return feistel_permutation(words_of(key), n, jnp.arange(n))

    values = jax.vmap(permutation)(jax.random.split(key, KEYS))
    single = jax.vmap(lambda column: jnp.bincount(column, length=n), in_axes=1)(values)
    first_two, ends = (jnp.bincount(values[:, 0] * n + values[:, i], length=n * n) for i in (1, n - 1))
    return single, first_two.reshape(n, n), ends.reshape(n, n)


@pytest.mark.parametrize("n", [13, 16, 24])
def test_values_and_pairs_of_values_are_uniform_over_keys(n):
    """Small n are the hardest: with half as many rounds, all of these fail by 20 standard deviations and more.

    χ² of positions × values: rows and columns both sum to the number of keys, which leaves (n − 1)² degrees of freedom
    and makes the plain sum n/(n − 1) too large. Of pairs of distinct values: n(n − 1) − 1.
    """
    single, *pairs = (np.asarray(x, np.float64) for x in counts(n, jax.random.key(1)))
    expected = KEYS / n
    statistic = (n - 1) / n * ((single - expected) ** 2 / expected).sum()
    assert statistic < stats.chi2.isf(P, (n - 1) ** 2)
    for pair in pairs:
        assert np.diag(pair).sum() == 0
        off_diagonal = pair[~np.eye(n, dtype=bool)]
        expected = KEYS / (n * (n - 1))
        assert ((off_diagonal - expected) ** 2 / expected).sum() < stats.chi2.isf(P, n * (n - 1) - 1)


def test_orders_of_many_examples_look_random():
    """Moments of a uniformly random permutation π of n, summed over 16 independent ones.

    Ascents: mean (n − 1)/2, variance (n + 1)/12. Σ|π(i) − i|: mean (n² − 1)/3, variance (n + 1)(2n² + 7)/45 (Diaconis
    & Graham 1977). Circular serial correlation: mean −1/(n − 1), variance 1/n to first order.
    """
    orders, n = big_orders().astype(np.float64), float(BIG)
    m = len(orders)

    def near(found, mean, variance):
        return abs(np.sum(found) - m * mean) < FIVE * np.sqrt(m * variance)

    assert near((orders[:, 1:] > orders[:, :-1]).sum(1), (n - 1) / 2, (n + 1) / 12)
    displacement = np.abs(orders - np.arange(BIG)).sum(1)
    assert near(displacement, (n**2 - 1) / 3, (n + 1) * (2 * n**2 + 7) / 45)
    centred = (orders - (n - 1) / 2) / np.sqrt((n**2 - 1) / 12)
    for lag in (1, 2, 64):
        assert near((centred * np.roll(centred, -lag, axis=1)).mean(1), -1 / (n - 1), 1 / n)


def test_batches_are_spread_over_the_data():
    """χ² of 8 × 8: which eighth of the epoch sees which eighth of the data, for each epoch."""
    edges = np.arange(BIG) * 8 // BIG
    for values in big_orders():
        table = np.bincount(edges * 8 + edges[values], minlength=64).reshape(8, 8)
        expected = np.outer(table.sum(1), table.sum(0)) / BIG
        assert ((table - expected) ** 2 / expected).sum() < stats.chi2.isf(P, 49)


def test_fixed_points_and_coincidences_of_epochs_are_poisson():
    """π(i) = i happens once on average, nearly Poisson; so does π(i) = ρ(i) for the orders of two epochs."""
    orders = big_orders()
    fixed = (orders == np.arange(BIG)).sum()
    coincidences = (orders[1:] == orders[:-1]).sum()
    for found, mean in ((fixed, 16), (coincidences, 15)):
        assert stats.poisson.ppf(P / 2, mean) <= found <= stats.poisson.isf(P / 2, mean)


def cycles(permutation):
    """The number of cycles: each is counted at its smallest element, found by doubling the length of the look-ahead."""
    smallest, ahead = np.arange(len(permutation)), permutation
    for _ in range(len(permutation).bit_length()):
        smallest, ahead = np.minimum(smallest, smallest[ahead]), ahead[ahead]
    return (smallest == np.arange(len(permutation))).sum()


def test_number_of_cycles():
    """Of a random permutation: the sum of independent Bernoulli variables of probabilities 1/k, k = 1 … n."""
    assert cycles(np.array([1, 2, 0, 3, 5, 4])) == 3
    found = sum(cycles(values) for values in big_orders())
    chance = 1 / np.arange(1, BIG + 1)
    assert abs(found - 16 * chance.sum()) < FIVE * np.sqrt(16 * (chance * (1 - chance)).sum())


def test_mix_is_a_bijection_with_avalanche():
    """Each of the 32 bits of the argument flips each bit of the result with probability ½ ± 0.02, over 20,000 of them.

    The standard deviation of the mean is 0.0035. Bijective: three xor-shifts and two odd multipliers; seen on 2²⁰.
    """
    x = jax.random.bits(KEY, (20_000,), jnp.uint32)
    flipped = np.asarray(mix(x)[None] ^ mix(x[None] ^ (np.uint32(1) << np.arange(32, dtype=np.uint32))[:, None]))
    chance = np.array([[((row >> np.uint32(bit)) & np.uint32(1)).mean() for bit in range(32)] for row in flipped])
    np.testing.assert_allclose(chance, 0.5, atol=0.02)
    assert len(np.unique(mix(jnp.arange(2**20, dtype=jnp.uint32)))) == 2**20


MANY = 70_000
EXAMPLES = {"i": np.arange(MANY, dtype=np.int32)}


def visits(w, batch):
    """Its gradient counts the visits of each example in the batch, so under gradient descent −w counts all of them."""
    return w[batch["i"]].sum(), fg.Aux(metrics={"first": batch["i"][0]})


def test_fit_visits_each_of_many_examples_once_per_epoch():
    size = 9_999  # seven batches, and a last one of seven examples
    for epochs in (1, 2):
        options = {"batch_size": size, "epochs": epochs, "key": KEY, "progress": False}
        run = fg.fit(visits, jnp.zeros(MANY), fg.sgd(1.0), EXAMPLES, **options)
        np.testing.assert_array_equal(run.params, -epochs * np.ones(MANY))
    order_key, _ = jax.random.split(KEY)
    starts = size * np.arange(8)
    expected = [shuffled_indices(order_key, epoch, MANY, starts) for epoch in range(2)]
    np.testing.assert_array_equal(run.history["first"], np.concatenate(expected))


def test_fit_never_forms_a_long_order():
    """In the program of a chunk no array of integers is longer than the batch, besides the data."""
    step = fg.make_step(lambda w, batch: (w * batch["x"]).mean(), fg.sgd(1.0))
    state = fg.TrainState.create(jnp.zeros(()), step.tx, key=KEY)

    def longest(n):
        def chunk(data):
            feed = Resident(data, KEY, Layout(n, 64, drop_last=False), 64, crosses=True)
            return run_chunk(step, state, feed, jnp.int32(3), history=fg.History(), last_norms=False, room=10)

        program = jax.make_jaxpr(chunk)({"x": jnp.zeros(n)}).jaxpr
        return max(x.size for x in arrays(program) if jnp.issubdtype(x.dtype, jnp.integer))

    assert longest(EXACT_BELOW) == 64
    assert longest(EXACT_BELOW - 1) == EXACT_BELOW - 1  # a short one is carried
