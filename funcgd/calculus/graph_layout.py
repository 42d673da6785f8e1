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
        if name not in constants:
            layers[name] = 1 + max((layers[other] for other in taken if other in layers), default=-1)
    for name in constants:
        layers[name] = min((layers[user] for user, taken in inputs.items() if name in taken), default=1) - 1
    positions: dict[str, float] = {}

    def mean_of_inputs(name: str) -> float:
        placed = [positions[other] for other in inputs[name] if other in positions]
        return sum(placed) / len(placed) if placed else float("inf")

    for layer in sorted(set(layers.values())):
        members = sorted((name for name in inputs if layers[name] == layer), key=mean_of_inputs)
        for rank, name in enumerate(members):
            positions[name] = rank - (len(members) - 1) / 2
    return {name: (layers[name], positions[name]) for name in inputs}
