"""Runs the program and answers questions about it. Sees no test code and no expected value."""
import sys, builtins, posix
builtins.exit = builtins.quit = sys.exit
# The program's folder is no place to import from.
sys.path[:] = [place for place in sys.path if place]
path, source, sink = map(int, sys.argv[1:4])
sys.argv = ["program.py"]
inbox = open(source, "rb")
# Objects of the program's own classes stay here; the tests hold their numbers and may hand them back. Functions of
# the tests stay there, and have numbers below zero.
objects = []


def keep(value):
    if type(value) is Theirs:
        return value.number
    objects.append(value)
    return len(objects) - 1


def kept(number):
    return Theirs(number) if number < 0 else objects[number]


class Theirs:
    """A function of the tests."""

    def __init__(self, number):
        self.number = number

    def __call__(self, *args, **kwargs):
        send({"back": self.number, "args": pack(list(args)), "kwargs": pack(kwargs)})
        reply = answer_until_reply()
        if "raised" in reply:
            kind = getattr(builtins, reply["raised"][0], RuntimeError)
            raise kind(reply["raised"][1])
        return unpack(reply["value"])


def send(reply, dumps=dumps, write=posix.write):
    data = dumps(reply).encode() + b"\n"
    while data:
        data = data[write(sink, data):]


def raised(error):
    return {"raised": [type(error).__name__, str(error)[:300]]}


def names(scope):
    """Only what they are: a value is sent when it is asked for."""
    found = {}
    for name, value in list(scope.items()):
        if name.startswith("__"):
            continue
        if type(value) is type(sys):
            found[name] = {"module": value.__name__}
        elif callable(value):
            found[name] = {"call": True}
        else:
            found[name] = {"value": True}
    return found


def answer(ask):
    what = ask["do"]
    try:
        if what == "read":
            reply = {"value": pack(scope[ask["name"]])}
        elif what == "get":
            reply = {"value": pack(getattr(kept(ask["of"]), ask["name"]))}
        elif what == "set":
            setattr(kept(ask["of"]), ask["name"], unpack(ask["value"]))
            reply = {"value": None}
        else:
            target = scope[ask["name"]] if what == "call" else kept(ask["of"])
            args, kwargs = unpack(ask["args"]), unpack(ask["kwargs"])
            value = target(*args, **kwargs)
            reply = {"value": pack(value), "args": pack(args)}
    except BaseException as error:
        reply = raised(error)
    reply["seq"] = ask["seq"]
    send(reply)


def answer_until_reply():
    """Questions can come while one of ours is open."""
    for line in inbox:
        message = loads(line.decode())
        if "do" not in message:
            return message
        answer(message)
    # The tests are done. As at any end, the program's threads are waited for: what runs on runs out of time.
    if "threading" in sys.modules:
        sys.modules["threading"]._shutdown()
    posix._exit(0)


with open(path, encoding="utf-8") as file:
    text = file.read()
module = type(sys)("program")
sys.modules["program"] = module
scope = module.__dict__
try:
    code = compile(text, "program.py", "exec")
except (SyntaxError, ValueError) as error:
    send({"syntax": "%s: %s" % (type(error).__name__, error)})
    posix._exit(1)
try:
    exec(code, scope)
except BaseException as error:
    send(raised(error))
    posix._exit(1)
send({"names": names(scope)})
answer_until_reply()
