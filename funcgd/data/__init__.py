"""Where batches come from: arrays in memory, data on disk, iterables; their order, and their way to the device."""

from funcgd.data.batches import Batches
from funcgd.data.feed import Buffered, Resident
from funcgd.data.indexed import Indexed
from funcgd.data.sources import Chunk, InMemory, Run, Source

__all__ = ["Batches", "Buffered", "Chunk", "InMemory", "Indexed", "Resident", "Run", "Source"]
