"""Registers of the sequencers, numbers that follow them, and loops on the device."""
from collections.abc import Callable, Iterator
from typing import Any

from presil.nki import _trace
from presil.nki._affine import Affine, VirtualRegister
from presil.nki._tensor import Tensor

_FOREVER = 2**31 - 1


def register_alloc(x: Any = None) -> VirtualRegister:
    """A register; holds x, a number or another register's value."""
    register = VirtualRegister(_trace.trace().recording.make_register(_trace.line()))
    if x is not None:
        register_move(register, x)
    return register


def register_move(dst: VirtualRegister, src: Any) -> None:
    """dst = src, a number or a register."""
    _writable("register_move", dst)
    _trace.trace().recording.assign(dst.number, _number("register_move", src), _trace.line())


def register_load(dst: VirtualRegister, src: Tensor) -> None:
    """dst = the one element of src, in SBUF or HBM."""
    _writable("register_load", dst)
    _trace.trace().recording.load_register(dst.number, _element("register_load", src), _trace.line())


def register_store(dst: Tensor, src: VirtualRegister) -> None:
    """The one element of dst = src."""
    if not isinstance(src, VirtualRegister):
        raise _trace.refuse(f"register_store: {src!r} is no register", "nki.isa.register_alloc makes one")
    _trace.trace().recording.store_register(_element("register_store", dst), src.number, _trace.line())


def _writable(name: str, register: Any) -> None:
    if not isinstance(register, VirtualRegister):
        raise _trace.refuse(f"{name}: {register!r} is no register", "nki.isa.register_alloc makes one")
    if register.counts:
        raise _trace.refuse(f"{name}: the register counts a loop, which alone changes it", "copy it: register_alloc(i)")


def _element(name: str, tensor: Any) -> tuple[Any, ...]:
    if not isinstance(tensor, Tensor) or tensor.size != 1:
        raise _trace.refuse(f"{name}: {tensor!r} is not a tensor of one element")
    return tensor.encoded()


def _number(name: str, value: Any) -> Any:
    """As presil._core takes it: a number, or a register as (number,)."""
    if isinstance(value, Tensor):
        register = register_alloc()
        register_load(register, value)
        return (register.number,)
    if isinstance(value, VirtualRegister):
        return (value.number,)
    if isinstance(value, Affine) or not hasattr(value, "__index__"):
        raise _trace.refuse(f"{name}: {value!r} is neither a whole number nor a register")
    number = int(value.__index__())
    if not -2**31 <= number < 2**31:
        raise _trace.refuse(f"{name}: {number} does not fit a register, which has 32 bits")
    return number


def _begin(name: str, lower: Any, upper: Any, step: Any) -> VirtualRegister:
    trace = _trace.trace()
    if isinstance(step, (VirtualRegister, Affine, Tensor)) or not hasattr(step, "__index__") or int(step) < 1:
        raise _trace.refuse(f"{name}: step {step!r}", "a positive number that is known while the kernel is traced")
    if trace.no_reorder:
        raise _trace.refuse(f"{name}: no loop on the device runs inside nl.no_reorder()", "put nl.no_reorder() into the loop")
    counter = trace.recording.begin_loop(_number(name, lower), _number(name, upper), int(step), _trace.line())
    trace.loops.append(counter)
    return VirtualRegister(counter, counts=True)


def _end() -> None:
    trace = _trace.trace()
    trace.recording.end_loop(_trace.line())
    trace.loops.pop()


def dynamic_range(start: Any, stop: Any = None, step: int = 1) -> Iterator[VirtualRegister]:
    """A loop on the device: its body is traced once. Bounds are numbers or registers."""
    lower, upper = (0, start) if stop is None else (start, stop)
    at, trace = _trace.line(), _trace.trace()
    counter = _begin("dynamic_range", lower, upper, step)
    trace.open_loops[counter.number] = at
    yield counter
    del trace.open_loops[counter.number]
    _end()


def fori_loop(lower: Any, upper: Any, body_fun: Callable[[VirtualRegister], Any], step: int = 1) -> None:
    """body_fun(i) for i from lower below upper, on the device."""
    counter = _begin("fori_loop", lower, upper, step)
    body_fun(counter)
    _end()


def while_loop(init: VirtualRegister, body_fun: Callable[[VirtualRegister], VirtualRegister]) -> None:
    """r = init; as long as r is not 0: r = body_fun(r). On the device."""
    if not isinstance(init, VirtualRegister):
        raise _trace.refuse(f"while_loop: {init!r} is no register", "nki.isa.register_alloc makes one")
    recording = _trace.trace().recording
    condition = register_alloc(init)
    _begin("while_loop", 0, _FOREVER, 1)
    recording.leave_unless(condition.number, _trace.line())
    value = body_fun(register_alloc(condition))
    if not isinstance(value, VirtualRegister):
        raise _trace.refuse(f"while_loop: the body returns {value!r}", "return the register that says whether to go on")
    recording.assign(condition.number, (value.number,), _trace.line())
    _end()


def while_register(register: VirtualRegister, place: tuple[int, int]) -> bool:
    """`while register:` asks twice: before the body, and when it has been traced."""
    trace = _trace.trace()
    if trace.whiles and trace.whiles[-1] == (register.number, place):
        trace.whiles.pop()
        _end()
        return False
    trace.whiles.append((register.number, place))
    _begin("while", 0, _FOREVER, 1)
    trace.recording.leave_unless(register.number, _trace.line())
    return True
