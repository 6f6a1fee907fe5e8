"""Runs the PTX of kernels on a CPU, a block of threads at a time, and counts.

It knows the part of PTX that nvcc makes of custom_ops/cuda: a kernel has one
parameter, one array of shared memory, and barriers of the whole block. It knows
nothing of time: neither latencies nor caches, nor how many blocks there is room for.
"""

import re

import numpy as np

from custom_ops.tests.ptx_operations import KINDS, OPERATIONS, cost

WARP = 32
STATEMENT = re.compile(
    r"(?P<label>[$\w]+):"
    r"|\.reg\s+\.(?P<kind>\w+)\s+(?P<registers>[^;]+);"
    r"|\.pragma[^;]*;"
    r"|(?:@(?P<negated>!?)(?P<guard>%\w+)\s+)?"
    r"(?P<operation>[a-z]\w*(?:\.\w+)*)\.?\s*(?P<operands>[^;]*);"
)
# Beyond every basic block: those that wait at a barrier, and those that returned.
WAITING, DONE = 1 << 20, 1 << 30


class Memory:
    """Bytes at addresses from `base` on, of which only those of arrays may be used."""

    def __init__(self, size, base=1 << 32):
        self.base = base
        # NaN to whoever reads what nobody wrote.
        self.bytes = np.full(-(-size // 16) * 16, 0xFF, np.uint8)
        self.owned = np.zeros(self.bytes.size, bool)
        self.used = 0

    def put(self, array):
        """Copies an array in; returns its address and what is there from now on."""
        start, end = self.used, self.used + array.nbytes
        self.used = -(-(end + 1) // 256) * 256
        self.owned[start:end] = True
        there = self.bytes[start:end].view(array.dtype).reshape(array.shape)
        there[...] = array
        return self.base + start, there

    def zero(self, address, size):
        """Clears bytes of an array."""
        start = self.index(np.array([address]), 1)[0]
        if not self.owned[start : start + size].all():
            raise IndexError(f"{size} bytes at {address:#x} are not in an array")
        self.bytes[start : start + size] = 0

    def use(self, threads, at, size, writes):
        """Threads use so many bytes each."""

    def index(self, addresses, size):
        """Where numbers of so many bytes lie, all of them in arrays and aligned."""
        at = addresses - self.base
        ours = (at >= 0) & (at <= self.bytes.size - size) & (at % size == 0)
        ours[ours] &= self.owned[at[ours]] & self.owned[at[ours] + size - 1]
        if not ours.all():
            raise IndexError(
                f"{size} bytes at {addresses[~ours][0]:#x} are not aligned in an array"
            )
        return at


class _SharedMemory(Memory):
    """That of a block, which knows who used which byte since the last barrier."""

    NOBODY, SEVERAL = -1, -2

    def __init__(self, size):
        super().__init__(size, base=0)
        self.put(self.bytes)
        self.writers = np.empty(self.bytes.size, np.int16)
        self.readers = np.empty(self.bytes.size, np.int16)

    def clear(self):
        self.bytes[:] = 0xFF
        self.meet()

    def meet(self):
        """All threads are at a barrier."""
        self.writers[:] = self.readers[:] = self.NOBODY

    def use(self, threads, at, size, writes):
        threads = threads[:, None]
        at = at[:, None] + np.arange(size)
        others = [self.writers[at]] + [self.readers[at]] * writes
        users = self.writers if writes else self.readers
        before = users[at]
        users[at] = threads
        several = users[at] != threads
        if writes:
            others.append(np.where(several, self.SEVERAL, threads))
        else:
            several |= (before != self.NOBODY) & (before != threads)
            users[at[several]] = self.SEVERAL
        for other in others:
            if np.any((other != self.NOBODY) & (other != threads)):
                raise RuntimeError("threads race for shared memory")


class Kernel:
    """The one entry of a PTX text whose name contains `name`."""

    def __init__(self, text, name):
        pattern = rf"\.entry \S*{re.escape(name)}\S*\(.*?\n\}}"
        (entry,) = re.findall(pattern, text, re.DOTALL)
        self.parameter_bytes = int(re.search(r"_param_0\[(\d+)\]", entry)[1])
        self.body = re.sub("//.*", "", entry[entry.index("{") + 1 :])

    def run(self, grid, threads, shared_bytes, parameter, memory, blocks=None):
        """Runs blocks of a launch; returns the warp instructions of each.

        Args:
            grid: The number of blocks of the launch.
            threads: The threads of a block.
            shared_bytes: The bytes of its shared memory.
            parameter: The bytes of the kernel's parameter.
            memory: The global `Memory`.
            blocks: The blocks to run, all of them unless given.
        """
        program = _Program(self, threads, shared_bytes, parameter, memory)
        program.registers["%nctaid.x"][:] = grid
        return [program.run(i) for i in (range(grid) if blocks is None else blocks)]


class _BasicBlock:
    """Instructions that threads run in a row, and where they go from there."""

    def __init__(self):
        self.cost = 0
        self.instructions = []

    def leave(self, at, mask, following):
        at[mask] = following


class _Program:
    """A kernel, whose instructions are bound to a block's registers and memory."""

    def __init__(self, kernel, threads, shared_bytes, parameter, memory):
        self.threads = threads
        self.spaces = {
            "global": memory,
            "shared": _SharedMemory(shared_bytes),
            "param": Memory(kernel.parameter_bytes, base=0),
        }
        self.spaces["param"].put(np.frombuffer(parameter, np.uint8))
        self.registers = {
            name: np.zeros(threads, np.uint32)
            for name in ("%tid.x", "%ctaid.x", "%ctaid.y", "%nctaid.x")
        }
        self.registers["%tid.x"][:] = np.arange(threads)
        self.labels = {}
        self.blocks = [_BasicBlock()]
        for statement in STATEMENT.finditer(kernel.body):
            if statement["label"]:
                if self.blocks[-1].instructions:
                    self.blocks.append(_BasicBlock())
                self.labels[statement["label"]] = len(self.blocks) - 1
            elif statement["kind"]:
                self._declare(statement["kind"], statement["registers"])
            elif statement["operation"]:
                self._add(statement)

    def run(self, block):
        """Runs a block of the grid; returns its warp instructions."""
        self.registers["%ctaid.x"][:] = block
        self.spaces["shared"].clear()
        at = np.zeros(self.threads, np.int64)
        total = 0
        with np.errstate(all="ignore"):
            while True:
                # Those behind go first, so that threads of a warp meet again.
                here = at.min()
                if here == DONE:
                    return total
                if here >= WAITING:
                    if here != at.max():
                        raise RuntimeError("threads wait at different barriers")
                    at -= WAITING
                    self.spaces["shared"].meet()
                    continue
                mask = at == here
                basic = self.blocks[here]
                total += basic.cost * mask.reshape(-1, WARP).any(1).sum()
                lanes = True if mask.all() else mask
                for instruction in basic.instructions:
                    instruction(lanes)
                basic.leave(at, mask, here + 1)

    def read(self, operand, kind):
        """The numbers of a register, or a constant, as a kind sees them."""
        dtype = np.dtype(KINDS[kind])
        if operand not in self.registers:
            return _constant(operand, dtype)
        register = self.registers[operand]
        ratio = register.itemsize // dtype.itemsize
        return register.view(dtype)[::ratio] if ratio else register

    def write(self, operand, kind):
        """What takes numbers of a kind to a register, which may be wider."""
        register = self.registers[operand]
        dtype = np.dtype(KINDS[kind])
        if dtype.itemsize == register.itemsize:
            return register.view(dtype)
        return register.view(f"{'i' if dtype.kind == 'i' else 'u'}{register.itemsize}")

    def place(self, space, address, kind, count, writes):
        """Returns a function that says which lanes use which numbers of a space."""
        memory = self.spaces[space]
        base, _, distance = address.strip("[]").partition("+")
        start = np.broadcast_to(
            self.read(base, "s64" if base[:3] == "%rd" else "u32"), self.threads
        )
        size = np.dtype(KINDS[kind]).itemsize
        everyone = np.arange(self.threads)

        def place(mask):
            lanes = everyone if mask is True else np.flatnonzero(mask)
            at = start[lanes].astype(np.int64) + int(distance or 0)
            at = memory.index(at, size * count)
            memory.use(lanes, at, size * count, writes)
            return lanes, at // size

        return memory.bytes.view(KINDS[kind]), place

    def _declare(self, kind, names):
        dtype = np.dtype(KINDS[kind])
        dtype = bool if kind == "pred" else f"u{dtype.itemsize}"
        for name in re.split(r",\s*", names.strip()):
            prefix, _, count = name.rstrip(">").partition("<")
            suffixes = range(int(count)) if count else [""]
            for suffix in suffixes:
                self.registers[f"{prefix}{suffix}"] = np.zeros(self.threads, dtype)

    def _add(self, statement):
        """Adds an instruction to the last basic block."""
        operation, *modifiers = statement["operation"].split(".")
        operands = re.findall(r"\{[^}]*\}|\[[^\]]*\]|[^\s,]+", statement["operands"])
        guard = lambda mask: mask  # noqa: E731
        if statement["guard"]:
            register = self.registers[statement["guard"]]
            if statement["negated"]:
                guard = lambda mask: mask & ~register  # noqa: E731
            else:
                guard = lambda mask: mask & register  # noqa: E731
        basic = self.blocks[-1]
        basic.cost += cost(operation, modifiers)
        if operation in ("bra", "ret", "bar"):
            self.blocks.append(_BasicBlock())

            def leave(at, mask, following):
                at[mask] = following
                at[guard(mask)] = (
                    WAITING + following
                    if operation == "bar"
                    else DONE
                    if operation == "ret"
                    else self.labels[operands[0]]
                )

            basic.leave = leave
            return
        try:
            run = OPERATIONS[operation](self, modifiers, *operands)
        except KeyError as error:
            raise NotImplementedError(statement[0]) from error
        basic.instructions.append(
            (lambda mask: run(guard(mask))) if statement["guard"] else run
        )


def _constant(operand, dtype):
    if operand[:2] in ("0f", "0d"):
        bits = np.uint32 if operand[1] == "f" else np.uint64
        return np.array(int(operand[2:], 16), bits).view(dtype)
    if operand[0] == "%":
        raise KeyError(operand)
    if not re.match(r"-?\d", operand):
        return np.array(0, dtype)  # The start of shared memory, or of the parameter.
    bits = 8 * dtype.itemsize
    if dtype.kind == "b":
        return np.array(int(operand) != 0)
    return np.array(int(operand, 0) & ((1 << bits) - 1), f"u{dtype.itemsize}").view(
        dtype
    )
