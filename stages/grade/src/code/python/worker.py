"""A warm interpreter. It forks for each program, and the fork confines itself before it becomes the program.

The worker stands in namespaces and a root of its own; no program's code ever runs in it. `wire.py` comes before.
Arguments: the control socket, the PID namespace it stands in, the Landlock rules for its forks.
"""
import sys
plain_modules = set(sys.modules)
import posix, select, resource, _socket, gc, builtins, types
import ctypes
tools = set(sys.modules) - plain_modules - {"posix", "gc", "types", "builtins"}
for name in ("os", "re", "collections", "heapq", "bisect", "itertools", "functools", "math", "string", "random",
             "operator", "typing", "datetime", "copy", "io", "threading", "time"):
    try:
        __import__(name)
    except ImportError:
        pass
tools -= {"os", "os.path", "stat", "struct", "_struct", "select"}

control = _socket.socket(fileno=int(sys.argv[1]))
pid_space, rules = int(sys.argv[2]), int(sys.argv[3])
libc = ctypes.CDLL(None, use_errno=True)
NEWPID = 0x20000000


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def must(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, posix.strerror(number))
    return result


def exactly(count):
    data = b""
    while len(data) < count:
        more = control.recv(count - len(data))
        if not more:
            posix._exit(0)
        data += more
    return data


def read_order():
    """The next order and the descriptors that came with it."""
    while True:
        data, extra, _, _ = control.recvmsg(1, 256)
        if not data:
            posix._exit(0)
        # A kill that crossed the end of its program is for nobody.
        if data == b"r":
            break
    fds = []
    for level, kind, body in extra:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            fds += [int.from_bytes(body[at:at + 4], sys.byteorder) for at in range(0, len(body) - 3, 4)]
    return loads(exactly(int.from_bytes(exactly(4), "big")).decode()), fds


setup, _ = read_order()
roles = {name: compile(text, "<string>", "exec") for name, text in setup["roles"].items()}
filters = []
for text in setup["filters"]:
    body = ctypes.create_string_buffer(bytes.fromhex(text), len(text) // 2)
    filters.append((Program(len(text) // 16, ctypes.addressof(body)), body))
capability_header = (ctypes.c_uint32 * 2)(0x20080522, 0)
no_capabilities = (ctypes.c_uint32 * 6)()


def confine(order, fds, ready):
    """In the fork: gives up everything the program must not have."""
    must(libc.prctl(1, 9, 0, 0, 0))  # PR_SET_PDEATHSIG, SIGKILL
    posix.setsid()
    posix.chdir("/box/work")
    for place in range(3):
        posix.dup2(fds[place], place)
    must(libc.prctl(38, 1, 0, 0, 0))  # PR_SET_NO_NEW_PRIVS
    must(libc.prctl(47, 4, 0, 0, 0))  # PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL
    must(libc.capset(capability_header, no_capabilities))
    must(libc.syscall(446, ctypes.c_long(rules), ctypes.c_long(0)))  # landlock_restrict_self
    control.detach()
    kept = sorted(fds[3:] + [ready])
    at = 3
    for fd in kept:
        posix.closerange(at, fd)
        at = fd + 1
    posix.closerange(at, 4096)
    for resource_number, value in order["limits"]:
        resource.setrlimit(resource_number, (value, value))
    for program, _ in filters:
        must(libc.syscall(setup["seccomp"], 1, 0, ctypes.byref(program)))  # SECCOMP_SET_MODE_FILTER
    posix.write(ready, b"k")
    posix.close(ready)


def serve():
    """Forks for each order. Returns in the forks only."""
    while True:
        order, fds = read_order()
        libc.umount2(b"/box/work", 2)  # MNT_DETACH
        must(libc.mount(b"tmpfs", b"/box/work", b"tmpfs", 14, order["scratch"].encode()))
        seen, ready = posix.pipe()
        must(libc.unshare(NEWPID))
        pid = posix.fork()
        if pid == 0:
            try:
                confine(order, fds, ready)
            except BaseException as error:
                try:
                    posix.write(ready, ("%s" % error).encode()[:200])
                finally:
                    posix._exit(1)
            return order, fds[3:]
        must(libc.setns(pid_space, NEWPID))
        for fd in fds + [ready]:
            posix.close(fd)
        end = posix.pidfd_open(pid)
        said = posix.read(seen, 200)
        posix.close(seen)
        poll = select.poll()
        poll.register(control, select.POLLIN)
        poll.register(end, select.POLLIN)
        ended = False
        while not ended:
            for fd, _ in poll.poll():
                if fd == end:
                    ended = True
                elif control.recv(1) == b"k":
                    posix.kill(pid, 9)
                else:
                    posix._exit(0)
        posix.close(end)
        _, status, usage = posix.wait4(pid, 0)
        reply = {"status": status, "cpu": usage.ru_utime + usage.ru_stime}
        if said != b"k":
            reply = {"failed": said.decode("utf-8", "replace")}
        control.sendall((dumps(reply) + "\n").encode())


posix.chdir("/")
gc.collect()
gc.freeze()
control.sendall(b"ready\n")
order, extra = serve()
for name in tools:
    sys.modules.pop(name, None)
sys.argv[:] = ["-c"] + [str(fd) for fd in extra]
main = types.ModuleType("__main__")
main.__builtins__ = builtins
sys.modules["__main__"] = main
code = roles[order["role"]]
del setup, roles, filters, control, libc, order, extra, name
exec(code, main.__dict__)
# It ended well. What an interpreter does at its end follows, but for taking apart the modules that were there
# before the program: threads are waited for, exit functions run, the program's own objects go, output is flushed.
threading = sys.modules.get("threading")
if threading is not None:
    threading._shutdown()
import atexit
atexit._run_exitfuncs()
status = 0


def flush():
    global status
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except BaseException as error:
            status = 120
            print("%s: %s" % (type(error).__name__, error), file=sys.stderr)


flush()
theirs = getattr(sys.modules.get("__main__"), "__dict__", {})
for name in [name for name in theirs if name[:1] == "_" and name != "__builtins__"]:
    theirs[name] = None
for name in [name for name in theirs if name != "__builtins__"]:
    theirs[name] = None
del main, code
gc.collect()
flush()
posix._exit(status)
