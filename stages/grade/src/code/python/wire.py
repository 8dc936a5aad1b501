# JSON without the `json` module, whose import costs as much as starting the interpreter.
try:
    from _json import encode_basestring_ascii as quote, make_scanner

    class Scan:
        strict, object_hook, object_pairs_hook, parse_float, parse_int, parse_constant = True, None, None, float, int, float

    def loads(text, scan=make_scanner(Scan)):
        try:
            return scan(text.strip(), 0)[0]
        except StopIteration:
            raise ValueError("no JSON") from None
except (ImportError, AttributeError):
    from json import loads, dumps as quote


def dumps(value, quote=quote):
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    kind = type(value)
    if kind is str:
        return quote(value)
    if kind is int or kind is float:
        return kind.__repr__(value)
    if kind is list:
        return "[" + ",".join([dumps(item) for item in value]) + "]"
    return "{" + ",".join([quote(key) + ":" + dumps(item) for key, item in value.items()]) + "}"


