//! Programs that attack: what they try to reach, what they try to use up, and how they try to pass.
//!
//! The whole suite runs in a process of its own, once as whoever runs the tests and, if that is root, once more as an
//! ordinary user. That process then looks for what was left behind.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use dag_grade::Verdict;
use dag_grade::code::{
    CodeVerdict, Detail, Language, Limits, Sandbox, SandboxError, Tests, run, run_cold,
};
use rayon::prelude::*;

use crate::code::{ASSERT, CALL, DOUBLE, SILENT, ready};

/// Set in the process that the suite runs in.
const INSIDE: &str = "DAG_ATTACK_SUITE";
const NOBODY: u32 = 65_534;

fn limits() -> Limits {
    Limits {
        cpu_s: 2.0,
        wall_s: 20.0,
        memory_mb: 256,
        output_bytes: 1 << 20,
        processes: 8,
    }
}

/// Where time is all that can end a program, there is little of it.
fn brief() -> Limits {
    Limits {
        cpu_s: 0.3,
        wall_s: 1.0,
        ..limits()
    }
}

/// Each must raise something: what it asks for, it must not get. `{secret}`, `{open}` and `{port}` are a file and a
/// folder of the machine that everybody may use, and a listener on loopback.
const REACH: &[(&str, &str)] = &[
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
    (
        "processes: kill all",
        "import os; os.kill(-1, 9); raise OSError",
    ),
    (
        "processes: kill the parent",
        "import os; os.kill(os.getppid() or 999999, 9)",
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
const SEE: &[(&str, &str)] = &[
    ("files: is it there", "import os; os.stat('{secret}')"),
    ("files: are there homes", "import os; os.stat('/home')"),
    ("proc: is it there", "import os; os.stat('/proc/self')"),
    ("proc: descriptors", "open('/proc/self/fd/0')"),
];

const TIME: &[Detail] = &[
    Detail::Timeout { cpu: true },
    Detail::Timeout { cpu: false },
];

/// Each uses something up. It is stopped, and the verdict is one of these.
const EXHAUST: &[(&str, &str, &[Detail])] = &[
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
const LEAVE: &[&str] = &[
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
const CHEATS: &[&str] = &[
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

fn filled(program: &str, world: &World) -> String {
    program
        .replace("{secret}", &format!("{}/secret", world.folder))
        .replace("{open}", &format!("{}/open", world.folder))
        .replace("{port}", &world.port.to_string())
        .replace("{abstract}", &world.abstract_name)
}

struct World {
    folder: String,
    port: u16,
    abstract_name: String,
}

type Runner = fn(&Tests, &str, &Limits, bool) -> Result<CodeVerdict, SandboxError>;
const RUNNERS: [(&str, Runner); 2] = [("warm", run), ("cold", run_cold)];

fn judged(runner: Runner, tests: &str, program: &str, limits: &Limits) -> CodeVerdict {
    runner(&Tests::parse(tests).unwrap(), program, limits, false).unwrap()
}

/// What was wrong, a line each.
fn python_attacks(world: &World) -> Vec<String> {
    let rooted = Sandbox::probe().mount_ns;
    let see = SEE.iter().filter(|_| rooted);
    let reach: Vec<_> = REACH.iter().chain(see).collect();
    let reached = reach.par_iter().flat_map_iter(|(name, attempt)| {
        let attempt = filled(attempt, world);
        let body: String = attempt
            .replace("; ", "\n")
            .lines()
            .map(|line| format!("    {line}\n"))
            .collect();
        let program = format!(
            "try:\n{body}except BaseException as e: print('stopped', type(e).__name__)\nelse: print('done')"
        );
        RUNNERS.into_iter().filter_map(move |(how, runner)| {
            let judged = judged(runner, SILENT, &program, &limits());
            let stopped = judged.detail == Detail::WrongAnswer
                && judged.reason.contains("got `stopped")
                && !["SyntaxError", "NameError", "IndentationError", "ImportError"]
                    .iter()
                    .any(|own_fault| judged.reason.contains(own_fault));
            (!stopped).then(|| format!("{name} ({how}): {judged:?}"))
        })
    });
    let exhausted = EXHAUST.par_iter().filter_map(|(name, program, allowed)| {
        let limits = if *allowed == TIME { brief() } else { limits() };
        let judged = judged(run, SILENT, program, &limits);
        (!allowed.contains(&judged.detail)).then(|| format!("{name}: {judged:?}"))
    });
    let passed = CHEATS.par_iter().flat_map_iter(|cheat| {
        [DOUBLE, CALL, ASSERT].into_iter().filter_map(move |tests| {
            let judged = judged(run, tests, cheat, &brief());
            judged
                .verdict
                .is_pass()
                .then(|| format!("{cheat}\n{tests}: {judged:?}"))
        })
    });
    reached.chain(exhausted).chain(passed).collect()
}

fn shell_attacks() -> Vec<String> {
    let tests = r#"{"kind":"stdio","language":"sh","cases":[{"stdin":"","stdout":"done"}]}"#;
    let judged = LEAVE
        .par_iter()
        .map(|program| (program, judged(run, tests, program, &brief())));
    judged
        .filter(|(_, judged)| !matches!(judged.verdict, Verdict::Fail | Verdict::Timeout))
        .map(|(program, judged)| format!("{program}: {judged:?}"))
        .collect()
}

/// Every process below this one, with how deep it stands.
pub(crate) fn descendants() -> Vec<(u32, usize)> {
    let mut parents = Vec::new();
    for entry in fs_err::read_dir("/proc").unwrap().filter_map(Result::ok) {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let Ok(stat) = fs_err::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        // The name in parentheses may hold anything.
        let after = stat.rsplit_once(") ").map_or("", |(_, after)| after);
        let mut words = after.split(' ');
        if words.next() == Some("Z") {
            continue;
        }
        let parent: u32 = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        parents.push((pid, parent));
    }
    let mut found = vec![(std::process::id(), 0)];
    let mut next = 0;
    while let Some((pid, depth)) = found.get(next).copied() {
        found.extend(
            parents
                .iter()
                .filter(|(_, p)| *p == pid)
                .map(|(p, _)| (*p, depth + 1)),
        );
        next += 1;
    }
    found.split_off(1)
}

pub(crate) fn mounts() -> usize {
    fs_err::read_to_string("/proc/self/mountinfo")
        .unwrap()
        .lines()
        .count()
}

/// A worker is two processes: the one we started, and the first one of its namespace.
const WORKER_DEPTH: usize = 2;

/// Runs in a process of its own.
#[expect(
    clippy::print_stdout,
    reason = "read by the process that started this one"
)]
fn inside() {
    // What loses its parent becomes a child of this process, and is seen.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs_err::set_permissions(at, PermissionsExt::from_mode(0o777)).unwrap();
    fs_err::write(at.join("secret"), "secret").unwrap();
    fs_err::set_permissions(at.join("secret"), PermissionsExt::from_mode(0o666)).unwrap();
    fs_err::create_dir(at.join("open")).unwrap();
    fs_err::set_permissions(at.join("open"), PermissionsExt::from_mode(0o777)).unwrap();
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let abstract_name = format!("dag-attack-{}", std::process::id());
    let address =
        <std::os::unix::net::SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(
            &abstract_name,
        );
    let local = std::os::unix::net::UnixListener::bind_addr(&address.unwrap()).unwrap();
    let world = World {
        folder: at.to_str().unwrap().to_owned(),
        port: tcp.local_addr().unwrap().port(),
        abstract_name,
    };
    let layers = Sandbox::probe();
    for layer in layers.report() {
        println!(
            "layer {}: {}",
            layer.name,
            if layer.active { "active" } else { "missing" }
        );
    }
    let mounts_before = mounts();
    let mut wrong = python_attacks(&world);
    if ready(Language::Sh) {
        wrong.extend(shell_attacks());
    }
    tcp.set_nonblocking(true).unwrap();
    local.set_nonblocking(true).unwrap();
    if tcp.accept().is_ok() || local.accept().is_ok() {
        wrong.push("somebody connected".to_owned());
    }
    if fs_err::read_to_string(at.join("secret")).unwrap() != "secret"
        || fs_err::read_dir(at).unwrap().count() != 2
        || fs_err::read_dir(at.join("open")).unwrap().count() != 0
    {
        wrong.push("a file was written".to_owned());
    }
    if mounts() != mounts_before {
        wrong.push("a mount was left".to_owned());
    }
    drop(folder);
    let left_files = fs_err::read_dir(std::env::temp_dir()).unwrap().count();
    if left_files != 0 {
        wrong.push(format!("{left_files} files were left"));
    }
    // A worker that found nothing to do for now is ours and stays; below it, and beside it, there is nothing.
    let below: Vec<_> = descendants();
    let workers = below.iter().filter(|(_, depth)| *depth == 1).count();
    if below.iter().any(|(_, depth)| *depth > WORKER_DEPTH) || below.len() > WORKER_DEPTH * workers
    {
        wrong.push(format!("processes were left: {below:?}"));
    }
    for line in &wrong {
        println!("wrong {line}");
    }
    for (pid, _) in below {
        println!("worker {pid}");
    }
    let attacks = REACH.len() + SEE.len() + EXHAUST.len() + CHEATS.len() + LEAVE.len();
    println!("suite of {attacks} ended with {} wrong", wrong.len());
}

/// The suite in a process of its own, as this user or as nobody.
#[expect(clippy::print_stderr, reason = "the layers are listed")]
fn suite_as(user: Option<u32>) {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs_err::set_permissions(at, PermissionsExt::from_mode(0o755)).unwrap();
    // The folder of the build may be nobody else's to enter.
    let program = at.join("suite");
    fs_err::copy(std::env::current_exe().unwrap(), &program).unwrap();
    fs_err::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let scratch = at.join("tmp");
    fs_err::create_dir(&scratch).unwrap();
    let mut command = Command::new(&program);
    command
        .args([
            "--exact",
            "attacks::attacks_reach_nothing_and_pass_nothing",
            "--nocapture",
        ])
        .env(INSIDE, "1")
        .env("TMPDIR", &scratch)
        .current_dir("/");
    if let Some(user) = user {
        std::os::unix::fs::chown(&scratch, Some(user), Some(user)).unwrap();
        command.uid(user).gid(user);
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let who = user.map_or("this user".to_owned(), |user| format!("user {user}"));
    assert!(
        output.status.success(),
        "{who}: {text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines = |start: &str| -> Vec<String> {
        text.lines()
            .filter_map(|line| line.strip_prefix(start))
            .map(str::to_owned)
            .collect()
    };
    assert!(text.contains(" ended with 0 wrong"), "{who}: {text}");
    eprintln!("{who}: {}", lines("layer ").join(", "));
    // With the process that owned them, the workers end too.
    let alive = || -> Vec<String> {
        lines("worker ")
            .into_iter()
            .filter(|pid| {
                fs_err::read(Path::new("/proc").join(pid).join("cmdline"))
                    .is_ok_and(|line| line.windows(2).any(|pair| pair == b"-S"))
            })
            .collect()
    };
    let started = std::time::Instant::now();
    while !alive().is_empty() && started.elapsed().as_secs() < 10 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(
        alive().is_empty(),
        "{who}: workers outlived their owner: {:?}",
        alive()
    );
}

#[test]
fn attacks_reach_nothing_and_pass_nothing() {
    if !ready(Language::Python) {
        return;
    }
    if std::env::var_os(INSIDE).is_some() {
        inside();
        return;
    }
    std::thread::scope(|scope| {
        if rustix::process::geteuid().is_root() {
            scope.spawn(|| suite_as(Some(NOBODY)));
        }
        suite_as(None);
    });
}
