# Plain values as JSON and back: only what is built in crosses, so no object brings its own `==`.
import sys, builtins


def from_module(value, module, name):
    module = sys.modules.get(module)
    return module is not None and isinstance(value, getattr(module, name))


def pack(value, depth=0):
    if depth > 150:
        raise ValueError("nested too deeply")
    if value is None or value is True or value is False:
        return value
    deep = lambda items: [pack(item, depth + 1) for item in items]
    if isinstance(value, str):
        return str.__str__(value) if type(value) is str else str.__add__("", value)
    if isinstance(value, int):
        return {"i": hex(int.__index__(value))}
    if isinstance(value, float):
        return {"f": float.hex(value)}
    if isinstance(value, complex):
        return {"c": [float.hex(value.real), float.hex(value.imag)]}
    if isinstance(value, list):
        return deep(value)
    if isinstance(value, tuple):
        return {"t": deep(value)}
    if isinstance(value, dict):
        return {"d": [[pack(k, depth + 1), pack(v, depth + 1)] for k, v in dict.items(value)]}
    if isinstance(value, frozenset):
        return {"z": deep(value)}
    if isinstance(value, set):
        return {"s": deep(value)}
    if isinstance(value, (bytes, bytearray)):
        return {"b": bytes(value).hex()}
    if from_module(value, "decimal", "Decimal"):
        return {"m": str(value)}
    if from_module(value, "fractions", "Fraction"):
        return {"q": [hex(value.numerator), hex(value.denominator)]}
    if isinstance(value, range):
        return {"r": [value.start, value.stop, value.step]}
    if from_module(value, "_collections", "deque"):
        return {"e": deep(value)}
    if hasattr(type(value), "__next__"):
        taken = []
        for item in value:
            taken.append(pack(item, depth + 1))
            if len(taken) > 100000:
                raise ValueError("an endless iterator")
        return {"n": taken}
    if type(value).__name__ in ("dict_keys", "dict_values", "dict_items"):
        return deep(value)
    if type(value) is type and getattr(builtins, value.__name__, None) is value:
        return {"y": value.__name__}
    return {"o": keep(value)}


def unpack(data, depth=0):
    if depth > 400:
        raise ValueError("nested too deeply")
    if data is None or data is True or data is False or type(data) is str:
        return data
    deep = lambda items: [unpack(item, depth + 1) for item in items]
    if type(data) is list:
        return deep(data)
    (tag, body), = data.items()
    if tag == "i":
        return int(body, 16)
    if tag == "f":
        return float.fromhex(body)
    if tag == "c":
        return complex(*map(float.fromhex, body))
    if tag == "t":
        return tuple(deep(body))
    if tag == "d":
        return {unpack(k, depth + 1): unpack(v, depth + 1) for k, v in body}
    if tag == "z":
        return frozenset(deep(body))
    if tag == "s":
        return set(deep(body))
    if tag == "b":
        return bytes.fromhex(body)
    if tag == "m":
        from decimal import Decimal
        return Decimal(body)
    if tag == "q":
        from fractions import Fraction
        return Fraction(*(int(part, 16) for part in body))
    if tag == "r":
        return range(*body)
    if tag == "e":
        from _collections import deque
        return deque(deep(body))
    if tag == "o":
        return kept(body)
    if tag == "y":
        kind = getattr(builtins, body)
        if type(kind) is not type:
            raise ValueError("no built-in type")
        return kind
    if tag == "n":
        return iter(deep(body))
    raise ValueError("no such tag")
