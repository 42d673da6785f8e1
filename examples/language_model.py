"""A small transformer learns to write Python from the standard library's source, once by AdamW and once by Muon.

A model is a pure function of its parameters: here forty lines of JAX. Its matrices stand behind one axis of layers, and
Muon takes them by their path, while embeddings and the last layer are left to AdamW. Parameters stay in float32, passes
run in bfloat16. The loss is in bits per character, the unit in which programs that compress text are compared.
"""

import sysconfig
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import funcgd as fg

LETTERS, HELD_OUT = 96, 0.1  # the characters that print, and the end of a line


def text(count: int) -> np.ndarray:
    """The first so many characters of the standard library."""
    files = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    codes = np.frombuffer(b"".join(path.read_bytes() for path in files), np.uint8)
    codes = np.where(codes == ord("\n"), 127, codes)
    return codes[(codes >= 32) & (codes < 128)][:count].astype(np.int32) - 32


def init(key, context: int, width: int, layers: int):
    def matrices(i, *shape):
        return jax.random.normal(jax.random.fold_in(key, i), shape) * shape[-2] ** -0.5

    return {
        "embed": matrices(0, LETTERS, width),
        "place": matrices(1, context, width),
        "layers": {
            "attend": matrices(2, layers, 3, width, width),
            "mix": matrices(3, layers, width, width),
            "up": matrices(4, layers, width, 4 * width),
            "down": matrices(5, layers, 4 * width, width),
        },
        "last": jnp.zeros((width, LETTERS)),
    }


def normed(x):
    return x * jax.lax.rsqrt(jnp.mean(x.astype(jnp.float32) ** 2, -1, keepdims=True) + 1e-6).astype(x.dtype)


def logits(params, tokens):
    """Of each next character, from all up to it: (batch, time) → (batch, time, letters)."""

    def layer(x, w):
        q, k, v = jnp.einsum("btd,nde->nbte", normed(x), w["attend"]).reshape(3, *x.shape[:2], -1, 32)  # heads of 32
        x += jax.nn.dot_product_attention(normed(q), normed(k), v, is_causal=True).reshape(x.shape) @ w["mix"]
        return x + jax.nn.gelu(normed(x) @ w["up"]) @ w["down"], None

    x = params["embed"][tokens] + params["place"][: tokens.shape[1]]
    x, _ = jax.lax.scan(layer, x, params["layers"])
    return normed(x) @ params["last"]


def bits(params, windows):
    """Mean bits per character."""
    guesses = logits(params, windows[:, :-1])
    return fg.softmax_cross_entropy_with_integer_labels(guesses, windows[:, 1:]).mean() / jnp.log(2.0)


def write(params, key, start: str, count: int) -> str:
    """`start`, and so many characters drawn from the model, each from what it says behind those before."""
    context = len(params["place"])

    def draw(window, key):
        letter = jax.random.categorical(key, logits(params, window[None])[0, -1] / 0.8)
        return jnp.append(window[1:], letter), letter

    prompt = jnp.array([127 if c == "\n" else ord(c) for c in start[-context:].rjust(context)]) - 32
    drawn = jax.jit(lambda keys: jax.lax.scan(draw, prompt, keys)[1])(jax.random.split(key, count))
    return start + "".join("\n" if i == 95 else chr(i + 32) for i in drawn.tolist())


def main(width=64, layers=2, context=64, count=500_000, batch_size=32, epochs=1) -> dict[str, float]:
    windows = text(count)[: count // (context + 1) * (context + 1)].reshape(-1, context + 1)
    held_out, training = windows[::10], np.delete(windows, np.s_[::10], 0)
    steps = epochs * -(-len(training) // batch_size)
    loss = bits if jax.default_backend() == "cpu" else fg.mixed_precision(bits, "bfloat16")  # which CPUs are slow at

    def rate(peak):
        return fg.warmup_cosine_decay_schedule(0.0, peak, steps // 10, steps)

    txs = {
        "AdamW": fg.adamw(rate(3e-3)),
        "Muon": fg.muon(rate(2e-2), adam_learning_rate=rate(3e-3), muon_weight_dimension_numbers="layers/*"),
    }
    params, key, ends = init(jax.random.key(0), context, width, layers), jax.random.key(1), {}
    print(fg.group_table(params, txs["Muon"].labels))
    options = {"batch_size": batch_size, "epochs": epochs, "key": key, "validation": held_out}
    for name, tx in txs.items():
        run = fg.fit(loss, params, tx, training, **options)
        ends[name] = float(run.history["validation"]["loss"][-1])
        print(f"{name}: {ends[name]:.3f} bits per character held out")
    print(write(run.params, key, "def ", 300))
    assert ends["Muon"] < ends["AdamW"], ends
    return ends


if __name__ == "__main__":
    main()
