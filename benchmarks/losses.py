"""Cross-entropy with class numbers, value and gradient, at the sizes of classifiers and of language models."""

import jax
import optax
from harness import compare

import funcgd as fg

LOSSES = {
    "Optax": optax.softmax_cross_entropy_with_integer_labels,
    "funcgd": fg.softmax_cross_entropy_with_integer_labels,
}
SHAPES = {"digits": (64, 10), "characters": (2048, 96), "words": (512, 32_768)}


def main() -> None:
    keys = jax.random.split(jax.random.key(0))
    for name, shape in SHAPES.items():
        for dtype in ("float32", "bfloat16"):
            logits = 3 * jax.random.normal(keys[0], shape, dtype)
            labels = jax.random.randint(keys[1], shape[:1], 0, shape[1])
            runs = {}
            for library, loss in LOSSES.items():
                # Optax computes in the dtype of the logits, and so loses digits, unless they are cast.
                mean = jax.value_and_grad(lambda a, y, loss=loss: loss(a.astype("float32"), y).mean())
                runs[library] = lambda mean=jax.jit(mean), a=logits, y=labels: mean(a, y)
            compare(f"{name}, logits {shape} in {dtype}", runs, repeats=21)


if __name__ == "__main__":
    main()
