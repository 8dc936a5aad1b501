"""Runs the test code; names of the program are stand-ins that ask the other process. Alone decides."""
import sys, builtins, posix, _ast
builtins.exit = builtins.quit = sys.exit
# The program's folder is no place to import from.
sys.path[:] = [place for place in sys.path if place]
path, source, sink, channel = map(int, sys.argv[1:5])
sys.argv = ["tests.py"]
token = sys.stdin.read()
MOST = 64 << 20
inbox = open(source, "rb")


class Theirs:
    """An object of the program. It can be looked into, changed and handed back, but equals only itself: what it says
    about comparing and containing does not count."""

    def __init__(self, number):
        object.__setattr__(self, "number", int(number))

    def __getattr__(self, name):
        if name[:2] == "__":
            raise AttributeError(name)
        return ask({"do": "get", "of": object.__getattribute__(self, "number"), "name": name})

    def __setattr__(self, name, value):
        ask({"do": "set", "of": self.number, "name": name, "value": pack(value)})

    def __call__(self, *args, **kwargs):
        return ask({"do": "of", "of": self.number}, args, kwargs)

    def __len__(self):
        return method(self, "__len__")

    def __str__(self):
        return method(self, "__str__")

    def __getitem__(self, key):
        return method(self, "__getitem__", key)

    def __setitem__(self, key, value):
        return method(self, "__setitem__", key, value)

    def __iter__(self):
        return method(self, "__iter__")

    def __contains__(self, value):
        return any(value is item or value == item for item in self)

    def __bool__(self):
        return True


def method(theirs, name, *args):
    return ask({"do": "get", "of": theirs.number, "name": name})(*args)


# Functions that the tests hand to the program.
lent = []


def keep(value):
    if type(value) is Theirs:
        return value.number
    if callable(value):
        lent.append(value)
        return -len(lent)
    raise TypeError("a %s does not cross" % type(value).__name__)


def kept(number):
    return lent[-1 - number] if number < 0 else Theirs(number)


def end(outcome, reason="", case=None):
    data = (token + " " + dumps({"outcome": outcome, "reason": reason, "case": case}) + "\n").encode()
    while data:
        data = data[posix.write(channel, data):]
    posix._exit(0)


with open(path, encoding="utf-8") as file:
    text = file.read()
try:
    tree = compile(text, "tests.py", "exec", 0x400)  # PyCF_ONLY_AST
    code = compile(tree, "tests.py", "exec")
except (SyntaxError, ValueError) as error:
    end("malformed", "%s: %s" % (type(error).__name__, error))


def walk(node):
    todo = [node]
    while todo:
        node = todo.pop()
        if isinstance(node, list):
            todo.extend(node)
        elif isinstance(node, _ast.AST):
            yield node
            todo.extend(getattr(node, field, None) for field in node._fields)


asserts = [node.lineno for node in walk(tree) if isinstance(node, _ast.Assert)]
if not asserts:
    end("malformed", "the tests assert nothing")
# A program may define a `sum` that the tests mean; it may not replace the `sorted` that they compare with. Which is
# which must follow from the tests alone, since the program says what it likes: it is the one name that they call.
called, own_names = set(), set()
for node in walk(tree):
    if isinstance(node, _ast.Call) and isinstance(node.func, _ast.Name):
        called.add(node.func.id)
    elif isinstance(node, _ast.Name) and isinstance(node.ctx, _ast.Store):
        own_names.add(node.id)
    elif isinstance(node, (_ast.FunctionDef, _ast.ClassDef)):
        own_names.add(node.name)
    elif isinstance(node, _ast.arg):
        own_names.add(node.arg)
theirs = called - own_names
modules = {
    node.value.id for node in walk(tree)
    if isinstance(node, _ast.Attribute) and isinstance(node.value, _ast.Name)
} & set(sys.stdlib_module_names)
if len(theirs) != 1:
    theirs = {name for name in theirs if not hasattr(builtins, name)}

# Each `assert x` becomes `assert REACHED() and x`, under a name that no program text can spell: tests of which no
# assertion is reached do not hold.
REACHED = "an assertion is reached"
reached = 0


def note():
    global reached
    reached += 1
    return True


for node in list(walk(tree)):
    if isinstance(node, _ast.Assert):
        at = {field: getattr(node.test, field) for field in node.test._attributes}
        called = _ast.Call(_ast.Name(REACHED, _ast.Load(), **at), [], [], **at)
        node.test = _ast.BoolOp(_ast.And(), [called, node.test], **at)
code = compile(tree, "tests.py", "exec")


class Gone(BaseException):
    pass


class Broken(BaseException):
    pass


def receive():
    line = inbox.readline(MOST)
    if not line.endswith(b"\n"):
        raise Gone()
    try:
        reply = loads(line.decode())
    except (ValueError, RecursionError):
        raise Broken("the reply is no JSON")
    if type(reply) is not dict:
        raise Broken("the reply is none")
    return reply


def take(data):
    try:
        return unpack(data)
    except Exception:
        raise Broken("the reply is no plain value")


count = 0


def send(message):
    data = dumps(message).encode() + b"\n"
    try:
        while data:
            data = data[posix.write(sink, data):]
    except OSError:
        raise Gone()


def call_back(message):
    """The program calls a function that the tests lent it."""
    try:
        value = kept(int(message["back"]))(*take(message.get("args")), **take(message.get("kwargs")))
        send({"value": pack(value)})
    except Exception as error:
        kind = type(error).__name__
        send({"raised": [kind if hasattr(builtins, kind) else "RuntimeError", str(error)[:300]]})


def ask(question, args=None, kwargs=None):
    global count
    count += 1
    mine = count
    question["seq"] = mine
    if args is not None:
        question["args"], question["kwargs"] = pack(list(args)), pack(kwargs)
    send(question)
    reply = receive()
    while "back" in reply:
        call_back(reply)
        reply = receive()
    if reply.get("seq") != mine:
        raise Broken("the reply is to another question")
    if "raised" in reply:
        kind, message = (list(reply["raised"]) + ["", ""])[:2]
        named = getattr(builtins, str(kind), None)
        # In a `for` or an `all` of the tests these would end the loop, as if all were seen and right.
        if named in (StopIteration, StopAsyncIteration):
            named = None
        if isinstance(named, type) and issubclass(named, Exception) and named is not AssertionError:
            try:
                error = named(str(message))
            except Exception:
                error = RuntimeError(str(message))
            raise error
        raise RuntimeError("%s: %s" % (kind, message))
    if args is not None:
        after = take(reply.get("args"))
        if type(after) is list:
            for old, new in zip(args, after):
                if type(old) is type(new) is list:
                    old[:] = new
                elif type(old) is type(new) and type(old) in (dict, set):
                    old.clear()
                    old.update(new)
    return take(reply.get("value"))


def stand_in(name):
    def asked(*args, **kwargs):
        return ask({"do": "call", "name": name}, args, kwargs)
    asked.__name__ = name
    return asked


scope = {"__name__": "tests", "__builtins__": builtins, REACHED: note}
try:
    hello = receive()
    if "syntax" in hello:
        end("syntax", str(hello["syntax"]))
    if "raised" in hello:
        kind, message = (list(hello["raised"]) + ["", ""])[:2]
        end("memory" if kind == "MemoryError" else "raised", "%s: %s" % (kind, message))
    offered = hello.get("names")
    if type(offered) is not dict:
        raise Broken("no names")
    used = {node.id for node in walk(tree) if isinstance(node, _ast.Name)}
    offered = {name: what for name, what in offered.items() if name in used and type(what) is dict}
    for name, what in offered.items():
        if "module" in what or name in modules:
            # The test code may use what the program imported: the real module under its own name, never another, and
            # never an object of the program that passes for it.
            if name in sys.stdlib_module_names:
                scope[name] = __import__(name)
        elif "call" in what:
            if name in theirs or not hasattr(builtins, name):
                scope[name] = stand_in(name)
        elif not hasattr(builtins, name):
            scope[name] = ask({"do": "read", "name": name})
    exec(code, scope)
except Gone:
    end("gone")
except Broken as error:
    end("raised", str(error))
except BaseException as error:
    case, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "tests.py":
            line = trace.tb_lineno
            case = sum(1 for at in asserts if at < line)
        trace = trace.tb_next
    if isinstance(error, AssertionError):
        end("failed", str(error) or ("assertion %d does not hold" % ((case or 0) + 1)), case)
    end("memory" if isinstance(error, MemoryError) else "raised", "%s: %s" % (type(error).__name__, str(error)[:300]), case)
if reached:
    end("passed")
if count:
    end("failed", "no assertion was reached")
end("malformed", "no assertion is reached")
