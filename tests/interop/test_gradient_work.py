"""Gradient work on modules of other libraries: parts frozen by path, losses around losses."""

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


class Net(eqx.Module):
    layers: eqx.nn.MLP
    dropout: eqx.nn.Dropout

    def __call__(self, x, key):
        return self.layers(self.dropout(x, key=key))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_losses_around_the_loss_of_an_equinox_module_with_dropout(dtype):
    key = jax.random.key(0)
    model = Net(eqx.nn.MLP(2, 1, 8, 1, key=key), eqx.nn.Dropout(0.5))
    x = jnp.linspace(-1.0, 1.0, 16).reshape(8, 2)
    data = {"x": x, "y": x[:, :1]}

    def loss(model, batch, key, training):
        model = model if training else eqx.nn.inference_mode(model)
        keys = jax.random.split(key, len(batch["x"]))
        return jnp.mean((jax.vmap(model)(batch["x"], keys) - batch["y"].astype(batch["x"].dtype)) ** 2)

    around = fg.accumulate(fg.mixed_precision(loss, dtype), 3)  # 3 + 1 examples
    options = dict(batch_size=4, epochs=3, key=key, validation=data, progress=False)
    run = fg.fit(around, fg.freeze(model, "*/bias"), fg.adam(0.01), data, **options)
    assert run.params.dropout.p == 0.5
    np.testing.assert_array_equal(run.params.layers.layers[0].bias, model.layers.layers[0].bias)
    assert not np.array_equal(run.params.layers.layers[0].weight, model.layers.layers[0].weight)
    validated = loss(run.params, data, key, training=False)
    np.testing.assert_allclose(run.history["validation"]["loss"][-1], validated, rtol=0.03)
    again = fg.fit(around, fg.freeze(model, "*/bias"), fg.adam(0.01), data, **options)
    np.testing.assert_array_equal(run.history["loss"], again.history["loss"])
