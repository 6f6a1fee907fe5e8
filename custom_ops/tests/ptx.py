"""Runs the PTX of kernels on a CPU, a block of threads at a time, and counts.

It knows the part of PTX that nvcc makes of custom_ops/cuda: a kernel has one
parameter, one array of shared memory, and barriers of the whole block. It knows
nothing of time: neither latencies nor caches, nor how many blocks there is room for.
"""

import re

import numpy as np

WARP = 32
KINDS = {
    **{"pred": bool, "f16": np.float16, "f32": np.float32, "f64": np.float64},
    **{"s16": np.int16, "s32": np.int32, "s64": np.int64},
    **{"u8": np.uint8, "u16": np.uint16, "u32": np.uint32, "u64": np.uint64},
    **{"b8": np.uint8, "b16": np.uint16, "b32": np.uint32, "b64": np.uint64},
    "bf16": np.uint16,
}
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


def _elements(operand):
    return re.findall(r"[^\s,{}]+", operand)


def _ufunc(function):
    """An operation on numbers of one kind."""

    def bind(program, modifiers, target, *sources):
        out = program.write(target, modifiers[-1])
        inputs = [program.read(source, modifiers[-1]) for source in sources]
        return lambda mask: function(*inputs, out=out, where=mask)

    return bind


def _put(out, numbers, mask):
    np.copyto(out, numbers, casting="unsafe", where=mask)


def _function(function):
    """The same with a function of arrays."""

    def bind(program, modifiers, target, *sources):
        out = program.write(target, modifiers[-1])
        inputs = [program.read(source, modifiers[-1]) for source in sources]
        return lambda mask: _put(out, function(*inputs), mask)

    return bind


def _move(program, modifiers, target, source):
    if not (target + source).count("{"):
        return _function(lambda x: x)(program, modifiers, target, source)
    whole = target if "{" in source else source
    parts = _elements(source if "{" in source else target)
    size = np.dtype(KINDS[modifiers[-1]]).itemsize // len(parts)
    kind = f"b{8 * size}"
    joined = program.registers[whole].view(KINDS[kind]).reshape(-1, len(parts))
    if "{" in source:
        pairs = [(joined[:, i], program.read(p, kind)) for i, p in enumerate(parts)]
    else:
        pairs = [(program.write(p, kind), joined[:, i]) for i, p in enumerate(parts)]

    def run(mask):
        for out, numbers in pairs:
            _put(out, numbers, mask)

    return run


def _load(program, modifiers, target, address):
    kind = modifiers[-1]
    outs = [program.write(each, kind) for each in _elements(target)]
    numbers, place = program.place(modifiers[0], address, kind, len(outs), False)

    def run(mask):
        lanes, at = place(mask)
        for i, out in enumerate(outs):
            out[lanes] = numbers[at + i]

    return run


def _store(program, modifiers, address, source):
    kind = modifiers[-1]
    inputs = [program.read(each, kind) for each in _elements(source)]
    inputs = [np.broadcast_to(each, program.threads) for each in inputs]
    numbers, place = program.place(modifiers[0], address, kind, len(inputs), True)

    def run(mask):
        lanes, at = place(mask)
        for i, each in enumerate(inputs):
            numbers[at + i] = each[lanes]

    return run


def _multiply(program, modifiers, target, a, b, c="0"):
    """`mul` and `mad` of integers: the low half, the high one, or both."""
    half, kind = modifiers[-2:] if len(modifiers) > 1 else ("", modifiers[-1])
    if kind[0] == "f":
        return _ufunc(np.multiply)(program, modifiers, target, a, b)
    bits = int(kind[1:])
    full = f"{kind[0]}{2 * bits}" if half == "wide" else kind
    x, y = program.read(a, kind), program.read(b, kind)
    z, out = program.read(c, full), program.write(target, full)
    if half != "hi":
        return lambda mask: _put(
            out, x.astype(out.dtype) * y.astype(out.dtype) + z, mask
        )
    return lambda mask: _put(
        out, ((x.astype(object) * y.astype(object)) >> bits).astype(out.dtype) + z, mask
    )


def _fused(a, b, c):
    # The product of two floats is exact in double.
    return a.astype(np.float64) * b + c


def _quotient(a, b):
    if a.dtype.kind == "f":
        return a / b
    b = np.where(b == 0, 1, b).astype(a.dtype)
    quotient = a // b
    return quotient + ((quotient * b != a) & ((a < 0) != (b < 0)))


def _select(program, modifiers, target, a, b, condition):
    out, kind = program.write(target, modifiers[-1]), modifiers[-1]
    x, y = program.read(a, kind), program.read(b, kind)
    chosen = program.read(condition, "pred")
    return lambda mask: _put(out, np.where(chosen, x, y), mask)


def _shift_left(program, modifiers, target, source, amount):
    out, x = program.write(target, modifiers[-1]), program.read(source, modifiers[-1])
    n, bits = program.read(amount, "u32"), 8 * out.itemsize
    return lambda mask: _put(
        out, np.where(n < bits, x << np.minimum(n, bits - 1).astype(x.dtype), 0), mask
    )


def _shift_right(program, modifiers, target, source, amount):
    out, x = program.write(target, modifiers[-1]), program.read(source, modifiers[-1])
    n, bits = program.read(amount, "u32"), 8 * out.itemsize
    rest = 0 if out.dtype.kind == "u" else None

    def run(mask):
        shifted = x >> np.minimum(n, bits - 1).astype(x.dtype)
        _put(out, shifted if rest is None else np.where(n < bits, shifted, rest), mask)

    return run


def _not_equal(a, b):
    return (a < b) | (a > b)


COMPARISONS = {
    **{"lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal},
    **{"lo": np.less, "ls": np.less_equal, "hi": np.greater, "hs": np.greater_equal},
    **{"eq": np.equal, "ne": _not_equal, "neu": np.not_equal},
    # Or a number is NaN.
    "equ": lambda a, b: ~_not_equal(a, b),
    "ltu": lambda a, b: ~(a >= b),
    "leu": lambda a, b: ~(a > b),
    "gtu": lambda a, b: ~(a <= b),
    "geu": lambda a, b: ~(a < b),
    "nan": lambda a, b: np.isnan(a) | np.isnan(b),
    "num": lambda a, b: ~(np.isnan(a) | np.isnan(b)),
}
COMBINATIONS = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}


def _compare(program, modifiers, target, a, b, other=None):
    compare, kind = COMPARISONS[modifiers[0]], modifiers[-1]
    out = program.write(target, "pred")
    x, y = program.read(a, kind), program.read(b, kind)
    if other is None:
        return lambda mask: _put(out, compare(x, y), mask)
    combine, z = COMBINATIONS[modifiers[1]], program.read(other, "pred")
    return lambda mask: _put(out, combine(compare(x, y), z), mask)


ROUNDINGS = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}


def _convert(program, modifiers, target, source):
    *how, to, kind = modifiers
    if not {"rn", *ROUNDINGS}.issuperset(how):
        raise KeyError(how)
    x, out = program.read(source, kind), program.write(target, to)
    rounding = ROUNDINGS.get(how[0]) if how else None

    def run(mask):
        y = x
        if kind == "bf16":
            y = (y.astype(np.uint32) << 16).view(np.float32)
        if rounding:
            y = rounding(y)
        if to == "bf16":
            bits = y.astype(np.float32).view(np.uint32)
            y = np.where(
                np.isnan(y), 0x7FFF, (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
            )
        elif y.dtype.kind == "f" and to[0] in "su":
            limits = np.iinfo(KINDS[to])
            inside = (y >= limits.min) & (y <= limits.max)
            edge = np.where(y > 0, limits.max, limits.min * (y < 0))
            y = np.where(inside, np.where(inside, y, 0).astype(KINDS[to]), edge)
        _put(out, y.astype(KINDS[to]), mask)

    return run


def _nothing(program, modifiers, *operands):
    return lambda mask: None


OPERATIONS = {
    "abs": _ufunc(np.abs),
    "add": _ufunc(np.add),
    "and": _ufunc(np.bitwise_and),
    "cvt": _convert,
    "cvta": _move,
    "div": _function(_quotient),
    "ex2": _ufunc(np.exp2),
    "fma": _function(_fused),
    "ld": _load,
    "mad": _multiply,
    "max": _ufunc(np.fmax),
    "min": _ufunc(np.fmin),
    "mov": _move,
    "mul": _multiply,
    "neg": _ufunc(np.negative),
    "not": _ufunc(np.invert),
    "or": _ufunc(np.bitwise_or),
    "prefetch": _nothing,
    "rcp": _ufunc(np.reciprocal),
    "rem": _function(lambda a, b: a - _quotient(a, b) * b),
    "selp": _select,
    "setp": _compare,
    "shl": _shift_left,
    "shr": _shift_right,
    "sqrt": _ufunc(np.sqrt),
    "st": _store,
    "sub": _ufunc(np.subtract),
    "xor": _ufunc(np.bitwise_xor),
}


# The machine instructions of sm_90 that one becomes where that is not one, about: as
# ptxas makes them of straight code, the common path of those that have several.
COSTS = {
    # Registers are seldom copied, and addresses never.
    **{("mov", ""): 0.3, ("cvta", ""): 0},
    **{(each, "64"): 2 for each in ("add", "sub", "and", "or", "xor", "not", "neg")},
    **{(each, "64"): 2 for each in ("shl", "shr", "selp", "setp")},
    **{("mul", "64"): 4, ("mad", "64"): 5, ("min", "64"): 4, ("max", "64"): 4},
    **{("div", "64"): 75, ("rem", "64"): 75, ("div", "32"): 22, ("rem", "32"): 22},
    **{("selp", "f64"): 2, ("min", "f64"): 8, ("max", "f64"): 8},
    **{("rcp", "f64"): 12, ("div", "f64"): 18, ("sqrt", "f64"): 18},
    **{("rcp", "f32"): 7, ("div", "f32"): 13, ("sqrt", "f32"): 10, ("ex2", "f32"): 4},
}


def cost(operation, modifiers):
    """The machine instructions that an instruction becomes."""
    kind = modifiers[-1] if modifiers else ""
    bits = kind[1:] if kind[:1] in ("s", "u", "b") else kind
    return COSTS.get((operation, bits), COSTS.get((operation, ""), 1))
