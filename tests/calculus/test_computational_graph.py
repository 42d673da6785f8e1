"""Computational graphs: the lecture's example to the digit, any function against jax.grad, what becomes a node."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.calculus import computational_graph
from funcgd.core.numerics import float64_mode

RNG = np.random.default_rng(0)


def ops(graph):
    return [node.op for node in graph.nodes if node.op not in ("input", "constant")]


def numbers(xs):
    return [None if x is None else np.asarray(x).tolist() for x in xs]


def test_row_16_the_first_example():
    """f = (x + y)z at (−2, 5, −4): f = −12 and ∇f = (z, z, x + y) = (−4, −4, 3), with all that is in between."""
    graph = computational_graph(lambda x, y, z: (x + y) * z, -2.0, 5.0, -4.0)
    assert float(graph.value) == -12
    assert numbers(graph.gradient) == [-4, -4, 3]
    q, f = graph["v1"], graph[graph.output]
    assert (q.op, q.inputs, float(q.value), numbers(q.local_gradients), float(q.gradient)) == (
        "add", ["x", "y"], 3, [1, 1], -4,
    )  # fmt: skip
    assert (f.op, f.inputs, float(f.value), numbers(f.local_gradients), float(f.gradient)) == (
        "mul", ["v1", "z"], -12, [-4, 3], 1,
    )  # fmt: skip
    assert [(e.source, e.target, float(e.local_gradient), float(e.gradient)) for e in graph.edges] == [
        ("x", "v1", 1, -4), ("y", "v1", 1, -4), ("v1", "v2", -4, -4), ("z", "v2", 3, 3),
    ]  # fmt: skip
    assert [(n.name, n.layer, n.position) for n in graph.nodes] == [
        ("x", 0, -1), ("y", 0, 0), ("z", 0, 1), ("v1", 1, 0), ("v2", 2, 0),
    ]  # fmt: skip
    assert str(graph).splitlines() == [
        "node  operation  inputs  value  local gradients  gradient",
        "x     input              -2                      -4",
        "y     input              5                       -4",
        "z     input              -4                      3",
        "v1    add        x, y    3      1; 1             -4",
        "v2    mul        v1, z   -12    -4; 3            1",
    ]


def test_a_value_used_twice_gets_the_sum_of_what_flows_back():
    """x·x + 3x at 5: the factors x send back 5 each, the sum 3."""
    graph = computational_graph(lambda x: x * x + 3.0 * x, 5.0)
    assert sorted(float(e.gradient) for e in graph.edges if e.source == "x") == [3, 5, 5]
    assert float(graph["x"].gradient) == 13
    three = graph["3"]
    assert (three.op, three.value, three.gradient) == ("constant", 3, None)


def test_row_17_a_network_with_its_loss():
    """The δ of a layer is the backward gradient of its z."""
    model = fg.multilayer_perceptron([3, 4, 2], ["tanh", "softmax"])
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    params = jax.tree.map(lambda leaf: np.float32(RNG.standard_normal(leaf.shape)), shapes)
    x, y = np.float32(RNG.standard_normal(3)), np.float32([0, 1])
    loss = lambda params: fg.l2_loss(model.apply(params, x), y).sum()  # noqa: E731
    graph = computational_graph(loss, params)
    value, gradient = jax.jit(jax.value_and_grad(loss))(params)
    np.testing.assert_allclose(graph.value, value, rtol=1e-6)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-7), graph.gradient, (gradient,))
    assert [n.name for n in graph.nodes if n.op == "input"] == [
        f"params[{i}]['{name}']" for i in (0, 1) for name in ("b", "w")
    ]
    (hidden,) = [n for n in graph.nodes if n.op == "tanh"]
    delta = fg.backpropagate(model, params, x, y, fg.l2_loss).delta[0]
    np.testing.assert_allclose(graph[hidden.inputs[0]].gradient, delta, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(
        hidden.local_gradients[0], np.diag(1 - np.tanh(graph[hidden.inputs[0]].value) ** 2), rtol=1e-5
    )
    assert f"(4,) ‖{np.linalg.norm(hidden.value):.6g}‖" in str(graph)


def test_every_node_satisfies_the_chain_rule():
    """∂f/∂input over an edge is the gradient of the target times the local gradient, whatever the shapes."""

    def f(w, x, s):
        z = jnp.cumsum(w @ x) * s
        return jnp.sum(jnp.where(z > 0, z**3, jnp.exp(z))[::-1] / jnp.max(z**2))

    args = (jnp.asarray(RNG.standard_normal((2, 3)), jnp.float32), jnp.array([0.3, -0.5, 0.7]), 0.9)
    graph = computational_graph(f, *args)
    checked = 0
    for edge in graph.edges:
        if edge.local_gradient is not None:
            g = np.asarray(graph[edge.target].gradient, np.float64)
            expected = np.tensordot(g, np.asarray(edge.local_gradient, np.float64), g.ndim)
            np.testing.assert_allclose(edge.gradient, expected, rtol=1e-5, atol=1e-6)
            checked += 1
    for node in graph.nodes:
        sent = [e.gradient for e in graph.edges if e.source == node.name and e.gradient is not None]
        if sent:
            np.testing.assert_allclose(node.gradient, sum(sent[1:], sent[0]), rtol=1e-6)
    assert checked > 10
    by_jax = jax.jit(jax.grad(f, argnums=(0, 1, 2)))(*args)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), graph.gradient, by_jax)


def test_control_flow_is_one_node():
    def f(x):
        y = jax.lax.cond(x > 0, jnp.sin, jnp.cos, x)
        total, steps = jax.lax.scan(lambda c, t: (c * t, c + t), y, jnp.array([2.0, 3.0]))
        return total + steps.sum()

    graph = computational_graph(f, 0.5)
    assert ops(graph).count("cond") == ops(graph).count("scan") == 1
    (scan,) = [n for n in graph.nodes if n.op == "scan"]  # total 6y, steps (y + 2, 2y + 3)
    y = np.sin(0.5)
    np.testing.assert_allclose(scan.value[0], 6 * y, rtol=1e-6)
    np.testing.assert_allclose(scan.value[1], [y + 2, 2 * y + 3], rtol=1e-6)
    assert (numbers(scan.gradient), scan.local_gradients) == ([1, [1, 1]], [None, None])
    assert {f"{scan.name}[0]", f"{scan.name}[1]"} <= {name for n in graph.nodes for name in n.inputs}
    np.testing.assert_allclose(graph.gradient[0], 9 * np.cos(0.5), rtol=1e-6)


def test_a_while_loop_has_a_gradient_too():
    """Doubled until it is above 20: 3 → 24, so f = (8x)² and f′ = 128x; jax.grad alone refuses while."""

    def f(x, n):
        count, y, _ = jax.lax.while_loop(lambda s: s[1] < 20, lambda s: (s[0] + 1, 2 * s[1], s[2]), (0, x, n))
        return y**2 + 0.0 * count.astype(y.dtype)

    graph = computational_graph(f, 3.0, 1.0)
    (loop,) = [n for n in graph.nodes if n.op == "while"]
    assert float(graph.value) == 576
    assert numbers(graph.gradient) == [384, 0]
    assert loop.gradient[0] is None  # the count
    with pytest.raises(ValueError, match="Reverse-mode"):
        jax.grad(f)(3.0, 1.0)


@jax.custom_vjp
def reversed_identity(x):
    return 1.0 * x


reversed_identity.defvjp(lambda x: (x, None), lambda _, g: (-g,))


def test_calls():
    """Compiled functions and checkpoints are taken apart; those with a rule of their own keep it."""
    graph = computational_graph(lambda x: jax.jit(lambda x: jax.checkpoint(jnp.sin)(x) * 2.0)(x), 0.5)
    assert ops(graph) == ["sin", "mul"]
    graph = computational_graph(jax.nn.relu, 0.0)
    assert ops(graph) == ["relu"]
    assert float(graph.gradient[0]) == 0  # that of max(x, 0) is ½ there
    graph = computational_graph(lambda x: reversed_identity(x) * 3.0, 0.5)
    assert ops(graph) == ["reversed_identity", "mul"]
    assert float(graph.gradient[0]) == -3


def test_what_has_no_gradient_says_so():
    table = jnp.array([1.0, 10.0, 100.0])

    def f(x):
        jnp.sin(x)  # not used
        return table[jnp.argmax(x)] * x[1] * x[1]

    graph = computational_graph(f, jnp.array([1.0, 3.0, 2.0]))
    assert "sin" not in ops(graph)
    assert numbers(graph.gradient) == [[0, 60, 0]]
    index, constant = next(n for n in graph.nodes if n.op == "argmax"), graph["c1"]
    assert (int(index.value), index.gradient, index.local_gradients) == (1, None, [None])
    assert (constant.op, constant.value.tolist(), constant.gradient) == ("constant", [1, 10, 100], None)
    assert "–" in str(graph)


def test_what_depends_on_no_argument_is_a_constant():
    noise = jax.random.normal(jax.random.key(0))
    graph = computational_graph(lambda x: x * jnp.arange(4.0).sum() + jax.random.normal(jax.random.key(0)), 2.0)
    assert ops(graph) == ["mul", "add"]
    assert sorted(float(n.value) for n in graph.nodes if n.op == "constant") == pytest.approx(sorted([6, float(noise)]))
    np.testing.assert_allclose(graph.value, 12 + noise, rtol=1e-6)
    assert numbers(graph.gradient) == [6]


def test_nothing_goes_back_through_what_has_no_derivative():
    """Behind stop_gradient and floor the slope of √ at 0 is infinite; it must not meet the 0 that they send."""
    f = lambda x, y: x * jax.lax.stop_gradient(jnp.sqrt(y)) + jnp.floor(jnp.sqrt(y) * x) + 2.0 * y  # noqa: E731
    graph = computational_graph(f, 3.0, 0.0)
    assert numbers(graph.gradient) == numbers(jax.grad(f, argnums=(0, 1))(3.0, 0.0)) == [0, 2]
    assert [float(e.gradient) for e in graph.edges if e.source == "y"] == [0, 0, 2]
    graph = computational_graph(lambda x: jnp.sqrt(x), 0.0)
    assert numbers(graph.gradient) == [np.inf]


def test_small_cases():
    graph = computational_graph(lambda x, unused: x, 2.0, jnp.ones(2))
    assert (graph.output, float(graph.value), numbers(graph.gradient)) == ("x", 2, [1, [0, 0]])
    graph = computational_graph(lambda x: 7.0, 2.0)
    assert (graph.output, float(graph.value), numbers(graph.gradient)) == ("7", 7, [0])
    graph = computational_graph(lambda v1, *rest: v1 * rest[0]["a"] ** 2, 2.0, {"a": 3.0, "b": None})
    assert [n.name for n in graph.nodes] == ["v1", "rest[0]['a']", "v2", "v3"]
    assert ops(graph) == ["integer_pow(2)", "mul"]
    assert (float(graph.gradient[0]), float(graph.gradient[1]["a"]), graph.gradient[1]["b"]) == (9, 12, None)
    with pytest.raises(KeyError, match=r"there is no node 'q'; there are v1, rest\[0\]\['a'\], v2, v3"):
        graph["q"]
    large = computational_graph(lambda x: jnp.sum(2.0 * x), jnp.ones(65))
    assert [n.local_gradients[-1] is None for n in large.nodes if n.inputs] == [True, False]  # 65² and 65 entries


def test_precision():
    with float64_mode():
        graph = computational_graph(lambda x: jnp.exp(jnp.sin(x)), 0.7)
        np.testing.assert_allclose(graph.gradient[0], np.exp(np.sin(0.7)) * np.cos(0.7), rtol=1e-14)
    graph = computational_graph(lambda x: jnp.sum(x * x), jnp.ones(3, jnp.bfloat16))
    assert graph.gradient[0].dtype == graph["v1"].local_gradients[0].dtype == jnp.bfloat16
    assert graph.gradient[0].tolist() == [2, 2, 2]


def test_the_layout_has_layers():
    graph = computational_graph(lambda x, y: jnp.sin(x) * y + 2.0 * jnp.cos(y) / (1.0 + x * y), 0.3, 0.4)
    places = [(n.layer, n.position) for n in graph.nodes]
    assert len(set(places)) == len(places)
    assert all(graph[e.source].layer < graph[e.target].layer for e in graph.edges)
    for layer in {layer for layer, _ in places}:
        positions = sorted(position for other, position in places if other == layer)
        np.testing.assert_allclose(np.diff(positions), 1)
        assert sum(positions) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((lambda x: x, jnp.ones(2)), r"`fun` must return one real floating number, got shape \(2,\) and dtype float32"),
        ((lambda x: (x, x), 1.0), r"`fun` must return one real floating number, got a tuple"),
        ((lambda x: x > 0, 1.0), r"`fun` must return one real floating number, got shape \(\) and dtype bool"),
        ((lambda x: jax.lax.complex(x, x), 1.0), r"`fun` must return one real .* complex64"),
        (
            (lambda x, y: x + y, 1.0, 2),
            r"`y` must be a real floating number .* got 2\. Numbers are written as 2\.0",
        ),
        ((lambda p: p["n"], {"n": jnp.arange(2)}), r"`p\['n'\]` must be a real floating .* int32"),
        ((lambda z: z, 1j), r"`z` must be a real floating number or array, got 1j"),
        ((3.0, 1.0), r"`fun` must be a function, got 3.0"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(TypeError, match=f"computational_graph: {message}"):
        computational_graph(*arguments)


def test_inside_jit_is_an_error():
    with pytest.raises(TypeError, match=r"computational_graph: `x` is traced; .* outside of jit"):
        jax.jit(lambda x: computational_graph(jnp.sin, x).value)(1.0)
