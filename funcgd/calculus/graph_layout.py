"""Where the nodes of a graph stand: in layers from the inputs to the output, without coordinates of any device."""

from collections.abc import Mapping, Sequence


def layered(inputs: Mapping[str, Sequence[str]], constants: Sequence[str] = ()) -> dict[str, tuple[int, float]]:
    """Each node's layer, 0 for inputs and one more than the last of its own inputs, and its position in the layer.

    Positions are centred at 0 and 1 apart. Within a layer nodes are in the order of the mean position of their inputs,
    which keeps edges short. Constants stand in the layer before the first node that uses them.

    Args:
        inputs: for each node the nodes that it takes, in an order in which they can be computed.
        constants: which nodes are constants.

    >>> from funcgd.calculus.graph_layout import layered
    >>> layered({"x": [], "y": [], "z": [], "v1": ["x", "y"], "v2": ["v1", "z"]})["v2"]
    (2, 0.0)
    """
    layers: dict[str, int] = {}
    for name, taken in inputs.items():
        layers[name] = 1 + max((layers[other] for other in taken if other not in constants), default=-1)
        if name not in constants and taken:
            layers[name] = max(layers[name], 1)  # of constants alone
    for name in constants:
        layers[name] = min((layers[user] for user, taken in inputs.items() if name in taken), default=1) - 1
    positions: dict[str, float] = {}
    order = {name: i for i, name in enumerate(inputs)}
    for layer in range(max(layers.values(), default=-1) + 1):
        members = [name for name in inputs if layers[name] == layer]

        def mean(name: str) -> tuple[float, int]:
            placed = [positions[other] for other in inputs[name] if other in positions]
            return (sum(placed) / len(placed) if placed else float(layer > 0) * len(inputs), order[name])  # noqa: B023

        for rank, name in enumerate(sorted(members, key=mean)):
            positions[name] = rank - (len(members) - 1) / 2
    return {name: (layers[name], positions[name]) for name in inputs}
