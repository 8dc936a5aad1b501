//! The programs of the attack suite, as tables.

use dag_grade::code::Detail;

/// Each must raise something: what it asks for, it must not get. `{secret}`, `{open}` and `{port}` are a file and a
/// folder of the machine that everybody may use, and a listener on loopback.
pub(super) const REACH: &[(&str, &str)] = &[
    (
        "network: tcp",
        "import socket; socket.create_connection(('127.0.0.1', {port}), 2)",
    ),
    (
        "network: udp",
        "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port}))",
    ),
    (
        "network: tcp 6",
        "import socket; socket.socket(socket.AF_INET6, socket.SOCK_STREAM)",
    ),
    (
        "network: icmp",
        "import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
    ),
    (
        "network: netlink",
        "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    ),
    (
        "network: packet",
        "import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
    ),
    (
        "network: vsock",
        "import socket; socket.socket(40, socket.SOCK_STREAM)",
    ),
    (
        "network: abstract socket",
        "import socket; socket.socket(socket.AF_UNIX).connect('\\0{abstract}')",
    ),
    (
        "network: socket with a path",
        "import socket; socket.socket(socket.AF_UNIX).connect('{open}/socket')",
    ),
    (
        "network: message to a socket with a path",
        "import socket; socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b'x', '{open}/messages')",
    ),
    (
        "network: names",
        "import socket; socket.getaddrinfo('localhost', 80)[0][4]; socket.socket(socket.AF_INET)",
    ),
    ("files: read a file", "open('{secret}').read()"),
    (
        "files: write a folder",
        "open('{open}/new', 'w').write('x')",
    ),
    ("files: list a folder", "import os; os.listdir('{open}')"),
    ("files: delete", "import os; os.unlink('{secret}')"),
    (
        "files: rename",
        "import os; os.rename('{secret}', '{open}/other')",
    ),
    (
        "files: symlink",
        "import os; os.symlink('{secret}', 'link'); open('link').read()",
    ),
    (
        "files: symlink to write",
        "import os; os.symlink('{open}/new', 'link'); open('link', 'w').write('x')",
    ),
    ("files: hard link", "import os; os.link('{secret}', 'link')"),
    ("files: dots", "open('../../../../../../{secret}').read()"),
    ("files: users", "open('/etc/passwd').read()"),
    ("files: shadow", "open('/etc/shadow').read()"),
    (
        "files: home",
        "import os; os.listdir(os.path.expanduser('/root'))",
    ),
    ("files: homes", "import os; os.listdir('/home')"),
    ("files: tmp", "import os; os.listdir('/tmp')"),
    ("files: shared memory", "open('/dev/shm/x', 'w').write('x')"),
    ("files: terminal", "open('/dev/tty', 'w').write('x')"),
    ("files: memory device", "open('/dev/mem', 'rb').read(1)"),
    ("files: write the system", "open('/usr/x', 'w')"),
    ("files: write the root", "open('/x', 'w')"),
    (
        "files: execute its own",
        "import os; open('x', 'w').write('#!/bin/sh\\n'); os.chmod('x', 0o755); os.execv('x', ['x'])",
    ),
    (
        "files: a device",
        "import os, stat; os.mknod('null', 0o666 | stat.S_IFCHR, os.makedev(1, 3))",
    ),
    (
        "files: by handle",
        "import ctypes; l = ctypes.CDLL(None, use_errno=True); assert l.open_by_handle_at(-100, b'0' * 64, 0) >= 0",
    ),
    ("proc: environment", "open('/proc/self/environ').read()"),
    ("proc: memory", "open('/proc/self/mem', 'rb').read(1)"),
    ("proc: first process", "open('/proc/1/cmdline').read()"),
    (
        "proc: parent",
        "import os; os.listdir('/proc/%d/fd' % os.getppid())",
    ),
    ("sys: kernel", "import os; os.listdir('/sys')"),
    ("processes: fork", "import os; os.fork()"),
    (
        "processes: spawn",
        "import subprocess; subprocess.run(['/bin/true'])",
    ),
    (
        "processes: shell",
        "import os; assert os.system('true') == 0",
    ),
    // Signal 0 only asks whether another would arrive: nobody is harmed where it would.
    (
        "processes: kill any",
        "import os\nfor pid in range(1, 70000):\n    try: os.kill(pid, 0)\n    except OSError: continue\n    if pid != os.getpid(): break\nelse: raise OSError",
    ),
    (
        "processes: kill the parent",
        "import os; os.kill(os.getppid() or 999999, 0)",
    ),
    (
        "processes: ptrace",
        "import ctypes; l = ctypes.CDLL(None, use_errno=True); assert l.ptrace(0, 0, 0, 0) == 0",
    ),
    (
        "processes: read memory",
        "import ctypes; l = ctypes.CDLL(None, use_errno=True); assert l.process_vm_readv(1, 0, 0, 0, 0, 0) == 0",
    ),
    (
        "processes: priority",
        "import os; os.setpriority(os.PRIO_PROCESS, 0, 5)",
    ),
    (
        "rights: user",
        "import os; os.setuid(0) if os.getuid() else os.fork()",
    ),
    ("rights: groups", "import os; os.setgroups([0])"),
    (
        "rights: namespace",
        "import ctypes; l = ctypes.CDLL(None, use_errno=True); assert l.unshare(0x10000000) == 0",
    ),
    (
        "rights: join a namespace",
        "import ctypes; l = ctypes.CDLL(None, use_errno=True); assert any(l.setns(fd, 0) == 0 for fd in range(64))",
    ),
    (
        "rights: mount",
        "import ctypes; l = ctypes.CDLL(None, use_errno=True); assert l.mount(b'tmpfs', b'/box/work', b'tmpfs', 0, 0) == 0",
    ),
    (
        "rights: unmount",
        "import ctypes; l = ctypes.CDLL(None, use_errno=True); assert l.umount2(b'/box/work', 2) == 0",
    ),
    ("rights: root folder", "import os; os.chroot('.')"),
    (
        "rights: clock",
        "import time; time.clock_settime(time.CLOCK_REALTIME, 0)",
    ),
    (
        "rights: host name",
        "import socket; socket.sethostname('x')",
    ),
    (
        "rights: more memory",
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40))",
    ),
    (
        "rights: more time",
        "import resource; resource.setrlimit(resource.RLIMIT_CPU, (1000, 1000))",
    ),
    (
        "kernel: io_uring",
        "import ctypes; l = ctypes.CDLL(None, use_errno=True); assert l.syscall(425, 4, 0) >= 0",
    ),
    (
        "kernel: bpf",
        "import ctypes; l = ctypes.CDLL(None, use_errno=True); assert l.syscall(321, 0, 0, 0) >= 0",
    ),
    (
        "kernel: perf",
        "import ctypes; l = ctypes.CDLL(None, use_errno=True); assert l.syscall(298, 0, 0, -1, -1, 0) >= 0",
    ),
    (
        "kernel: userfaultfd",
        "import ctypes; l = ctypes.CDLL(None, use_errno=True); assert l.syscall(323, 0) >= 0",
    ),
    (
        "kernel: keys",
        "import ctypes; l = ctypes.CDLL(None, use_errno=True); assert l.syscall(250, 0, 0, 0, 0, 0) >= 0",
    ),
    (
        "kernel: other numbering",
        "import ctypes; l = ctypes.CDLL(None, use_errno=True); assert l.syscall(0x40000000 + 39) > 0",
    ),
    (
        "kernel: system v memory",
        "import ctypes; l = ctypes.CDLL(None, use_errno=True); assert l.shmget(0, 4096, 0o1600) >= 0",
    ),
    ("kernel: memory file", "import os; os.memfd_create('x')"),
    (
        "kernel: a deadly call with its signal caught",
        "import ctypes, signal; signal.signal(signal.SIGSYS, lambda *a: None); l = ctypes.CDLL(None, use_errno=True); assert l.ptrace(0, 0, 0, 0) == 0",
    ),
    (
        "kernel: a deadly call from a thread",
        "import ctypes, threading; l = ctypes.CDLL(None, use_errno=True); t = threading.Thread(target=lambda: l.unshare(0x10000000)); t.start(); t.join()",
    ),
    (
        "kernel: a process in new namespaces",
        "import ctypes; l = ctypes.CDLL(None, use_errno=True); assert l.syscall(56 if ctypes.sizeof(ctypes.c_long) == 8 else 120, 0x10000000 | 17, 0, 0, 0, 0) >= 0",
    ),
    (
        "kernel: a call of the future",
        "import ctypes; l = ctypes.CDLL(None, use_errno=True); assert l.syscall(900, 0, 0, 0) >= 0",
    ),
    (
        "kernel: pages into a pipe",
        "import os; r, w = os.pipe(); os.splice(os.open('/dev/zero', 0), w, 1)",
    ),
    (
        "kernel: keys for a terminal",
        "import fcntl; fcntl.ioctl(0, 0x5412, b'x')",
    ),
    (
        "kernel: filters of its own",
        "import ctypes; l = ctypes.CDLL(None, use_errno=True); assert l.prctl(22, 1, 0, 0, 0) == 0",
    ),
    (
        "kernel: another personality",
        "import ctypes; l = ctypes.CDLL(None, use_errno=True); assert l.personality(0x0040000) >= 0",
    ),
    (
        "network: a pair of other sockets",
        "import socket; socket.socketpair(socket.AF_INET)",
    ),
    (
        "processes: limits of another",
        "import os, resource; resource.prlimit(os.getppid() or 1, resource.RLIMIT_CPU)",
    ),
    (
        "descriptors: inherited",
        "import os\nfor fd in range(3, 200):\n    try: os.fstat(fd)\n    except OSError: continue\n    break\nelse: raise OSError",
    ),
    ("environment: home", "import os; os.environ['HOME']"),
    (
        "environment: secret",
        "import os; os.environ['DAG_ATTACK_SUITE']",
    ),
];

/// What needs a root of its own: Landlock alone hides neither that a file is there nor a process's own pipes.
pub(super) const SEE: &[(&str, &str)] = &[
    ("files: is it there", "import os; os.stat('{secret}')"),
    ("files: are there homes", "import os; os.stat('/home')"),
    ("proc: is it there", "import os; os.stat('/proc/self')"),
    ("proc: descriptors", "open('/proc/self/fd/0')"),
];

pub(super) const TIME: &[Detail] = &[
    Detail::Timeout { cpu: true },
    Detail::Timeout { cpu: false },
];

/// Each uses something up. It is stopped, and the verdict is one of these.
pub(super) const EXHAUST: &[(&str, &str, &[Detail])] = &[
    (
        "fork bomb",
        "import os\nwhile True: os.fork()",
        &[Detail::ProcessLimit],
    ),
    (
        "fork bomb that does not give up",
        "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
        TIME,
    ),
    (
        "thread bomb",
        "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
        &[Detail::ProcessLimit],
    ),
    (
        "memory",
        "x = []\nwhile True: x.append('a' * (1 << 20) + str(len(x)))",
        &[Detail::Memory],
    ),
    (
        "memory map",
        "import mmap\nx = mmap.mmap(-1, 1 << 34)",
        &[Detail::Memory],
    ),
    ("number", "x = 1 << (1 << 34)", &[Detail::Memory]),
    (
        "recursion",
        "import sys\nsys.setrecursionlimit(10 ** 9)\nclass A:\n    def __repr__(self): return repr(self)\nrepr(A())",
        &[Detail::RuntimeError, Detail::Memory],
    ),
    (
        "standard output",
        "while True: print('x' * 10000)",
        &[Detail::OutputLimit],
    ),
    (
        "standard error",
        "import sys\nwhile True: sys.stderr.write('x' * 10000)",
        &[Detail::OutputLimit],
    ),
    (
        "big file",
        "f = open('x', 'wb')\nwhile True: f.write(b'x' * 65536)",
        &[Detail::OutputLimit],
    ),
    (
        "sparse file",
        "open('x', 'wb').truncate(1 << 40)",
        &[Detail::OutputLimit],
    ),
    (
        "many files",
        "n = 0\nwhile True:\n    open(str(n), 'w').close()\n    n += 1",
        &[Detail::OutputLimit, Detail::Timeout { cpu: true }],
    ),
    (
        "folders in folders",
        "import os\nwhile True:\n    os.mkdir('d')\n    os.chdir('d')",
        &[
            Detail::OutputLimit,
            Detail::Timeout { cpu: true },
            Detail::RuntimeError,
        ],
    ),
    (
        "open files",
        "x = [open('/dev/null') for n in range(100000)]",
        &[Detail::RuntimeError],
    ),
    (
        "loop without end",
        "import signal\nfor s in range(1, 32):\n    try: signal.signal(s, signal.SIG_IGN)\n    except Exception: pass\nwhile True: pass",
        TIME,
    ),
    ("sleep", "import time\ntime.sleep(1000)", TIME),
    (
        "stops itself",
        "import os, time\nos.kill(os.getpid(), 19)\ntime.sleep(1000)",
        TIME,
    ),
    (
        "output from an iterator without end",
        "import sys\nsys.stdout.writelines(iter(lambda: 'x' * 1000, 0))",
        &[Detail::OutputLimit],
    ),
    (
        "one long line",
        "print('x' * 1000000)",
        &[Detail::WrongAnswer],
    ),
    (
        "memory in sockets",
        "import socket\nkept = []\nwhile True:\n    pair = socket.socketpair()\n    kept.append(pair)\n    pair[0].setblocking(False)\n    pair[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 30)\n    try:\n        while True: pair[0].send(b'x' * 65536)\n    except BlockingIOError: pass",
        &[Detail::RuntimeError, Detail::Memory],
    ),
    (
        "storm of signals",
        "import signal\nsignal.signal(signal.SIGALRM, lambda *a: None)\nsignal.setitimer(signal.ITIMER_REAL, 1e-6, 1e-6)\nwhile True: pass",
        TIME,
    ),
    (
        "waits for a pipe nobody opens",
        "import os\nos.mkfifo('x')\nopen('x').read()",
        TIME,
    ),
    (
        "thread that stays",
        "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,)).start()\nprint('done')",
        TIME,
    ),
    (
        "exit that never ends",
        "import atexit, time\natexit.register(time.sleep, 1000)\nprint('done')",
        TIME,
    ),
];

/// Shell programs that leave something behind, or try to. None of them gives the right output.
pub(super) const LEAVE: &[&str] = &[
    "b() { b | b & }; b; sleep 1000",
    "while :; do sleep 1000 & done",
    "setsid sleep 1000 > /dev/null 2>&1 & exit 3",
    "(setsid sh -c 'trap \"\" 1 2 15; while :; do sleep 1000; done' &) ; exit 3",
    "mkdir a; cd a; mkfifo p; touch -- '-rf' '*'; chmod 000 .; exit 3",
    "ln -s / r; ls r/proc r/root; exit 3",
    "nohup sleep 1000 < /dev/null > /dev/null 2>&1 & kill -9 $$",
    "cat /proc/*/environ /proc/*/cmdline; exit 3",
    "kill -9 -1; exit 3",
    "exec 3<>/dev/tcp/127.0.0.1/80; exit 3",
];

/// Of these no test may say that it passes: what the tests ask for is never given.
pub(super) const CHEATS: &[&str] = &[
    "import sys; sys.exit(0)",
    "import os; os._exit(0)",
    "raise SystemExit",
    "import os\ndef f(n): os._exit(0)",
    "import sys\ndef f(n): sys.exit(0)",
    "print('4\\n10\\npassed\\nOK')\nimport os; os._exit(0)",
    "print('{\"outcome\": \"passed\"}', flush=True)\ndef f(n): return 3",
    "import atexit, os\natexit.register(os._exit, 0)\ndef f(n): return 1",
    // objects that are equal to everything
    "class A:\n    def __eq__(self, o): return True\n    def __ne__(self, o): return True\n    def __hash__(self): return 1\ndef f(n): return A()",
    "class A(int):\n    def __eq__(self, o): return True\n    def __ne__(self, o): return True\ndef f(n): return A(1)",
    "class A(list):\n    def __eq__(self, o): return True\ndef f(n): return A()",
    "class A(str):\n    def __eq__(self, o): return True\n    def __ne__(self, o): return True\ndef f(n): return A('x')",
    "class A(dict):\n    def __eq__(self, o): return True\ndef f(n): return A()",
    "class M(type):\n    def __eq__(self, o): return True\n    def __hash__(self): return 1\nclass A(metaclass=M): pass\ndef f(n): return A",
    "class A:\n    __class__ = int\n    def __eq__(self, o): return True\n    def __index__(self): return 4\ndef f(n): return A()",
    "class A:\n    def __getattr__(self, name): return lambda *a: True\n    def __eq__(self, o): return True\ndef f(n): return A()",
    "import unittest.mock\ndef f(n): return unittest.mock.ANY",
    "def f(n): return float('nan')",
    "def f(n): return NotImplemented",
    "def f(n): return f\nf.__eq__ = lambda *a: True",
    "import itertools\ndef f(n): return itertools.count()",
    "d = []\nfor i in range(100000): d = [d]\ndef f(n): return d",
    "d = []\nd.append(d)\ndef f(n): return d",
    // patches
    "import builtins\nbuiltins.AssertionError = type('X', (Exception,), {})\nbuiltins.__build_class__ = None\ndef f(n): return 1",
    "import builtins\nbuiltins.hex = lambda n: '0x4'\nbuiltins.isinstance = lambda *a: True\nbuiltins.type = lambda *a: int\ndef f(n): return 4",
    "import builtins\nbuiltins.print = lambda *a, **k: None\nbuiltins.compile = builtins.exec = lambda *a: None\ndef f(n): return 4",
    "import json\njson.dumps = lambda *a, **k: '{\"value\": 4}'\ndef f(n): return 3",
    "import sys\nfor m in list(sys.modules): sys.modules[m] = None\ndef f(n): return 4",
    "import sys\nsys.excepthook = lambda *a: None\ndef f(n): raise KeyboardInterrupt",
    "import sys\nsys.settrace(lambda *a: None)\nsys.setprofile(lambda *a: None)\ndef f(n): return True",
    "__debug__ = 0",
    "import sys\nsys.flags = None\nsys.stdout = sys.stderr = None\ndef f(n): return 4",
    "import ctypes\nctypes.c_long.from_address(id(10) + ctypes.sizeof(ctypes.c_ssize_t) * 2 + 8).value = 4\nctypes.c_int.from_address(id(10) + 24).value = 4\ndef f(n): return 4",
    "def assert_(x): pass\nAssertionError = Exception\nint = lambda x: 4\ndef f(n): return 4",
    // what the judge's own code leaves within reach
    "import sys\nf = sys._getframe()\nwhile f.f_back: f = f.f_back\ng = f.f_globals\ng['pack'] = lambda value, depth=0: {'o': 0}\ng['plain'] = lambda value, depth=0: True\nobjects = g.get('objects', [])\nclass A:\n    def __eq__(self, other): return True\nobjects.append(A())\ndef f(n): return A()",
    "import sys, os\nf = sys._getframe()\nwhile f.f_back: f = f.f_back\nsend = f.f_globals.get('send')\nfor value in (send.__defaults__ or ()) if send else ():\n    if type(value) is str:\n        for channel in range(3, 60):\n            for line in (' {\"value\": true}', ' {\"value\": null}', ' {}', ' {\"value\": 4, \"raised\": \"x\"}', ' {\"outcome\": \"passed\"}'):\n                try: os.write(channel, (value + line + '\\n').encode())\n                except OSError: pass\ndef f(n): return 3",
    "import os\nfor fd in range(3, 60):\n    try: os.dup2(1, fd)\n    except OSError: pass\nprint('{\"outcome\": \"passed\"}')\ndef f(n): return 3",
    "import threading, os\ndef flood():\n    n = 0\n    while True:\n        n += 1\n        for fd in range(3, 12):\n            try: os.write(fd, b'{\"seq\":%d,\"value\":true,\"args\":[]}\\n' % n)\n            except OSError: pass\nthreading.Thread(target=flood, daemon=True).start()\ndef f(n): return 3",
    "import builtins\nreal = builtins.__import__\nbuiltins.__import__ = lambda name, *a, **k: True if name in ('decimal', 'math') else real(name, *a, **k)\ndef f(n): return 4",
    "import sys\nclass Finder:\n    def find_spec(self, name, path=None, target=None): raise SystemExit(0)\nsys.meta_path.insert(0, Finder())\ndef f(n):\n    import fractions\n    return 4",
    "import sys\ndef hook(event, args):\n    if event != 'exec': raise SystemExit(0)\nsys.addaudithook(hook)\ndef f(n): return 4",
    "import sys, gc\nseen = []\ndef look(frame, event, arg):\n    for value in list(frame.f_locals.values()):\n        if type(value) is dict and 'cases' in value: seen.append(value)\nsys.setprofile(look)\nsys.settrace(look)\ndef f(n):\n    for o in gc.get_objects():\n        if type(o) is dict and 'expected' in o and 'args' in o: return 2 * n\n    return 3",
    "import gc, sys\ndef f(n):\n    for o in gc.get_objects():\n        try:\n            if hasattr(o, '__dict__') and o.__dict__.get('reached') is not None: o.__dict__['reached'] = 1; return 2 * n\n        except BaseException: pass\n    return 3",
    "import ctypes\nslot = 200\nfor offset in range(160, 240, 8):\n    pass\nctypes.pythonapi.PyType_Modified(ctypes.py_object(int))\nfrom ctypes import c_void_p\nc_void_p.from_address(id(int) + slot).value = c_void_p.from_address(id(object) + slot).value\ndef f(n): return 3",
    "import signal, os\nfor s in range(1, 65):\n    try: signal.signal(s, lambda *a: os._exit(0))\n    except (OSError, ValueError): pass\nos.kill(os.getpid(), 15)\ndef f(n): return 3",
    "import os\ndef f(n):\n    for fd in range(64):\n        for name in ('/proc/self/fd/%d' % fd, '/dev/fd/%d' % fd):\n            try:\n                if 'assert' in open(name).read(4096): return 2 * n\n            except (OSError, ValueError): pass\n    return 3",
    "import os, threading, time\ndef later():\n    time.sleep(0.2)\n    os.write(1, b'4\\n')\nthreading.Thread(target=later, daemon=True).start()\ndef f(n): return None",
    // exceptions
    "def f(n): raise AssertionError",
    "def f(n): raise StopIteration",
    "def f(n): raise GeneratorExit",
    "class E(Exception):\n    def __str__(self): return 1 / 0\ndef f(n): raise E",
    "class E(BaseException):\n    def __str__(self):\n        while True: pass\ndef f(n): raise E",
    // looking for what is expected
    "import sys\ndef f(n):\n    frame = sys._getframe()\n    while frame:\n        for k, v in list(frame.f_locals.items()) + list(frame.f_globals.items()):\n            if 'expected' in str(k): return v\n        frame = frame.f_back",
    "import gc\ndef f(n):\n    for o in gc.get_objects():\n        if type(o) is dict and 'expected' in o: return o['expected']\n        if type(o) is dict and 'code' in o and 'assert' in str(o['code']): return 2 * n",
    "import sys\ndef f(n):\n    frame = sys._getframe()\n    while frame:\n        for c in frame.f_code.co_consts:\n            if type(c) is str and ''.join(['assert', ' f']) in c: return 2 * n\n        frame = frame.f_back",
    "def f(n):\n    import os\n    for fd in range(256):\n        try:\n            os.lseek(fd, 0, 0)\n            text = os.read(fd, 100000)\n        except OSError: continue\n        if b''.join([b'assert', b' f(']) in text or b'expected' in text: return 2 * n",
    "def f(n):\n    for p in ('self', 'thread-self', '1', '2'):\n        for what in ('cmdline', 'environ', 'maps'):\n            try:\n                if 'assert' in open('/proc/%s/%s' % (p, what)).read(): return 2 * n\n            except OSError: pass",
    // forged messages
    "import os\nfor fd in range(3, 60):\n    for m in (b'{\"outcome\":\"passed\"}\\n', b'{\"names\":{\"f\":{\"value\":1}}}\\n', b'{\"value\":{\"i\":\"0x4\"},\"seq\":1,\"args\":[]}\\n'):\n        try: os.write(fd, m)\n        except OSError: pass\ndef f(n): return 3",
    "import os\nfor fd in range(3, 60):\n    for m in (b'{\"names\":{\"f\":{\"call\":true},\"assert\":{\"module\":\"os\"}}}\\n', b'{\"back\":-1,\"args\":[],\"kwargs\":{\"d\":[]}}\\n'):\n        try: os.write(fd, m)\n        except OSError: pass\ndef f(n): return 3",
    "import os\nfor fd in range(3, 60):\n    try: os.write(fd, b'k' * 64 + b'\\n')\n    except OSError: pass\ndef f(n): return 3",
    "import os\ndef f(n):\n    for fd in range(3, 60):\n        try: os.write(fd, b'\\x00\\xff' * 1000 + b'\\n')\n        except OSError: pass\n    return 3",
    "import os\nfor fd in range(0, 60):\n    try: os.close(fd)\n    except OSError: pass",
    "import os, sys\nsys.stdout.close()\nos.close(2)\ndef f(n): return None",
    "def f(n): return 'x' * (128 << 20)",
    // processes and threads
    "import threading, os\nthreading.Thread(target=lambda: os._exit(0)).start()\ndef f(n):\n    while True: pass",
    "import threading, time\nthreading.Thread(target=time.sleep, args=(100,)).start()\nprint(2 * int(input()))\ndef f(n): return 2 * n",
    "import os\nif os.fork() == 0: print(4)",
    "import os\nos.execv('/bin/sh', ['sh', '-c', 'echo 4; echo passed'])",
    "import signal, os\nsignal.signal(signal.SIGALRM, lambda *a: os._exit(0))\nsignal.alarm(1)\ndef f(n):\n    while True: pass",
];

/// The same for answers that look right to a judge that looks badly. These are judged within a tolerance, and in loops,
/// too.
pub(super) const ANSWERS: &[&str] = &[
    // iteration that ends instead of answering: `all` and `for` would find nothing wrong
    "def f(n): raise StopIteration",
    "class Stop(StopIteration): pass\ndef f(n): raise Stop",
    "def f(n):\n    while True: yield 4",
    "def f(n):\n    while True: yield '4' * 1000000",
    // how an answer looks
    "print('\\uff14')\ndef f(n): return '\\uff14'",
    "print('4\\0')\ndef f(n): return '4'",
    "print('\\ufeff4\\u200b')\ndef f(n): return [4]",
    "print('7\\b4\\r4\\x1b[2K4')\ndef f(n): return {4}",
    "print('nan')\ndef f(n): return complex('nan')",
    "print('inf', '-inf', '1e999')\ndef f(n): return float('inf')",
    "import sys\nsys.set_int_max_str_digits(0) if hasattr(sys, 'set_int_max_str_digits') else None\nprint(10 ** 20000)\ndef f(n): return 10 ** 20000",
    "class A:\n    def __repr__(self): return 'x' * (1 << 30)\n    __str__ = __repr__\n    def __reduce__(self): return int, (4,)\ndef f(n): return A()",
    "class S:\n    def write(self, text): return len(text)\n    def flush(self): pass\nimport sys\nsys.stdout = S()\nsys.stdout.buffer = S()\nprint(4)\ndef f(n): return 2",
];
