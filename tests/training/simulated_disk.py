"""A disk in memory behind `headway.training._fs`: it counts operations, fails any one of them, and loses power.

What a file or a directory holds is kept twice: as the running system sees it, and as the medium has it. Only fsync moves the
one to the other. A power failure leaves the medium's state plus some of what was under way (Pillai et al. 2014).
"""

from __future__ import annotations

import errno
import os
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from headway.training import _fs

MUTATIONS = (
    "make_directory",
    "create",
    "write",
    "fsync",
    "close",
    "fsync_directory",
    "rename",
    "remove_file",
    "remove_directory",
)
QUESTIONS = ("status", "list_directory", "open_read", "read_into", "free_bytes")
SPACE_NEEDED = {"make_directory", "create", "write", "fsync", "rename", "fsync_directory", "close"}


class KilledError(BaseException):
    """The process is gone: nothing after this instant happens."""


@dataclass
class Node:
    """A file (`entries` is None) or a directory."""

    data: bytearray = field(default_factory=bytearray)
    durable_data: bytes = b""
    entries: dict[str, Node] | None = None
    durable_entries: dict[str, Node] = field(default_factory=dict)
    pending: list[tuple[Any, ...]] = field(default_factory=list)  # changes of names not yet on the medium


def directory() -> Node:
    return Node(entries={})


@dataclass
class Disk:
    root: Node = field(default_factory=directory)
    operations: list[str] = field(default_factory=list)
    fail_at: int = -1  # index of the operation
    fault: str = ""  # kill, tear (killed in the middle of a write), short, or the name of an errno
    lasting: bool = False  # the errno stays for all later operations that need space
    dead: bool = False
    free: int = 1 << 40
    _open: dict[int, Node] = field(default_factory=dict)
    _places: dict[int, int] = field(default_factory=dict)
    _next: int = 1000

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in MUTATIONS + QUESTIONS:
            monkeypatch.setattr(_fs, name, getattr(self, name))

    def arm(self, fail_at: int, fault: str, lasting: bool = False) -> None:
        self.operations, self.fail_at, self.fault, self.lasting, self.dead = [], fail_at, fault, lasting, False

    def disarm(self) -> None:
        self.arm(-1, "")

    # --- faults ---

    def _count(self, name: str) -> bool:
        """Whether the fault of this operation is left to the caller."""
        if self.dead:
            raise KilledError
        index = len(self.operations)
        self.operations.append(name)
        due = index == self.fail_at or (self.lasting and 0 <= self.fail_at < index and name in SPACE_NEEDED)
        if not due:
            return False
        if self.fault == "kill" or (self.fault == "tear" and name != "write"):
            self.dead = True
            raise KilledError
        if self.fault in ("tear", "short"):
            return True
        code = getattr(errno, self.fault)
        raise OSError(code, os.strerror(code))

    def lose_power(self, names: str, data: str, seed: int = 0) -> None:
        """Names under way: lost, kept, some. Data not brought to the medium: lost, half, zeros, kept, some of these."""
        chance = random.Random(seed)
        for node in self._all_nodes():
            if node.entries is None:
                pick = chance.choice(["lost", "half", "zeros", "kept"]) if data == "some" else data
                unsynced = {"lost": node.durable_data, "half": bytes(node.data[: len(node.data) // 2]), "kept": bytes(node.data)}
                unsynced["zeros"] = bytes(len(node.data))
                if bytes(node.data) != node.durable_data:
                    node.data, node.durable_data = bytearray(unsynced[pick]), unsynced[pick]
                continue
            for change in node.pending:
                if names == "kept" or (names == "some" and chance.random() < 0.5):
                    _apply(node.durable_entries, change)
            node.entries, node.pending = dict(node.durable_entries), []
        self._open.clear()
        self.disarm()

    def _all_nodes(self) -> list[Node]:
        found: dict[int, Node] = {}
        waiting = [self.root, *self._open.values()]
        while waiting:
            node = waiting.pop()
            if id(node) not in found:
                found[id(node)] = node
                changed = [part for change in node.pending for part in change if isinstance(part, Node)]
                waiting += [*(node.entries or {}).values(), *node.durable_entries.values(), *changed]
        return list(found.values())

    # --- the operations ---

    def _node(self, path: Path) -> Node | None:
        node: Node | None = self.root
        for part in path.parts[1:]:
            node = None if node is None or node.entries is None else node.entries.get(part)
        return node

    def _need(self, path: Path) -> Node:
        node = self._node(path)
        if node is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return node

    def _change(self, parent: Path, *change: Any) -> None:
        node = self._need(parent)
        assert node.entries is not None
        _apply(node.entries, change)
        node.pending.append(change)

    def status(self, path: Path) -> _fs.Status | None:
        self._count("status")
        node = self._node(path)
        return None if node is None else _fs.Status("file" if node.entries is None else "directory", len(node.data))

    def list_directory(self, path: Path) -> list[str]:
        self._count("list_directory")
        node = self._need(path)
        assert node.entries is not None
        return sorted(node.entries)

    def make_directory(self, path: Path) -> None:
        self._count("make_directory")
        assert self._node(path) is None
        self._change(path.parent, "add", path.name, directory())

    def create(self, path: Path) -> int:
        self._count("create")
        assert self._node(path) is None, f"{path} is there already"
        node = Node()
        self._change(path.parent, "add", path.name, node)
        return self._descriptor(node)

    def open_read(self, path: Path) -> int:
        self._count("open_read")
        return self._descriptor(self._need(path))

    def _descriptor(self, node: Node) -> int:
        self._next += 1
        self._open[self._next], self._places[self._next] = node, 0
        return self._next

    def write(self, descriptor: int, data: memoryview) -> int:
        part = self._count("write")
        taken = data[: max(1, len(data) // 2)] if part else data
        self._open[descriptor].data += taken
        if part and self.fault == "tear":
            self.dead = True
            raise KilledError
        return len(taken)

    def read_into(self, descriptor: int, buffer: memoryview) -> int:
        part = self._count("read_into")
        place = self._places[descriptor]
        data = self._open[descriptor].data[place : place + (max(1, len(buffer) // 2) if part else len(buffer))]
        buffer[: len(data)] = data
        self._places[descriptor] = place + len(data)
        return len(data)

    def fsync(self, descriptor: int) -> None:
        self._count("fsync")
        node = self._open[descriptor]
        node.durable_data = bytes(node.data)

    def close(self, descriptor: int) -> None:
        if not self.dead:
            del self._open[descriptor]
        self._count("close")

    def fsync_directory(self, path: Path) -> None:
        self._count("fsync_directory")
        node = self._need(path)
        assert node.entries is not None
        node.durable_entries, node.pending = dict(node.entries), []

    def rename(self, old: Path, new: Path) -> None:
        self._count("rename")
        there = self._node(new)
        assert old.parent == new.parent
        assert there is None or there.entries is None, "a directory is never replaced"
        self._change(old.parent, "rename", old.name, new.name, self._need(old))

    def remove_file(self, path: Path) -> None:
        self._count("remove_file")
        assert self._need(path).entries is None
        self._change(path.parent, "remove", path.name)

    def remove_directory(self, path: Path) -> None:
        self._count("remove_directory")
        assert self._need(path).entries == {}
        self._change(path.parent, "remove", path.name)

    def free_bytes(self, path: Path) -> int:
        self._count("free_bytes")
        return self.free


def _apply(entries: dict[str, Node], change: tuple[Any, ...]) -> None:
    kind, name, *rest = change
    if kind == "add":
        entries[name] = rest[0]
    elif kind == "remove":
        entries.pop(name, None)
    elif name in entries:  # renamed
        del entries[name]
        entries[rest[0]] = rest[1]
