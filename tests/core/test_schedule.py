"""The schedule protocol: numbers and functions of the step, resolved alike."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.core.fields import numbers
from funcgd.core.schedule import at, cast, check_single, init_count, is_concrete, is_scheduled, next_count


@fg.value
class ramp:
    """slope · step: a schedule that is a value."""

    slope: float = fg.number()

    def __call__(self, step):
        return self.slope * jnp.asarray(step, jnp.float32)


@fg.value
class knobs:
    rate: object = fg.number(default=0.1)
    decay: object = fg.number(default=None)
    fixed: object = fg.number(default=2.0, schedule=False)
    places: object = fg.vector(default=())
    inner: object = None


def test_resolve_passes_numbers_and_none():
    x = jnp.float32(0.25)
    assert fg.resolve(0.1, 7) == 0.1
    assert fg.resolve(x, 7) is x
    assert fg.resolve(None, 7) is None


def test_resolve_calls_schedules():
    assert fg.resolve(ramp(0.5), 4) == 2.0
    assert fg.resolve(ramp(0.5), jnp.int32(4)) == 2.0
    assert jax.jit(fg.resolve)(ramp(0.5), 4) == 2.0
    assert jax.grad(lambda s: fg.resolve(s, 4))(ramp(0.5)) == ramp(4.0)


def test_the_step_comes_as_int32_whatever_the_count():
    seen = []

    def schedule(step):
        seen.append((step.dtype, step.shape, int(step)))
        return 0.1

    for count in (3, np.int64(3), jnp.int32(3), jnp.float32(3), 2**24 + 1, 2**31 - 1):
        fg.resolve(schedule, count)
    assert [s[:2] for s in seen] == [(jnp.int32, ())] * 6
    assert [s[2] for s in seen] == [3, 3, 3, 3, 2**24 + 1, 2**31 - 1]


@pytest.mark.parametrize(
    "result", [1, 0.5, np.float16(0.5), jnp.int32(3), jnp.bfloat16(0.5), np.array(2), jnp.float32(0.5)], ids=repr
)
def test_what_schedules_return_is_widened(result):
    resolved = fg.resolve(lambda step: result, 0)
    assert resolved.dtype == jnp.float32
    assert resolved == np.float32(result)


def test_a_schedule_may_return_the_step_itself():
    assert fg.resolve(lambda step: step, 5) == 5.0
    assert fg.resolve(lambda step: step, 5).dtype == jnp.float32


def test_schedules_must_return_scalars():
    with pytest.raises(ValueError, match=r"^resolve: the schedule .* must return a scalar, got shape \(2,\)\.$"):
        fg.resolve(lambda step: jnp.ones(2), 0)
    with pytest.raises(ValueError, match=r"^resolve: the schedule ramp\(slope=1.0\) must"):
        fg.resolve(ramp(1.0), jnp.zeros(3))


def test_at_resolves_all_numbers_and_only_them():
    h = at(knobs(ramp(0.5), 0.9, places=[1, 2]), jnp.int32(4))
    assert vars(h) == {"rate": 2.0, "decay": 0.9, "fixed": 2.0}
    assert type(h.decay) is float
    assert vars(at(knobs(ramp(0.5)), None)) == {"rate": 0.0, "decay": None, "fixed": 2.0}


def test_counting_only_where_something_is_scheduled():
    assert not is_scheduled(knobs())
    assert is_scheduled(knobs(ramp(1)))
    assert is_scheduled(knobs(decay=lambda step: 0.5))
    assert init_count(knobs()) is None
    assert next_count(None) is None
    count = init_count(knobs(ramp(1)))
    assert (count.dtype, count.shape, int(count), count.weak_type) == (jnp.int32, (), 0, False)
    assert next_count(count) == 1
    assert next_count(jnp.int32(2**31 - 1)) == 2**31 - 1


@fg.value
class pair_of_numbers:
    betas: tuple = numbers("[0, 1)", default=(0.9, 0.999))


def test_tuples_of_numbers_are_resolved_and_counted():
    v = pair_of_numbers((0.5, ramp(0.1)))
    assert [float(b) for b in at(v, 4).betas] == [0.5, np.float32(0.4)]
    assert is_scheduled(v)
    assert not is_scheduled(pair_of_numbers())
    with pytest.raises(ValueError, match=r"`betas` has shape.*fg\.stack"):
        at(fg.stack([pair_of_numbers(), pair_of_numbers((0.1, 0.2))]), 0)


def test_a_stack_is_refused_with_advice():
    population = fg.stack([knobs(0.1), knobs(0.2)])
    with pytest.raises(ValueError, match=r"^knobs: `rate` has shape \(2,\), so this is a stack of values") as error:
        at(population, 0)
    for hint in ("fg.stack", "fg.grid", "jax.vmap", "fg.unstack"):
        assert hint in str(error.value)
    assert jax.vmap(lambda v: at(v, 0).rate)(population).tolist() == [np.float32(0.1), np.float32(0.2)]


def test_a_stack_is_found_inside_of_schedules_and_fields():
    for population in (
        fg.stack([knobs(ramp(1)), knobs(ramp(2))]),
        fg.stack([knobs(inner=ramp(1)), knobs(inner=ramp(2))]).inner,
        knobs(inner=(1, fg.stack([ramp(1), ramp(2)]))),
    ):
        with pytest.raises(ValueError, match=r"(ramp: `slope`|knobs: `fixed`) has shape \(2,\)"):
            check_single(population)
    check_single(knobs(ramp(1), places=[1, 2], inner=(ramp(2), None)))


def test_cast():
    h = cast(SimpleNamespace(a=0.1, b=None, c=jnp.bfloat16(0.5), d=3), jnp.float32)
    assert h.a == 0.1
    assert type(h.a) is float
    assert h.b is None
    assert h.c.dtype == h.d.dtype == jnp.float32


def test_is_concrete():
    assert is_concrete(0.1, None, np.ones(2), jnp.float32(1))
    assert not is_concrete(0.1, lambda step: 0.1)
    assert not is_concrete(ramp(1))
    seen = []
    jax.eval_shape(lambda x: seen.append(is_concrete(0.1, x)), 1.0)
    assert seen == [False]
