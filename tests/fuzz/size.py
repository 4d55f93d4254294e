"""How much an object remembers: the size of all that is reachable from it, but code.

Classes, functions and modules are shared, and what hangs on them (caches by `lru_cache`, tables) is
not the object's own. It is slower than `tracemalloc` to ask and costs nothing in between.
"""

import gc
import sys
from enum import Enum
from types import BuiltinFunctionType, FunctionType, ModuleType

_SHARED = (type, FunctionType, BuiltinFunctionType, ModuleType, Enum)


def size_of(*roots: object) -> int:
    seen: set[int] = set()
    waiting = list(roots)
    size = 0
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, _SHARED):
            continue
        seen.add(id(thing))
        size += sys.getsizeof(thing)
        waiting += gc.get_referents(thing)
    return size
