"""Parts of modules of other libraries, frozen by path."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg

eqx = pytest.importorskip("equinox")


def test_layers_of_an_equinox_module():
    model = eqx.nn.MLP(2, 1, 8, 2, key=jax.random.key(0))
    x = jnp.linspace(-1.0, 1.0, 16).reshape(8, 2)
    data = {"x": x, "y": x[:, :1]}

    def loss(model, batch):
        return jnp.mean((jax.vmap(model)(batch["x"]) - batch["y"]) ** 2)

    frozen = fg.freeze(model, ["layers/0/*", "*/bias"])
    run = fg.fit(loss, frozen, fg.adam(0.01), data, batch_size=4, epochs=2, key=jax.random.key(1), progress=False)
    assert isinstance(run.params, eqx.nn.MLP)
    assert run.params.activation is model.activation
    for i, (new, old) in enumerate(zip(run.params.layers, model.layers, strict=True)):
        np.testing.assert_array_equal(new.bias, old.bias)
        assert np.array_equal(new.weight, old.weight) == (i == 0)
    assert len(jax.tree.leaves(fg.tree.get(run.state.opt_state, "mu"))) == 2
    np.testing.assert_allclose(loss(run.params, data), run.history["loss"][-1], rtol=0.5)
