"""Layers of any function, tagged by name: the numbers of a network, wherever the tags stand."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.ad_checkpoint import checkpoint_name

import funcgd as fg

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
BATCH = {k: jnp.asarray(RNG.standard_normal((6, n)), jnp.float32) for k, n in (("x", 3), ("y", 2))}
NETWORK = fg.multilayer_perceptron([3, 5, 4, 2], ["sigmoid", "relu", "tanh"])
PARAMS = NETWORK.init(KEY)


def dense(layer, x):
    return x @ layer["w"].T + layer["b"]


def at_z(params, x):
    """Tags where backpropagation has its δ, one inside of a checkpoint, one inside of a compiled function."""
    x = jax.nn.sigmoid(checkpoint_name(dense(params[0], x), "first"))
    x = jax.checkpoint(lambda p, x: jax.nn.relu(checkpoint_name(dense(p, x), "again")))(params[1], x)
    return jax.jit(lambda p, x: jnp.tanh(checkpoint_name(dense(p, x), "again")))(params[2], x)


def at_a(params, x):
    x = checkpoint_name(jax.nn.sigmoid(dense(params[0], x)), "one")
    x = jax.vmap(lambda x: checkpoint_name(jnp.maximum(dense(params[1], x), 0), "two"))(x)
    return jnp.tanh(dense(params[2], x))


def test_tags_at_z_have_the_numbers_of_the_network():
    network = fg.diagnose(NETWORK, PARAMS, BATCH, fg.l2_loss, tx=fg.sgd(0.1))
    tagged = fg.diagnose(at_z, PARAMS, BATCH, fg.l2_loss, tx=fg.sgd(0.1))
    assert list(tagged.gradient_norm) == ["first", "again", "again[1]", "output"]
    np.testing.assert_allclose(tagged.loss, network.loss, rtol=1e-6)
    for column in ("gradient_norm", "weight_norm", "weight_gradient_norm", "update_ratio"):
        found = list(getattr(tagged, column).values())[:3]  # the output has no parameters behind the last tag
        np.testing.assert_allclose(found, list(getattr(network, column).values()), rtol=1e-5)
    assert tagged.bound == {}
    assert "output" not in tagged.weight_norm
    assert tagged.activation["output"] == "tanh"


def test_tags_at_a():
    """Activations are known by their operations; the output counts as a layer."""
    network = fg.diagnose(NETWORK, PARAMS, BATCH, fg.l2_loss)
    tagged = fg.diagnose(types.SimpleNamespace(apply=at_a), PARAMS, BATCH, fg.l2_loss)
    assert tagged.activation == {"one": "sigmoid", "two": "relu", "output": "tanh"}
    for column in ("activation_norm", "saturated", "dead", "weight_gradient_norm"):
        mine, its = (list(getattr(found, column).values()) for found in (tagged, network))
        np.testing.assert_allclose(mine, its, rtol=1e-5)
    a, y = np.asarray(jax.jit(NETWORK.apply)(PARAMS, BATCH["x"]), np.float64), np.asarray(BATCH["y"])
    np.testing.assert_allclose(tagged.gradient_norm["output"], np.sqrt(((a - y) ** 2).sum(1).mean()), rtol=1e-5)
    hidden = (a - y) * (1 - a**2) @ np.asarray(PARAMS[2]["w"], np.float64)
    np.testing.assert_allclose(tagged.gradient_norm["two"], np.sqrt((hidden**2).sum(1).mean()), rtol=1e-5)


def test_loss_of_fit_with_tags_inside():
    def loss(params, batch):
        output = checkpoint_name(at_a(params["net"], batch["x"]), "head")
        return fg.l2_loss(output, batch["y"]).sum() / 6 + 0.5 * jnp.sum(params["net"][2]["w"] ** 2), fg.Aux()

    params = {"net": fg.freeze(PARAMS, "0/*"), "epoch": 3}
    found = fg.diagnose(None, params, BATCH, loss, tx=fg.adam(0.01))
    assert list(found.gradient_norm) == ["one", "two", "head"]
    expected = fg.diagnose(at_a, PARAMS, BATCH, fg.l2_loss)
    np.testing.assert_allclose(list(found.gradient_norm.values()), list(expected.gradient_norm.values()), rtol=1e-5)
    assert list(found.weight_norm) == ["two", "head"], "what is frozen does not train"
    assert found.weight_gradient_norm["head"] != pytest.approx(expected.weight_gradient_norm["output"])


def test_loops_and_unknown_names():
    def scanned(params, x):
        x = checkpoint_name(x @ params, "before")
        return jax.lax.scan(lambda x, _: (checkpoint_name(jnp.tanh(x), "inside"), None), x, None, 3)[0]

    batch = BATCH["x"], BATCH["x"]
    with pytest.raises(ValueError, match="diagnose: the tag 'inside' stands inside a `scan`"):
        fg.diagnose(scanned, jnp.eye(3), batch, fg.l2_loss)
    found = fg.diagnose(scanned, jnp.eye(3), batch, fg.l2_loss, layers=["before"])
    assert list(found.gradient_norm) == ["before"]
    with pytest.raises(ValueError, match=r"`layers` names 'three', but there are only 'one', 'two', 'output'"):
        fg.diagnose(at_a, PARAMS, BATCH, fg.l2_loss, layers=["one", "three"])
    with pytest.raises(ValueError, match=r"`layers` names 'layer4', but there are only 'layer1', 'layer2', 'layer3'"):
        fg.diagnose(NETWORK, PARAMS, BATCH, fg.l2_loss, layers=["layer4"])


def test_bad_arguments():
    with pytest.raises(ValueError, match="`loss` has no tagged layer"):
        fg.diagnose(None, PARAMS, BATCH, lambda params, batch: jnp.sum(params[0]["w"]))
    with pytest.raises(TypeError, match="`batch` must be a pair"):
        fg.diagnose(NETWORK, PARAMS, BATCH["x"], fg.l2_loss)
    with pytest.raises(TypeError, match=r"`model` must be an .*, a function"):
        fg.diagnose(3, PARAMS, BATCH, fg.l2_loss)
    with pytest.raises(TypeError, match="`loss` must be a function"):
        fg.diagnose(NETWORK, PARAMS, BATCH, None)
    with pytest.raises(TypeError, match="diagnose: `layers`: expected a list of names"):
        fg.diagnose(NETWORK, PARAMS, BATCH, fg.l2_loss, layers="layer1")
    with pytest.raises(ValueError, match="`opt_state` is that of `tx`"):
        fg.diagnose(NETWORK, PARAMS, BATCH, fg.l2_loss, opt_state=())
    with pytest.raises(TypeError, match="expected a transform"):
        fg.diagnose(NETWORK, PARAMS, BATCH, fg.l2_loss, tx=0.1)


@pytest.mark.parametrize("model", [NETWORK, at_a], ids=["network", "tagged"])
def test_metrics_are_the_numbers_of_the_diagnosis(model):
    """In fit, at the end of an epoch, on validation data; and in each step, from within the loss."""
    metrics = fg.diagnostics_metrics(model, fg.l2_loss)
    assert metrics == fg.diagnostics_metrics(model, fg.l2_loss)

    def loss(params, batch):
        value = fg.l2_loss(NETWORK.apply(params, batch["x"]), batch["y"]).sum(axis=1).mean()
        return value, fg.Aux(metrics=metrics(params, batch))

    def plain(params, batch):
        return fg.l2_loss(NETWORK.apply(params, batch["x"]), batch["y"]).sum(axis=1).mean()

    run = fg.fit(
        plain,
        PARAMS,
        fg.sgd(0.1),
        BATCH,
        batch_size=None,
        epochs=1,
        key=KEY,
        validation=BATCH,
        metrics=metrics,
        progress=False,
    )
    _, reported = jax.jit(fg.make_step(loss, fg.sgd(0.1)))(fg.TrainState.create(PARAMS, fg.sgd(0.1)), BATCH)
    for params, found in ((run.params, run.history["validation"]), (PARAMS, reported)):
        diagnosis = fg.diagnose(model, params, BATCH, fg.l2_loss)
        for layer in diagnosis.activation:
            for column in ("activation_norm", "gradient_norm", "gradient_ratio", "weight_gradient_norm", "dead"):
                if layer in getattr(diagnosis, column):
                    value = np.asarray(found[f"{layer}/{column}"]).item()
                    np.testing.assert_allclose(value, getattr(diagnosis, column)[layer], rtol=1e-4)
