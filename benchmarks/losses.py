"""Cross-entropy with its gradient, at the sizes of classifiers and of language models; beside Optax.

Optax computes in the dtype of the logits, so 16 bits are widened for it, as funcgd does by itself.
"""

import jax
import optax
from harness import compare

import funcgd as fg

SHAPES = {"digits": (64, 10), "characters": (2048, 96), "words": (512, 32_768)}


def main() -> None:
    keys = jax.random.split(jax.random.key(0))
    for name, shape in SHAPES.items():
        numbers = jax.random.randint(keys[1], shape[:1], 0, shape[1])
        kinds = {
            "softmax_cross_entropy_with_integer_labels": numbers,
            "softmax_cross_entropy": optax.smooth_labels(jax.nn.one_hot(numbers, shape[1]), 0.1),
        }
        for kind, labels in kinds.items():
            for dtype in ("float32", "bfloat16"):
                logits, runs = 3 * jax.random.normal(keys[0], shape, dtype), {}
                for library, losses in {"Optax": optax, "funcgd": fg}.items():
                    loss = getattr(losses, kind)
                    mean = jax.jit(jax.value_and_grad(lambda a, y, loss=loss: loss(a.astype("float32"), y).mean()))
                    runs[library] = lambda mean=mean, a=logits, y=labels: mean(a, y)
                compare(f"{name}, {kind}, logits {shape} in {dtype}", runs, repeats=21)


if __name__ == "__main__":
    main()
