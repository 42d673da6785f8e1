"""A small transformer learns to write Python from the standard library's source, by AdamW and by Muon.

A model is a pure function of its parameters. Its matrices stand behind one axis of layers, and Muon takes them by their
path, while embeddings and the last layer are left to AdamW.
"""

import sysconfig
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import funcgd as fg

LETTERS = 96  # those that print, and the end of a line


def text(count):
    """The first characters of the standard library."""
    codes = b"".join(path.read_bytes() for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")))
    codes = np.frombuffer(codes.replace(b"\n", b"\x7f"), np.uint8)
    return codes[(codes >= 32) & (codes < 128)][:count].astype(np.int32) - 32


def init(key, context, width, layers):
    shapes = {"attend": (3, width, width), "mix": (width, width), "up": (width, 4 * width), "down": (4 * width, width)}
    *keys, for_embed, for_place = jax.random.split(key, len(shapes) + 2)
    weights = {
        name: jax.random.normal(k, (layers, *shape)) * shape[-2] ** -0.5
        for k, (name, shape) in zip(keys, shapes.items(), strict=True)
    }
    embed, place = jax.random.normal(for_embed, (LETTERS, width)), jax.random.normal(for_place, (context, width))
    return {"embed": embed, "place": place, "layers": weights, "last": jnp.zeros((width, LETTERS))}


def normed(x):
    return x * jax.lax.rsqrt(jnp.mean(x.astype("float32") ** 2, -1, keepdims=True) + 1e-6).astype(x.dtype)


def logits(params, tokens):
    """Of each next character, from all up to it: (batch, time) → (batch, time, letters)."""

    def layer(x, w):
        q, k, v = jnp.einsum("btd,nde->nbte", normed(x), w["attend"]).reshape(3, *x.shape[:2], -1, 32)  # heads of 32
        x += jax.nn.dot_product_attention(normed(q), normed(k), v, is_causal=True).reshape(x.shape) @ w["mix"]
        return x + jax.nn.gelu(normed(x) @ w["up"]) @ w["down"], None

    embedded = jax.nn.one_hot(tokens, LETTERS, dtype=params["embed"].dtype) @ params["embed"]
    x, _ = jax.lax.scan(layer, embedded + params["place"][: tokens.shape[1]], params["layers"])
    return normed(x) @ params["last"]


def bits(params, windows):
    """Mean bits per character, the unit in which programs that compress text are compared."""
    nats = fg.softmax_cross_entropy_with_integer_labels(logits(params, windows[:, :-1]), windows[:, 1:])
    return nats.mean() / jnp.log(2.0)


def main(width=64, layers=2, context=64, count=400_000, batch_size=32, epochs=1):
    windows = text(count)[: count // (context + 1) * (context + 1)].reshape(-1, context + 1)
    held_out, training = windows[::10], np.delete(windows, np.s_[::10], 0)
    steps = epochs * -(-len(training) // batch_size)
    loss = bits if jax.default_backend() == "cpu" else fg.mixed_precision(bits, "bfloat16")  # which CPUs are slow at
    slow, fast = (fg.warmup_cosine_decay_schedule(0.0, peak, steps // 10, steps) for peak in (2e-3, 0.02))
    muon = fg.muon(fast, adam_learning_rate=slow, muon_weight_dimension_numbers="layers/*")
    txs = {"AdamW": fg.adamw(slow), "Muon": muon}
    params, key = init(jax.random.key(0), context, width, layers), jax.random.key(1)
    print(fg.group_table(params, muon.labels))
    options = {"batch_size": batch_size, "epochs": epochs, "key": key, "validation": held_out}
    runs = {name: fg.fit(loss, params, tx, training, **options) for name, tx in txs.items()}
    ends = {name: float(run.history["validation"]["loss"][-1]) for name, run in runs.items()}
    print("\nbits per character held out: " + ", ".join(f"{name} {end:.3f}" for name, end in ends.items()))
    assert ends["Muon"] < ends["AdamW"], ends
    return ends


if __name__ == "__main__":
    main()
