"""Runs the program and answers questions about it. Sees no test code and no expected value."""
import sys, builtins, posix
builtins.exit = builtins.quit = sys.exit
# The program's folder is no place to import from.
sys.path[:] = [place for place in sys.path if place]
path, source, sink = map(int, sys.argv[1:4])
sys.argv = ["program.py"]
inbox = open(source, "rb")
# Objects of the program's own classes stay here; the tests hold their numbers and may hand them back.
objects = []


def keep(value):
    objects.append(value)
    return len(objects) - 1


def kept(number):
    return objects[number]


def send(reply, dumps=dumps, write=posix.write):
    data = dumps(reply).encode() + b"\n"
    while data:
        data = data[write(sink, data):]


def raised(error):
    return {"raised": [type(error).__name__, str(error)[:300]]}


def names(scope):
    found = {}
    for name, value in list(scope.items()):
        if name.startswith("__"):
            continue
        if type(value) is type(sys):
            found[name] = {"module": value.__name__}
        elif callable(value):
            found[name] = {"call": True}
        else:
            try:
                found[name] = {"value": pack(value)}
            except Exception:
                pass
    return found


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
for line in inbox:
    ask = loads(line.decode())
    args = unpack(ask["args"])
    kwargs = unpack(ask["kwargs"])
    try:
        value = scope[ask["name"]](*args, **kwargs)
        reply = {"value": pack(value), "args": pack(args), "seq": ask["seq"]}
    except BaseException as error:
        reply = raised(error)
        reply["seq"] = ask["seq"]
    send(reply)
posix._exit(0)
