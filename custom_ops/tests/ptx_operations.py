"""The operations of PTX that nvcc makes of custom_ops/cuda, and what they cost.

An operation binds its operands to a program's registers and memory: called with the
program, its modifiers and the operands, it returns what runs it for some threads.
"""

import re

import numpy as np

KINDS = {
    **{"pred": bool, "f16": np.float16, "f32": np.float32, "f64": np.float64},
    **{"s16": np.int16, "s32": np.int32, "s64": np.int64},
    **{"u8": np.uint8, "u16": np.uint16, "u32": np.uint32, "u64": np.uint64},
    **{"b8": np.uint8, "b16": np.uint16, "b32": np.uint32, "b64": np.uint64},
    "bf16": np.uint16,
}


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


def _insert(bits, whole, start, size):
    mask = ((1 << size.astype(np.uint64)) - 1) << start.astype(np.uint64)
    return (whole & ~mask) | ((bits.astype(np.uint64) << start) & mask)


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
    "bfi": _function(_insert),
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
    **{("bfi", "32"): 2},
    **{("mul", "64"): 4, ("mad", "64"): 5, ("min", "64"): 4, ("max", "64"): 4},
    **{("div", "64"): 75, ("rem", "64"): 75, ("div", "32"): 22, ("rem", "32"): 22},
    **{("selp", "f64"): 2, ("min", "f64"): 8, ("max", "f64"): 8},
    **{("rcp", "f64"): 12, ("div", "f64"): 18, ("sqrt", "f64"): 18},
    **{("rcp", "f32"): 7, ("div", "f32"): 13, ("sqrt", "f32"): 10, ("ex2", "f32"): 4},
}


def cost(operation, modifiers):
    """The machine instructions that an instruction becomes."""
    kind = modifiers[-1] if modifiers else ""
    if operation == "ex2" and "ftz" in modifiers:
        return 1
    bits = kind[1:] if kind[:1] in ("s", "u", "b") else kind
    return COSTS.get((operation, bits), COSTS.get((operation, ""), 1))
