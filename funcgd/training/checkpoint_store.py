"""The checkpoints of one directory: written beside the training, checked when read, the newest ones kept."""

import concurrent.futures
import contextlib
import logging
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from funcgd.training import checkpoint_files as files
from funcgd.training import checkpoint_format as form
from funcgd.training.checkpoint_files import Damaged

COMPLETE = re.compile(r"(\d+)(?:\.(\d+))?")  # the step, and a number where it was saved again
UNFINISHED = re.compile(r"\d+(\.\d+)?\.unfinished.*")  # renamed when all is written
ARRAYS = "arrays"  # what Orbax writes, within the directory of a checkpoint
DAMAGED = re.compile(r"\d+(\.\d+)?\.damaged.*")


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
        try:
            import orbax.checkpoint as ocp
        except ImportError as error:
            raise ImportError(f'{who}: checkpoints need Orbax: pip install "funcgd[checkpoint]".') from error
        self._who, self._directory, self._keep, self._ocp = who, os.path.abspath(directory), keep, ocp
        try:
            os.makedirs(self._directory, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._directory):
                pass
        except OSError as error:
            raise CheckpointError(
                f"{who}: checkpoints cannot be written to {self._directory!r}: {_cause(error)}"
            ) from error
        with _quiet():
            self._checkpointer = ocp.Checkpointer(ocp.PyTreeCheckpointHandler())
        self._writer = concurrent.futures.ThreadPoolExecutor(1, "checkpoint")
        self._pending: concurrent.futures.Future | None = None
        self._last_good: int | None = None  # step of the latest checkpoint that was saved or restored here
        self._aside: list[str] = []  # names of damaged checkpoints: the next save moves them out of its way
        self._unfinished: list[str] = []  # and removes these

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
            self._checkpointer.close()

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
        step, target = spec["step"], None
        try:
            self._tidy()
            name = self._free(str(step), ".")
            target = self._path(f"{name}.unfinished")
            shutil.rmtree(target, ignore_errors=True)
            os.mkdir(target)
            stored = {}
            for part, kind, found in zip(("tree", "history"), kinds, arrays, strict=True):
                spec[part] = form.description(kind, found)
                stored |= {f"{part}{path}": x for path, x in found.items() if x.size}
            if stored:
                with _quiet():
                    self._checkpointer.save(os.path.join(target, ARRAYS), args=self._ocp.args.PyTreeSave(stored))
            files.seal(target, spec)
            os.rename(target, self._path(name))
            self._last_good = step
            for name in self._complete()[: -self._keep]:
                shutil.rmtree(self._path(name))
        except Exception as error:
            if target is not None:
                shutil.rmtree(target, ignore_errors=True)  # the error says that it wasn't finished
            last = self._last_good
            good = "there is no good one" if last is None else f"the last good one is of step {last}"
            raise CheckpointError(
                f"{self._who}: saving the checkpoint of step {step} in {self._directory!r} failed; {good}. "
                f"The cause: {_cause(error)}"
            ) from error

    def _tidy(self) -> None:
        """Move damaged checkpoints aside and remove unfinished ones, of which `restore` has warned."""
        while self._aside:
            os.rename(self._path(self._aside[0]), self._path(self._free(f"{self._aside[0]}.damaged", "-")))
            self._aside.pop(0)
        while self._unfinished:
            shutil.rmtree(self._path(self._unfinished.pop()), ignore_errors=True)

    def restore(self, like: Any, arguments: dict[str, Any]) -> Saved | None:
        """The newest complete and undamaged checkpoint, or None if nothing has been saved.

        Warns (RuntimeWarning) of each damaged one that is passed over, and of unfinished ones.

        Args:
            like: a pytree with the structure, shapes, dtypes and devices of what was saved; its numbers aren't read.
                Weak types become strong.
            arguments: what the run is started with.

        Raises:
            ValueError: if the checkpoint is of a run with other arguments, with a line for each difference.
            CheckpointError: if there are checkpoints, but all of them are damaged.
        """
        self.wait()
        wanted = form.leaves_by_path(self._who, like)
        self._unfinished, self._aside, damage = self._matching(UNFINISHED), [], []
        for name in self._unfinished:
            warnings.warn(
                f"{self._who}: in {self._directory!r}, {name!r} is unfinished: saving step {_step(name)} "
                "was interrupted. It is not used; the next save removes it.",
                RuntimeWarning,
                stacklevel=3,
            )
        for name in reversed(self._complete()):
            try:
                spec = self._read_description(name)
                self._check_arguments(spec, wanted, arguments)
                files.check(self._path(name), spec)
                tree, history = self._read_arrays(name, spec)
            except Damaged as reason:
                self._aside.append(name)
                damage.append(f"{name!r} (step {_step(name)}): {reason}")
                continue
            self._warn(damage)
            self._last_good = spec["step"]
            leaves = [form.put(tree[path], x) for path, x in wanted.items()]
            return Saved(spec["step"], jax.tree.unflatten(jax.tree.structure(like), leaves), history)
        damage += [f"{name!r}: found damaged earlier" for name in self._matching(DAMAGED)]
        if damage:
            raise CheckpointError(
                f"{self._who}: all checkpoints in {self._directory!r} are damaged; "
                "to begin anew, give another directory or remove this one.\n  " + "\n  ".join(damage)
            )
        return None

    def _warn(self, damage: list[str]) -> None:
        for line in damage:
            warnings.warn(
                f"{self._who}: in {self._directory!r}, the checkpoint {line}. The one before it is used; "
                "the next save renames it to '….damaged'.",
                RuntimeWarning,
                stacklevel=4,
            )

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
        spec = files.description(self._path(name))
        if spec["version"] != form.VERSION:
            raise ValueError(
                f"{self._who}: the checkpoint {name!r} in {self._directory!r} has format {spec['version']}; "
                f"this funcgd reads format {form.VERSION}."
            )
        if spec["step"] != _step(name):
            raise Damaged(f"it is that of step {spec['step']} under another name")
        return spec

    def _read_arrays(self, name: str, spec: dict[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """The arrays of the tree by path and the history, checked."""
        described = {f"{part}{path}": x for part in ("tree", "history") for path, x in spec[part].items()}
        found = {key: form.empty(x["stored"]) for key, x in described.items() if 0 in x["stored"][1]}
        asked = {key: self._ocp.RestoreArgs(restore_type=np.ndarray) for key in described.keys() - found.keys()}
        if asked:
            args = self._ocp.args.PyTreeRestore(item=asked, restore_args=asked)
            try:
                with _quiet():
                    read = self._checkpointer.restore(os.path.join(self._path(name), ARRAYS), args=args)
                found |= {key: np.asarray(read[key]) for key in asked}
            except Exception as error:
                raise Damaged(f"its arrays cannot be read: {_cause(error)}") from error
        for key, x in described.items():
            if form.digest(found[key]) != x["digest"]:
                raise Damaged(f"`{key}` has other bits than were written")
        tree = {path: found[f"tree{path}"] for path in spec["tree"]}
        return tree, form.nested(spec["nesting"], {path: found[f"history{path}"] for path in spec["history"]})

    def _complete(self) -> list[str]:
        """The names of complete checkpoints, the oldest first."""

        def age(name: str) -> tuple[int, int]:
            step, again = COMPLETE.fullmatch(name).groups()  # pyright: ignore[reportOptionalMemberAccess]
            return int(step), int(again or 0)

        return sorted(self._matching(COMPLETE), key=age)

    def _matching(self, pattern: re.Pattern) -> list[str]:
        return sorted(name for name in os.listdir(self._directory) if pattern.fullmatch(name))

    def _free(self, name: str, separator: str) -> str:
        """`name`, with a number if there is one of that name already."""
        free, again = name, 0
        while os.path.lexists(self._path(free)):
            again += 1
            free = f"{name}{separator}{again}"
        return free

    def _path(self, name: str) -> str:
        return os.path.join(self._directory, name)


def _step(name: str) -> int:
    return int(name.split(".")[0])


def _cause(error: BaseException) -> str:
    """An error in one line: of a long one the beginning and the end, where the system's own words are."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text if len(text) <= 400 else f'{text[:100]} … {text[-250:]}'}"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """While it lasts, of what Orbax logs only warnings pass: not its progress, nor errors, which are raised as well."""

    def passes(record: logging.LogRecord) -> bool:
        return "orbax" not in record.pathname or (record.levelno >= logging.WARNING and not record.exc_info)

    logger = logging.getLogger("absl")
    logger.addFilter(passes)
    try:
        yield
    finally:
        logger.removeFilter(passes)
