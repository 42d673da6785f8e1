"""The contract that every transform must meet, ours and yours."""

from collections.abc import Sequence
from typing import Any

from funcgd.testing import numbers, structure, value
from funcgd.testing.common import Properties
from funcgd.testing.fixtures import precision


def check_transform(
    tx: Any,
    *,
    dtypes: Sequence[str] = ("float32", "bfloat16", "float16", "complex64", "float64"),
    elementwise: bool = True,
    leafwise: bool = True,
    alike: bool = True,
    forgets: bool = True,
    differentiable: bool = True,
    stochastic: bool = False,
    complex_ok: bool = True,
    turns: bool = True,
    code: bool = True,
    extra: dict[str, Any] | None = None,
) -> None:
    """Hold `tx` to the contract of transforms.

    - its state keeps structure, shapes, dtypes and weak types, and is compiled once, whatever its numbers;
    - compiled, eager, and under `vmap` over parameters and numbers, it gives the same; `eval_shape(tx.init, params)`
      works; nothing is aliased, so all may be donated;
    - zero, tiny, subnormal and huge gradients, and zero parameters, leave state and updates finite; zero gradients give
      zero updates (but for decay), and zero parameters move; after a huge gradient all is, at last, as without it;
    - NaN and infinities stay in their entry or leaf; neither place nor name of a leaf matters;
    - updates of low-precision parameters are float32, others keep their dtype, mixed trees too; those of complex ones
      turn with them;
    - empty trees, None leaves, scalars, zero-size arrays, many leaves, nested nodes work; `init, update = tx` unpacks;
    - it prints as code, compares, hashes, pickles and copies, also after a pass through jit; numbers out of range are
      refused where they are known; the first update is that of schedules at step 0;
    - derivatives of five steps with respect to its numbers and the parameters are finite, also at zero gradients;
    - wrong input gives an error that names the place.

    Args:
        tx: the transform.
        dtypes: the dtypes of parameters to check; those of up to 32 bits in one tree, whose main one is the first.
        elementwise: whether entries of a leaf do not influence each other.
        leafwise: whether leaves do not influence each other.
        alike: whether all leaves are treated alike, wherever they are.
        forgets: whether the memory of a huge gradient fades: False for sums, where the leaf must move nevertheless.
        differentiable: whether updates are differentiable in reverse mode; else they must be so in forward mode.
        stochastic: whether it draws random numbers; then zero gradients may give other updates than zero, but the same
            state must give the same update, and no two leaves and no two steps the same noise.
        complex_ok: whether there is a rule for complex parameters; else they must be refused by `init`.
        turns: whether updates turn with a complex leaf; False where real and imaginary part are treated as two numbers.
        code: whether `repr` is code: False where static parts have no name.
        extra: keyword arguments that its `update` needs, beside `value`, `grad` and `value_fn`.

    Raises:
        AssertionError: naming the first clause that does not hold, and the dtype.

    >>> import funcgd as fg
    >>> from funcgd.testing import check_transform
    >>> check_transform(fg.sgd(0.1), dtypes=("float32",))
    """
    extra = extra or {}
    properties = Properties(elementwise, leafwise, alike, forgets, stochastic, differentiable, turns)
    structure.check_errors(tx, complex_ok, extra)
    structure.check_state(tx, extra)
    structure.check_shapes(tx, extra)
    value.check_value(tx, code)
    value.check_ranges(tx)
    value.check_schedules(tx, extra)
    value.check_derivatives(tx, differentiable, extra)
    narrow = tuple(d for d in dtypes if d != "float64" and (complex_ok or d != "complex64"))
    if narrow:
        numbers.check_numbers(tx, narrow, properties, extra)
    if "float64" in dtypes:
        with precision("float64"):
            numbers.check_numbers(tx, ("float64", "float32"), properties, extra, small=True)
