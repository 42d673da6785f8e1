"""Checkpoints: bitwise round trips, damage found, refusals explained, real failures of disk and process survived."""

import dataclasses
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import funcgd as fg
from funcgd.core.numerics import float64_mode
from funcgd.core.values import Held
from funcgd.training.checkpoint_files import description, seal
from funcgd.training.checkpoint_orbax import Orbax
from funcgd.training.checkpoint_store import PARTS

RUN = {"batch_size": 64, "data length": 1280, "key": [0, 1]}


class Slots(NamedTuple):
    mu: Any
    nu: Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Run:
    step: Any
    parts: Any
    held: Any
    nothing: Any


def noise(rng, dtype, shape=(3, 2)):
    """Random bits: NaNs with payloads, subnormal numbers, negative zeros may be among them."""
    dtype = np.dtype(dtype)
    bits = rng.integers(0, 2 if dtype.kind == "b" else 256, (*shape, dtype.itemsize), np.uint8)
    return bits.view(dtype).reshape(shape)


def everything(seed):
    """Every kind of leaf: dtypes, ranks, keys, NumPy and JAX, under names that file systems and Orbax may dislike."""
    rng = np.random.default_rng(seed)
    small = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32"]
    narrow = [*small, "float16", "bfloat16", "float8_e4m3fn", "float32", "complex64"]
    wide = ["int64", "uint64", "float64", "complex128"]
    keys = jax.random.split(jax.random.key(seed), 2)
    return Run(
        step=jnp.int32(seed),
        held=Held(min),
        nothing=None,
        parts={
            "jax": Slots({d: jnp.asarray(noise(rng, d)) for d in narrow}, jnp.asarray(noise(rng, "float32", ()))),
            "numpy": [noise(rng, d) for d in narrow + wide] + [noise(rng, "float64", ()), np.float64(rng.normal())],
            "empty": (jnp.zeros((0, 4)), np.zeros((3, 0), "float64"), keys[:0]),
            "keys": [keys, keys[0], jax.random.key(seed, impl="rbg"), jax.random.PRNGKey(seed)],
            "pinned": jax.device_put(np.float32(rng.normal()), jax.devices()[0]),
            "a/b": {"": noise(rng, "int8"), ".": noise(rng, "int8"), "ключ " + 300 * "x": noise(rng, "int8"), "'": {}},
            "a": {"b": noise(rng, "int8"), "0": noise(rng, "int8")},
        },
    )


def same(x, y):
    """Bitwise, in the same kind of array at the same place."""
    assert type(x) is type(y)
    assert (x.dtype, x.shape) == (y.dtype, y.shape)
    if isinstance(x, jax.Array):
        assert (x.sharding, x.committed, x.aval.weak_type) == (y.sharding, y.committed, False)
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            x, y = jax.random.key_data(x), jax.random.key_data(y)
    assert np.asarray(x).tobytes() == np.asarray(y).tobytes()


def state(step):
    """A small state that is known from its step."""
    rng = np.random.default_rng(step)
    return {"w": rng.normal(size=(20, 10)).astype("float32"), "n": np.int64(step)}


def past(step):
    return {"loss": np.arange(step, dtype="float32"), "validation": {"step": np.arange(0, step, 5), "empty": {}}}


def check(saved, step):
    assert saved.step == step
    jax.tree.map(same, saved.tree, state(step))
    jax.tree.map(same, saved.history, past(step))
    assert list(saved.history) == ["loss", "validation"]
    assert saved.history["validation"]["empty"] == {}


def fill(folder, *steps, keep=3):
    with fg.Checkpoint(folder, every=1, keep=keep).open() as store:
        for step in steps:
            store.save(step, state(step), past(step), RUN)


def restore(folder, like=None, **changes):
    with fg.Checkpoint(folder, every=1).open() as store:
        return store.restore(state(0) if like is None else like, {**RUN, **changes})


def restore_and_messages(folder):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        saved = restore(folder)
    assert all(w.category is RuntimeWarning for w in caught)
    return saved, [str(w.message) for w in caught]


def files(folder):
    return sorted(p for p in Path(folder).rglob("*") if p.is_file())


def flip(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1 << (position % 8)
    path.write_bytes(content)


def child(code, *arguments, **environment):
    """A process of its own that runs `code` after the imports of this file."""
    begin = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\nfrom test_checkpoint import *\n"
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", begin + textwrap.dedent(code), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "JAX_PLATFORMS": "cpu", **environment},
    )


def output(process):
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    return out, err


# What is saved comes back.


def test_every_kind_of_leaf_comes_back_bitwise(tmp_path):
    tree, like = everything(1), everything(2)
    with fg.Checkpoint(tmp_path / "new" / "folder", every=5).open() as store:
        assert store.restore(like, RUN) is None
        store.save(5, tree, {}, RUN)
        saved = store.restore(like, RUN)
    assert saved.step == 5
    assert saved.history == {}
    assert jax.tree.structure(saved.tree) == jax.tree.structure(tree)
    jax.tree.map(same, saved.tree, tree)


def test_64_bit_arrays_of_jax_come_back_where_64_bits_are_off(tmp_path):
    with float64_mode():
        tree = {"x": jnp.asarray(np.array([0.1, 2**60 + 1.0])), "n": jnp.asarray(np.array(2**40 + 1))}
    with fg.Checkpoint(tmp_path, every=5).open() as store:
        store.save(5, tree, {}, {})
        jax.tree.map(same, store.restore(tree, {}).tree, tree)


def test_only_empty_arrays(tmp_path):
    with fg.Checkpoint(tmp_path, every=5).open() as store:
        store.save(5, {"x": np.zeros((0, 2))}, {"loss": np.zeros(0, "float32")}, {})
        saved = store.restore({"x": np.zeros((0, 2))}, {})
    same(saved.tree["x"], np.zeros((0, 2)))
    same(saved.history["loss"], np.zeros(0, "float32"))


def test_arrays_may_be_overwritten_and_donated_once_save_returns(tmp_path):
    tree = {"host": np.ones(1000), "device": jnp.ones(1000), "key": jax.random.key(3)}
    with fg.Checkpoint(tmp_path, every=5).open() as store:
        store.save(5, tree, {"loss": tree["host"]}, RUN)
        tree["host"][:] = 7
        jax.jit(lambda x: x + 1, donate_argnums=0)(tree["device"])
        assert tree["device"].is_deleted()
        saved = store.restore(tree, RUN)
    same(saved.tree["host"], np.ones(1000))
    same(saved.tree["device"], jnp.ones(1000))
    same(saved.history["loss"], np.ones(1000))


def test_the_newest_are_kept_also_of_a_step_saved_twice(tmp_path):
    fill(tmp_path, 8, 9, 10, 100, keep=2)
    assert sorted(os.listdir(tmp_path)) == ["10", "100"]
    check(restore(tmp_path), 100)
    with fg.Checkpoint(tmp_path, every=1, keep=2).open() as store:
        store.save(100, state(100) | {"n": np.int64(5)}, {}, RUN)
    assert sorted(os.listdir(tmp_path)) == ["100", "100.1"]
    assert restore(tmp_path).tree["n"] == 5


def test_places_logs_and_exit(tmp_path):
    """Sharded and pinned arrays return to their devices; nothing is printed; a process may end without `close`."""
    process = child(
        """
        import logging
        from jax.sharding import NamedSharding, PartitionSpec
        logging.basicConfig(level=logging.INFO)
        logging.getLogger("jax").setLevel(logging.WARNING)
        first, second = jax.devices()
        mesh = jax.make_mesh((2,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
        spread = NamedSharding(mesh, PartitionSpec("data"))
        with jax.default_device(second):
            loose = jnp.arange(3.0)
        tree = {
            "spread": jax.device_put(np.arange(8.0, dtype="float32"), spread),
            "keys": jax.device_put(jax.random.split(jax.random.key(0), 4), spread),
            "second": jax.device_put(np.ones(3, "int32"), second),
            "loose": loose,
        }
        store = fg.Checkpoint(sys.argv[1], every=1).open()
        store.save(1, tree, {}, {})
        jax.tree.map(same, store.restore(tree, {}).tree, tree)
        store.save(2, tree, {}, {})
        """,
        tmp_path,
        XLA_FLAGS="--xla_force_host_platform_device_count=2",
    )
    assert output(process) == ("", "")
    assert (tmp_path / "1").exists()


# Damage is found.


def damaged_copies(folder, scratch):
    """The checkpoint `20` of `folder` with one file damaged, in every file and every way."""

    def copy():
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.copytree(folder, scratch)

    for path in files(folder / "20"):
        size, victim = path.stat().st_size, scratch / path.relative_to(folder)
        for position in {0, size // 3, size // 2, size - 1}:
            copy()
            flip(victim, position)
            yield f"{victim}: bit in byte {position} of {size}"
        copy()
        os.truncate(victim, size // 2)
        yield f"{victim}: truncated"
        copy()
        victim.unlink()
        yield f"{victim}: missing"


def test_every_damage_of_every_file_is_found_or_harmless(tmp_path):
    fill(tmp_path / "good", 10, 20)
    found = 0
    for damage in damaged_copies(tmp_path / "good", tmp_path / "bad"):
        saved, messages = restore_and_messages(tmp_path / "bad")
        check(saved, 10 if messages else 20)
        assert messages or "checkpoint.json: bit in" in damage  # where that was a space
        for message in messages:
            assert f"in {str(tmp_path / 'bad')!r}, the checkpoint '20' (step 20): " in message, damage
        found += len(messages)
    assert found > 50  # of some seventy


def test_changed_numbers_are_found_by_their_digest(tmp_path):
    """A flipped bit that Orbax reads without complaint; the leaf is named, the one before used, nothing deleted."""
    fill(tmp_path, 10, 20)
    flip(max(files(tmp_path / "20" / "arrays"), key=lambda p: p.stat().st_size), 400)
    with pytest.warns(RuntimeWarning, match=r"its file 'arrays/.*' has other bits than were written. The one before "):
        check(restore(tmp_path), 10)
    assert sorted(os.listdir(tmp_path)) == ["10", "20"]

    with fg.Checkpoint(tmp_path, every=10).open() as store:  # the run goes on: to the same step again
        with pytest.warns(RuntimeWarning):
            store.restore(state(0), RUN)
        store.save(20, state(20), past(20), RUN)
    assert sorted(os.listdir(tmp_path)) == ["10", "20", "20.damaged"]
    check(restore(tmp_path), 20)


def test_a_description_that_was_edited_is_found(tmp_path):
    fill(tmp_path, 10, 20)
    path = tmp_path / "20" / "checkpoint.json"
    text = path.read_text()
    assert text.count('"batch_size": 64') == 1
    path.write_text(text.replace('"batch_size": 64', '"batch_size": 32'))
    with pytest.warns(RuntimeWarning, match="its file 'checkpoint.json' has other content than was written"):
        check(restore(tmp_path), 10)


def written_again(folder, change):
    """The checkpoint with its arrays as `change` leaves them, and no trace of that in the digests of its files."""
    spec, orbax = description(folder), Orbax()
    names = [f"{part}{path}" for part in PARTS for path, x in spec[part].items() if 0 not in x["shape"]]
    arrays = orbax.read(folder / "arrays", names)
    change(arrays)
    shutil.rmtree(folder / "arrays")
    orbax.write(folder / "arrays", arrays)
    (folder / "checkpoint.json").unlink()
    seal(folder, spec)


def test_numbers_that_left_the_memory_otherwise_are_found_by_the_digests_of_the_arrays(tmp_path):
    fill(tmp_path, 10, 20)
    written_again(tmp_path / "20", lambda arrays: None)
    check(restore(tmp_path), 20)

    def change(arrays):
        arrays["tree['w']"] = arrays["tree['w']"] + np.float32(1e-3)

    written_again(tmp_path / "20", change)
    with pytest.warns(RuntimeWarning, match=r"`tree\['w'\]` has other bits than were written. The one before it is us"):
        check(restore(tmp_path), 10)


def test_what_orbax_cannot_read_though_it_is_undamaged_is_no_reason_to_go_back(tmp_path):
    fill(tmp_path, 10, 20)
    written_again(tmp_path / "20", lambda arrays: arrays.pop("tree['w']"))
    with pytest.raises(fg.CheckpointError, match=r"Orbax .* cannot read the checkpoint '20' in .* as they were writt"):
        restore(tmp_path)


def test_a_checkpoint_under_another_name_is_found(tmp_path):
    fill(tmp_path, 10, 20)
    (tmp_path / "20").rename(tmp_path / "30")
    with pytest.warns(RuntimeWarning, match="it is that of step 20 under another name"):
        check(restore(tmp_path), 10)


def test_where_all_are_damaged_nothing_begins_anew(tmp_path):
    fill(tmp_path, 10, 20)
    for path in files(tmp_path):
        path.write_bytes(b"")
    with pytest.raises(fg.CheckpointError, match=r"(?s)fit: all checkpoints in .* are damaged;.*'20'.*\n.*'10'") as e:
        restore(tmp_path)
    assert str(tmp_path) in str(e.value)
    shutil.rmtree(tmp_path / "10")
    (tmp_path / "20").rename(tmp_path / "20.damaged")
    with pytest.raises(fg.CheckpointError, match=r"'20\.damaged': found damaged earlier"):
        restore(tmp_path)


def test_an_unfinished_save_is_reported_and_left_out(tmp_path):
    fill(tmp_path, 10, 20)
    (tmp_path / "20").rename(tmp_path / "20.unfinished")
    (tmp_path / "notes.txt").write_text("not ours")
    with fg.Checkpoint(tmp_path, every=10).open() as store:
        with pytest.warns(RuntimeWarning, match=r"'20.unfinished' is unfinished: saving step 20 was interru"):
            check(store.restore(state(0), RUN), 10)
        store.save(30, state(30), past(30), RUN)
    assert sorted(os.listdir(tmp_path)) == ["10", "30", "notes.txt"]
    shutil.rmtree(tmp_path / "10")
    (tmp_path / "30").rename(tmp_path / "30.unfinished")
    with pytest.warns(RuntimeWarning, match="saving step 30"):
        assert restore(tmp_path) is None  # nothing was ever complete


def test_what_late_writes_of_a_failed_save_make_anew_is_removed_without_a_word(tmp_path, monkeypatch):
    with fg.Checkpoint(tmp_path, every=10).open() as store:
        monkeypatch.setattr(store._orbax, "write", lambda *_: 1 / 0)
        store.save(5, state(5), past(5), RUN)
        with pytest.raises(fg.CheckpointError, match="saving the checkpoint of step 5"):
            store.wait()
        monkeypatch.undo()
        for step in (10, 20):
            (tmp_path / "5.unfinished").mkdir()
            store.save(step, state(step), past(step), RUN)
            store.wait()
            assert "5.unfinished" not in os.listdir(tmp_path)
        (tmp_path / "5.unfinished").mkdir()
        check(store.restore(state(0), RUN), 20)  # warnings are errors here


def test_killed_at_any_moment(tmp_path):
    """What was known to be on disk is there after SIGKILL, or something newer, complete in every part."""
    done = 0
    for attempt in range(3):
        process = child(
            f"""
            warnings.simplefilter("ignore")
            store = fg.Checkpoint({str(tmp_path)!r}, every=1, keep=2).open()
            saved = store.restore(state(0), RUN)
            for step in range(saved.step + 1 if saved else 1, 10**6):
                store.save(step, state(step), past(step), RUN)
                print(step - 1, flush=True)  # save waits for the one before
            """
        )
        for _ in range(5):
            done = int(process.stdout.readline())
        time.sleep(random.Random().uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate(timeout=100)
        done = max([done, *map(int, rest.split())])
        saved, messages = restore_and_messages(tmp_path)
        check(saved, saved.step)
        assert done <= saved.step <= done + 2
        assert done >= 4 * (attempt + 1)
        assert all("unfinished" in message for message in messages)


# A run with other arguments is refused.


def test_other_arguments_are_refused_with_a_line_for_each(tmp_path):
    fill(tmp_path, 10)
    with pytest.raises(ValueError, match="fit: the checkpoint of step 10 in ") as caught:
        restore(
            tmp_path,
            {"w": np.zeros((20, 11), "float32"), "n": np.int32(0), "key": jax.random.key(0)},
            **{"batch_size": 32, "optimizer": "sgd"},
        )
    first, *lines = str(caught.value).split("\n")
    assert str(tmp_path) in first
    assert [line.strip() for line in lines] == [
        "`batch_size`: 64 in the checkpoint, 32 now",
        '`optimizer`: nothing in the checkpoint, "sgd" now',
        "`['key']`: nothing in the checkpoint, key<fry> of shape () now",
        "`['n']`: int64 of shape () in the checkpoint, int32 of shape () now",
        "`['w']`: float32 of shape (20, 10) in the checkpoint, float32 of shape (20, 11) now",
    ]
    with pytest.raises(ValueError, match=r"`\['w'\]`: float32 of shape \(20, 10\) in the checkpoint, nothing now"):
        restore(tmp_path, {"n": np.int64(0)})


def test_long_differences_are_cut_and_keys_differ_from_their_bits(tmp_path):
    with fg.Checkpoint(tmp_path, every=5).open() as store:
        store.save(5, [jax.random.key(0)] * 30, {}, {})
        with pytest.raises(ValueError, match=r"`\[0\]`: key<fry> of shape \(\) in the checkpoint, uint32 of") as caught:
            store.restore([jax.random.PRNGKey(0)] * 30, {})
    assert len(str(caught.value).split("\n")) == 1 + 20 + 1
    assert str(caught.value).endswith("… and 10 more")


def test_tuples_in_arguments_are_lists_and_their_numbers_may_be_those_of_numpy(tmp_path):
    with fg.Checkpoint(tmp_path, every=5).open() as store:
        store.save(5, state(5), {}, {"key": (0, 1), "n": np.int64(3), "rate": float("nan")})
        assert store.restore(state(0), {"rate": np.nan, "n": 3, "key": np.array([0, 1])}).step == 5


def test_what_cannot_be_saved_is_refused(tmp_path):
    with fg.Checkpoint(tmp_path, every=5).open() as store:
        with pytest.raises(TypeError, match=r"fit: a checkpoint saves arrays of numbers, but `\['x'\]` is float: 0.5"):
            store.save(5, {"x": 0.5}, {}, {})
        with pytest.raises(TypeError, match=r"`\['x'\]` is ndarray"):
            store.save(5, {"x": np.array(["a"])}, {}, {})
        for history in ({"loss": [np.ones(2)]}, {1: np.ones(2)}, [np.ones(2)], {"loss": None}):
            with pytest.raises(TypeError, match="fit: the history of a checkpoint must be nested dicts of arrays"):
                store.save(5, {}, history, {})
        with pytest.raises(TypeError, match="arguments must be numbers, strings, lists or dicts of them, got <built"):
            store.save(5, {}, {}, {"loss": min})
    assert os.listdir(tmp_path) == []


# The disk fails.


def test_a_full_disk_and_lost_permission(tmp_path):
    process = child(
        f"""
        import resource

        def fails(store, step):
            try:
                big = np.random.default_rng(0).normal(size=(9, 20_000))
                store.save(step, dict(zip("abcdefghi", big)), {{}}, RUN)
                store.wait()
            except fg.CheckpointError as error:
                print(error)
                assert error.__cause__ is not None

        folder = {str(tmp_path / "runs")!r}
        store = fg.Checkpoint(folder, every=10).open()
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))  # the system refuses to write more: as on a full disk
        fails(store, 5)
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        store.save(10, state(10), past(10), RUN)
        store.wait()
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
        fails(store, 20)
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        check(store.restore(state(0), RUN), 10)

        os.chmod(folder, 0o555)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)  # root may write everywhere
        fails(store, 30)
        try:
            fg.Checkpoint(folder, every=10).open("train")
        except fg.CheckpointError as error:
            print(error)
        os.seteuid(user)
        os.chmod(folder, 0o755)
        store.save(40, state(40), past(40), RUN)
        check(store.restore(state(0), RUN), 40)
        store.close()
        assert sorted(os.listdir(folder)) == ["10", "40"], os.listdir(folder)
        """
    )
    out, _ = output(process)  # on the other stream there may be words of TensorStore, whose other writes fail late
    first, full, lost, early = out.splitlines()
    folder = re.escape(repr(str(tmp_path / "runs")))
    failed = f"fit: saving the checkpoint of step %d in {folder} failed; %s. The cause: "
    assert re.match(failed % (5, "there is no good one"), first)
    assert re.match(failed % (20, "the last good one is of step 10"), full)
    assert "File too large" in full
    assert re.match(failed % (30, "the last good one is of step 10"), lost)
    assert "Permission denied" in lost
    assert re.match(f"train: checkpoints cannot be written to {folder}: PermissionError: .*Permission denied", early)


def test_a_directory_that_goes_away_while_training(tmp_path):
    """The failure comes up once: where it is waited for, or as a note to the error that ended the run."""
    store = fg.Checkpoint(tmp_path / "runs", every=10).open()
    store.save(10, state(10), past(10), RUN)
    store.wait()
    (tmp_path / "runs").rename(tmp_path / "away")
    (tmp_path / "runs").write_text("a file")
    store.save(20, state(20), past(20), RUN)
    with pytest.raises(fg.CheckpointError, match=r"saving the checkpoint of step 20 .* last good one is of step 10"):
        store.save(30, state(30), past(30), RUN)

    def run():
        with store:
            store.save(40, state(40), past(40), RUN)
            raise KeyError("of the run")

    with pytest.raises(KeyError, match="of the run") as caught:
        run()
    assert "saving the checkpoint of step 40" in caught.value.__notes__[0]
    check(restore(tmp_path / "away"), 10)


def test_a_place_where_no_directory_can_be(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(fg.CheckpointError, match=re.escape(f"fit: checkpoints cannot be written to {str(path)!r}")):
            fg.Checkpoint(path, every=1).open()


def test_without_orbax(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "orbax.checkpoint", None)
    with pytest.raises(ImportError, match=r'fit: checkpoints need Orbax: pip install "funcgd\[checkpoint\]"'):
        fg.Checkpoint(tmp_path, every=1).open()


def test_the_value():
    where = fg.Checkpoint(Path("runs") / "first", every=np.int64(10), keep=1)
    assert repr(where) == "Checkpoint(directory='runs/first', every=10, keep=1)"
    assert eval(repr(where), vars(fg)) == where
    assert fg.Checkpoint("~/runs", every=1).directory == os.path.expanduser("~/runs")
    for arguments, text in [
        ({"every": 0}, "`every`: expected at least 1, got 0"),
        ({"every": 1.5}, "`every`: expected an integer, got"),
        ({"every": 1, "keep": 0}, "`keep`: expected at least 1, got 0"),
        ({"every": 1, "directory": "gs://bucket/runs"}, "`directory`: expected a local directory, got 'gs://bucket/ru"),
        ({"every": 1, "directory": 3}, "`directory`: expected str, bytes or os.PathLike object"),
    ]:
        with pytest.raises((TypeError, ValueError), match=f"Checkpoint: {re.escape(text)}"):
            fg.Checkpoint(**{"directory": "runs", **arguments})
