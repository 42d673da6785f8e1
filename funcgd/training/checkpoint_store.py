"""The checkpoints of one directory: written beside the training, checked when read, the newest ones kept."""

import concurrent.futures
import os
import warnings
from typing import Any, NamedTuple

import jax
import numpy as np

from funcgd.training import checkpoint_format as form
from funcgd.training.checkpoint_files import Damaged, Folder, check, description, seal, step_of, sync, sync_one
from funcgd.training.checkpoint_orbax import Orbax, one_line

PARTS = ("tree", "history")  # the arrays of a checkpoint are named by part and path
ARRAYS = "arrays"  # the directory that Orbax writes, within that of a checkpoint


class CheckpointError(OSError):
    """A checkpoint could not be saved, or none that can be read is left.

    The message names the directory, the step, the cause, and the step of the last good checkpoint, which stays usable.

    >>> import funcgd as fg
    >>> issubclass(fg.CheckpointError, OSError)
    True
    """


class Saved(NamedTuple):
    """What a checkpoint held.

    >>> from funcgd.training.checkpoint_store import Saved
    >>> Saved(step=10, tree={}, history={}).step
    10
    """

    step: int
    tree: Any  # like the one that was asked for
    history: dict[str, Any]  # nested dicts of NumPy arrays


class Store:
    """The checkpoints of one directory, for one run at a time; made by `fg.Checkpoint.open`.

    Each checkpoint is a directory named by its step. Orbax writes it under another name, and it is renamed when it is
    complete, so that a process killed at any moment leaves the ones before it as they are. Orbax does not notice
    changed bits in the numbers: digests of the files are checked before it reads them, those of the arrays afterwards.
    What the arrays are, and the arguments of the run, stand in `checkpoint.json`.

    Used as a context manager, it waits at the end for what is being written.

    >>> import funcgd as fg, numpy as np, tempfile
    >>> with tempfile.TemporaryDirectory() as folder, fg.Checkpoint(folder, every=10).open() as store:
    ...     store.save(10, {"w": np.ones(2)}, {"loss": np.zeros(10)}, {"batch_size": 4})
    ...     saved = store.restore({"w": np.zeros(2)}, {"batch_size": 4})
    >>> saved.step, saved.tree["w"].tolist(), saved.history["loss"].shape
    (10, [1.0, 1.0], (10,))
    """

    def __init__(self, who: str, directory: str, keep: int):
        self._who, self._keep = who, keep
        try:
            self._orbax = Orbax()
        except ImportError as error:
            raise ImportError(
                f'{who}: checkpoints need Orbax: pip install "funcgd[checkpoint]". ({one_line(error)})'
            ) from error
        self._folder = Folder(directory)
        self._directory = self._folder.directory
        try:
            self._folder.prepare()
        except OSError as error:
            raise CheckpointError(
                f"{who}: checkpoints cannot be written to {self._directory!r}: {one_line(error)}"
            ) from error
        self._writer = concurrent.futures.ThreadPoolExecutor(1, "checkpoint")
        self._pending: concurrent.futures.Future | None = None
        self._last_good: int | None = None  # step of the latest checkpoint that was saved or restored here
        self._damaged: list[str] = []  # names of those that the next save puts aside
        self._unfinished: set[str] = set()  # and of those that every save removes, as late writes may make them anew

    def save(self, step: int, tree: Any, history: dict[str, Any], arguments: dict[str, Any]) -> None:
        """Begin to save; returns when all is copied, while it is being written.

        Args:
            step: at least 0.
            tree: a pytree of arrays; they may be overwritten or donated afterwards.
            history: nested dicts of NumPy arrays of any length.
            arguments: what the run was started with, a flat dict of what JSON can hold.

        Raises:
            CheckpointError: if this or the save before it failed.
            TypeError: if something in it cannot be saved.
        """
        leaves = form.leaves_by_path(self._who, tree)
        past = form.leaves_by_path(self._who, history)
        spec = {
            "version": form.VERSION,
            "step": int(step),
            "arguments": form.plain_json(arguments),
            "nesting": form.paths(history),
        }
        if set(jax.tree.leaves(spec["nesting"])) != past.keys():
            raise TypeError(f"{self._who}: the history of a checkpoint must be nested dicts of arrays by name.")
        self.wait()
        kinds = [{name: form.kind(x) for name, x in part.items()} for part in (leaves, past)]
        arrays = [form.copies(leaves), form.copies(past)]
        self._pending = self._writer.submit(self._write, spec, kinds, arrays)

    def wait(self) -> None:
        """Wait until what was saved is on disk.

        Raises:
            CheckpointError: if that failed.
        """
        if self._pending is not None:
            concurrent.futures.wait([self._pending])  # an interrupt here leaves it pending
            pending, self._pending = self._pending, None
            pending.result()

    def close(self) -> None:
        """Wait for what is being written, and end."""
        try:
            self.wait()
        finally:
            self._writer.shutdown()
            self._orbax.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        try:
            self.close()
        except CheckpointError as failure:
            if error is None:
                raise
            error.add_note(str(failure))  # the first error is the one to see

    def _write(self, spec: dict[str, Any], kinds: list[dict], arrays: list[dict[str, np.ndarray]]) -> None:
        """Write one checkpoint, then remove the oldest; runs in the store's thread."""
        folder, step, unfinished = self._folder, spec["step"], None
        try:
            self._tidy()
            name = folder.free(str(step), ".")
            unfinished = folder.begin(name)
            stored = {}
            for part, kind, found in zip(PARTS, kinds, arrays, strict=True):
                spec[part] = form.description(kind, found)
                stored |= {f"{part}{path}": x for path, x in found.items() if x.size}
            if stored:  # Orbax refuses to write nothing, and arrays without elements
                self._orbax.write(os.path.join(unfinished, ARRAYS), stored)
            seal(unfinished, spec)
            sync(unfinished)
            os.rename(unfinished, folder.path(name))
            sync_one(self._directory)
            self._last_good = step
            for old in folder.complete()[: -self._keep]:
                folder.remove(old)
        except Exception as error:
            if unfinished is not None:
                folder.remove(unfinished, strict=False)
                self._unfinished.add(os.path.basename(unfinished))  # Orbax may have threads that still write to it
            last = self._last_good
            good = "there is no good one" if last is None else f"the last good one is of step {last}"
            raise CheckpointError(
                f"{self._who}: saving the checkpoint of step {step} in {self._directory!r} failed; {good}. "
                f"The cause: {one_line(error)}"
            ) from error

    def _tidy(self) -> None:
        """Put damaged checkpoints aside and remove unfinished ones, of which `restore` has warned."""
        while self._damaged:
            self._folder.put_aside(self._damaged[0])
            self._damaged.pop(0)
        for name in self._unfinished:
            self._folder.remove(name, strict=False)

    def restore(self, like: Any, arguments: dict[str, Any]) -> Saved | None:
        """The newest complete and undamaged checkpoint, or None if nothing has been saved.

        Warns (RuntimeWarning) of each damaged one that is passed over, and of unfinished ones.

        Args:
            like: a pytree with the structure, shapes, dtypes and devices of what was saved; its numbers aren't read.
                Weak types become strong.
            arguments: what the run is started with.

        Raises:
            ValueError: if the checkpoint is of a run with other arguments, with a line for each difference.
            CheckpointError: if there are checkpoints, but all of them are damaged; or if Orbax cannot read one whose
                files are as they were written.
        """
        self.wait()
        wanted = form.leaves_by_path(self._who, like)
        self._damaged, damage = [], []
        for name in sorted(set(self._folder.unfinished()) - self._unfinished):
            self._unfinished.add(name)
            self._warn(
                f"{name!r} is unfinished: saving step {step_of(name)} was interrupted. It is not used; "
                "the next save removes it."
            )
        for name in reversed(self._folder.complete()):
            try:
                spec = self._read_description(name)
                self._check_arguments(spec, wanted, arguments)
                tree, history = self._read_arrays(name, spec)
            except Damaged as reason:
                self._damaged.append(name)
                damage.append(f"{name!r} (step {step_of(name)}): {reason}")
                continue
            for line in damage:
                self._warn(
                    f"the checkpoint {line}. The one before it is used; the next save renames it to '….damaged'."
                )
            self._last_good = spec["step"]
            leaves = [form.put(tree[path], x) for path, x in wanted.items()]
            return Saved(spec["step"], jax.tree.unflatten(jax.tree.structure(like), leaves), history)
        damage += [f"{name!r}: found damaged earlier" for name in self._folder.damaged()]
        if damage:
            raise CheckpointError(
                f"{self._who}: all checkpoints in {self._directory!r} are damaged; "
                "to begin anew, give another directory or remove this one.\n  " + "\n  ".join(damage)
            )
        return None

    def _warn(self, text: str) -> None:
        warnings.warn(f"{self._who}: in {self._directory!r}, {text}", RuntimeWarning, stacklevel=4)

    def _check_arguments(self, spec: dict[str, Any], wanted: dict[str, Any], arguments: dict[str, Any]) -> None:
        kinds = {name: form.kind(x) for name, x in wanted.items()}
        lines = form.difference(spec, kinds, arguments)
        if lines:
            raise ValueError(
                f"{self._who}: the checkpoint of step {spec['step']} in {self._directory!r} is of a run with other "
                "arguments; give those again, or another directory.\n  " + "\n  ".join(lines)
            )

    def _read_description(self, name: str) -> dict[str, Any]:
        """The description of a checkpoint, if this funcgd can read it."""
        spec = description(self._folder.path(name))
        if spec["version"] != form.VERSION:
            raise ValueError(
                f"{self._who}: the checkpoint {name!r} in {self._directory!r} has format {spec['version']}; "
                f"this funcgd reads format {form.VERSION}."
            )
        if spec["step"] != step_of(name):
            raise Damaged(f"it is that of step {spec['step']} under another name")
        return spec

    def _read_arrays(self, name: str, spec: dict[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """The arrays of the tree by path and the history, checked."""
        check(self._folder.path(name), spec)
        described = {f"{part}{path}": x for part in PARTS for path, x in spec[part].items()}
        found = {key: form.empty(x["stored"]) for key, x in described.items() if 0 in x["stored"][1]}
        if len(found) < len(described):
            try:
                found |= self._orbax.read(
                    os.path.join(self._folder.path(name), ARRAYS), described.keys() - found.keys()
                )
            except Exception as error:  # no damage, so that no older checkpoint must take its place
                raise CheckpointError(
                    f"{self._who}: Orbax {self._orbax.version} cannot read the checkpoint {name!r} in "
                    f"{self._directory!r}, although its files are as they were written: {one_line(error)}"
                ) from error
        for key, x in described.items():
            if form.digest(found[key]) != x["digest"]:
                raise Damaged(f"`{key}` has other bits than were written")
        tree = {path: found[f"tree{path}"] for path in spec["tree"]}
        return tree, form.nested(spec["nesting"], {path: found[f"history{path}"] for path in spec["history"]})
