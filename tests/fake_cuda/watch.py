"""A watcher over every operator of torch: waits, types of products, FLOPs and live bytes on a GPU.

Placed above FakeTensorMode it sees each operator with its arguments before fakes compute the
result. Fakes refuse tensors of two devices themselves.

What a GPU would do and fakes cannot is stood in for here: a number that the host reads is 1, every
entry is taken for nonzero, and pinned memory is ordinary memory whose storage is remembered.
"""

from __future__ import annotations

import math
import traceback
import weakref
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.fake_cuda.flops import aten, bnb, flops_of, is_attention

PRODUCTS = frozenset({aten.mm, aten.addmm, aten.bmm, aten.baddbmm, aten._grouped_mm})
WAITS = frozenset(
    {"_local_scalar_dense", "equal", "nonzero", "masked_select", "_unique2", "unique_consecutive"}
)
"""Operators whose result the host reads, or whose size it must learn."""
MASKS = (torch.bool, torch.uint8)
PACKAGE = "/finetune/"


def line_of_project() -> str:
    """Return the innermost line of the package in the stack, else the innermost of a library."""
    library = "?"
    for frame in reversed(traceback.extract_stack()):
        if "/tests/" in frame.filename or "/torch/utils/" in frame.filename:
            continue
        if "site-packages" in frame.filename:
            if library == "?" and "/torch/" not in frame.filename:
                library = f"{frame.filename.split('site-packages/')[1]}:{frame.lineno}"
        elif PACKAGE in frame.filename:
            return f"finetune/{frame.filename.rpartition(PACKAGE)[2]}:{frame.lineno}"
    return library


class Watch(TorchDispatchMode):
    """Counts while it is entered.

    `known` tensors (weights) are there anyway; `tokens` are those of the micro-batch; more than
    `room_bytes` beside what is known is out of memory.
    """

    def __init__(
        self, *, known: Iterable[Tensor] = (), tokens: int = -1, room_bytes: float = math.inf
    ) -> None:
        super().__init__()
        self._room = room_bytes
        self._tokens = tokens
        self.waits: Counter[str] = Counter()
        """Waits of the host for the GPU: "operator at line"."""
        self.pageable: Counter[str] = Counter()
        """Copies to the GPU that wait, because their source is not pinned or they ask for it."""
        self.mixed: Counter[str] = Counter()
        """Products of tensors of two types."""
        self.product_flops: defaultdict[str, float] = defaultdict(float)
        """By type."""
        self.float32_lines: defaultdict[str, float] = defaultdict(float)
        """FLOPs of products in float32, by line."""
        self.attention_flops: defaultdict[str, float] = defaultdict(float)
        """By operator and type."""
        self.squares: Counter[str] = Counter()
        """Tensors of `tokens` x `tokens`, such as a mask over all of them, by line."""
        self.launches = 0
        self.peak_bytes = 0
        """Most bytes alive on the GPU at a time, without `known` ones."""
        self.bytes = 0
        """Bytes alive there now."""
        self._known = tuple(known)
        self._alive: dict[int, int] = dict.fromkeys(map(_key, self._known), 0)
        """Bytes of each storage; of known ones none."""
        self._pinned: dict[int, Tensor] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        packet = func._overloadpacket
        name = packet.__name__
        inputs = [a for a in tree_leaves((args, kwargs)) if isinstance(a, Tensor)]
        if name in ("is_pinned", "_pin_memory", "pin_memory"):
            return self._pin(name, args[0])
        if kwargs.pop("pin_memory", False):
            return self._remember_pinned(func(*args, **kwargs))
        self._look_for_waits(name, args, kwargs, inputs)
        if name == "_local_scalar_dense":
            return 1.0 if inputs[0].is_floating_point() else 1
        if name == "nonzero":
            return args[0].new_empty((args[0].numel(), args[0].ndim), dtype=torch.int64)
        if packet in PRODUCTS:
            found = {_type_of(a) for a in inputs if a.is_floating_point()}
            if len(found) > 1:
                self.mixed[f"{name} of {' and '.join(sorted(found))} at {line_of_project()}"] += 1
        unpacked = self._unpack_for_a_moment(packet, args)
        result = func(*args, **kwargs)
        self.bytes -= unpacked
        self._count(packet, func, args, kwargs, inputs, result)
        return result

    def _look_for_waits(
        self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], inputs: list[Tensor]
    ) -> None:
        if not inputs:
            return
        by_mask = name.startswith(("index", "_index")) and len(args) > 1 and _has_mask(args[1])
        if (name in WAITS or by_mask) and _on_gpu(inputs[0]):
            self.waits[f"{name} at {line_of_project()}"] += 1
        target = kwargs.get("device") if name == "_to_copy" else None
        source, waits = inputs[-1], not kwargs.get("non_blocking", False)
        if name == "copy_" and len(inputs) == 2:
            target = inputs[0].device
            waits = not (kwargs.get("non_blocking") or (len(args) > 2 and args[2]))
        if target is None:
            return
        to_gpu = torch.device(target).type == "cuda"
        if _on_gpu(source) and not to_gpu and waits:
            self.waits[f"copy to the CPU at {line_of_project()}"] += 1
        elif to_gpu and not _on_gpu(source) and (waits or _key(source) not in self._pinned):
            self.pageable[f"copy to the GPU at {line_of_project()}"] += 1

    def _pin(self, name: str, tensor: Tensor) -> Any:
        if name == "is_pinned":
            return _key(tensor) in self._pinned
        return self._remember_pinned(torch.empty_like(tensor, device="cpu"))

    def _remember_pinned(self, tensor: Tensor) -> Tensor:
        self._pinned[_key(tensor)] = tensor  # kept, so that no other storage gets its number
        return tensor

    def _unpack_for_a_moment(self, packet: Any, args: tuple[Any, ...]) -> int:
        """Count the weight that a product with 4-bit weights unpacks, while it runs."""
        if packet is not bnb.gemm_4bit:
            return 0
        rows, columns = args[2]
        size: int = rows * columns * args[0].element_size()
        self._grow(size)
        return size

    def _count(
        self,
        packet: Any,
        func: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        inputs: list[Tensor],
        result: Any,
    ) -> None:
        outputs = [o for o in tree_leaves(result) if isinstance(o, Tensor)]
        if any(_on_gpu(o) for o in outputs) and not func.is_view:
            self.launches += 1
        flops = flops_of(packet, args, kwargs, result=result)
        if flops:
            kind = _type_of(next(a for a in inputs if a.is_floating_point()))
            if is_attention(packet):
                self.add_attention(f"{packet.__name__} {kind}", flops)
            else:
                self.product_flops[kind] += flops
                if kind == "float32":
                    self.float32_lines[line_of_project()] += flops
        for output in outputs:
            self._follow(output)

    def add_attention(self, name: str, flops: float) -> None:
        """Count attention; stand-ins of kernels that fakes do not have call it, too."""
        self.attention_flops[name] += flops

    def _follow(self, tensor: Tensor) -> None:
        if not _on_gpu(tensor):
            return
        if tensor.shape[-2:] == (self._tokens, self._tokens):
            self.squares[line_of_project()] += 1
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._alive:
            return
        self._grow(size)
        self._alive[key] = size
        weakref.finalize(storage, self._free, key)

    def resize(self, tensor: Tensor, size: int) -> None:
        """Resize the storage of a tensor, which no operator does."""
        key, storage = _key(tensor), tensor.untyped_storage()
        if key in self._alive:
            self._grow(size - self._alive[key])
            self._alive[key] = size
        storage.resize_(size)

    def _grow(self, size: int) -> None:
        if self.bytes + size > self._room:
            raise torch.OutOfMemoryError(f"{size} bytes beside {self.bytes} of {self._room}")
        self.bytes += size
        self.peak_bytes = max(self.peak_bytes, self.bytes)

    def _free(self, key: int) -> None:
        self.bytes -= self._alive.pop(key)


def _on_gpu(tensor: Tensor) -> bool:
    return tensor.device.type == "cuda"


def _key(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _type_of(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _has_mask(index: Any) -> bool:
    return any(isinstance(a, Tensor) and a.dtype in MASKS for a in tree_leaves(index))
