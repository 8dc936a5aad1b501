//! What programs do every day works behind the filters: the parts of Python's library that talk to the kernel, and
//! the commands of a shell. Each program prints `ok` last.

use dag_grade::code::{Language, Tests, run, run_cold};
use rayon::prelude::*;

use crate::attacks::Runner;
use crate::code::{limits, ready};

/// Each in a function of its own, so that one that fails is named.
const PYTHON: &[(&str, &str)] = &[
    (
        "threads",
        "import threading, queue\nq = queue.Queue()\nts = [threading.Thread(target=q.put, args=(i,), name='t%d' % i) for i in range(8)]\n[t.start() for t in ts]\n[t.join() for t in ts]\nassert sorted(q.get() for _ in ts) == list(range(8))\ne = threading.Event()\nthreading.Timer(0.01, e.set).start()\nassert e.wait(5) and not threading.Event().wait(0.01)",
    ),
    (
        "pool of threads",
        "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(4) as pool: assert list(pool.map(abs, [-1, -2])) == [1, 2]",
    ),
    (
        "asyncio",
        "import asyncio\nasync def one(n):\n    await asyncio.sleep(0.001)\n    return n\nasync def main():\n    loop = asyncio.get_running_loop()\n    assert await loop.run_in_executor(None, abs, -3) == 3\n    return await asyncio.gather(*[one(n) for n in range(20)])\nassert asyncio.run(main()) == list(range(20))",
    ),
    (
        "asyncio streams",
        "import asyncio\nasync def serve(reader, writer):\n    writer.write((await reader.readline()).upper())\n    await writer.drain()\n    writer.close()\nasync def main():\n    server = await asyncio.start_unix_server(serve, 'socket')\n    reader, writer = await asyncio.open_unix_connection('socket')\n    writer.write(b'hello\\n')\n    assert await reader.readline() == b'HELLO\\n'\n    writer.close()\n    server.close()\nasyncio.run(main())",
    ),
    (
        "socket pairs",
        "import socket, select, os\na, b = socket.socketpair()\na.setblocking(False)\na.settimeout(1)\na.sendall(b'x' * 1000)\nassert len(b.recv(2000, socket.MSG_PEEK)) == 1000 and select.select([b], [], [], 1)[0]\nassert a.getsockname() == ''\nr, w = os.pipe()\nsocket.send_fds(a, [b'f'], [w])\nassert len(b.recv(1000)) == 1000\n_, fds, _, _ = socket.recv_fds(b, 1, 1)\nos.write(fds[0], b'y')\nassert os.read(r, 1) == b'y'\na.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)\na.shutdown(socket.SHUT_WR)\nassert b.recv(1) == b''",
    ),
    (
        "processes are refused as by a full count",
        "import subprocess, os, multiprocessing, errno\ndef start():\n    p = multiprocessing.get_context('fork').Process(target=print)\n    p.start()\nfor go in (os.fork, lambda: subprocess.run(['/bin/true']), lambda: os.posix_spawn('/bin/true', ['true'], {}), start):\n    try: go()\n    except OSError as e: assert e.errno == errno.EAGAIN, e\n    else: raise SystemExit('started')",
    ),
    (
        "signals",
        "import signal, time, os\nhits = []\nsignal.signal(signal.SIGALRM, lambda *a: hits.append(1))\nsignal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)\nwhile len(hits) < 3: time.sleep(0.005)\nsignal.setitimer(signal.ITIMER_REAL, 0)\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])\nos.kill(os.getpid(), signal.SIGUSR1)\nassert signal.sigtimedwait([signal.SIGUSR1], 1).si_signo == signal.SIGUSR1\nsignal.raise_signal(signal.SIGALRM)\nassert len(hits) >= 4",
    ),
    (
        "files",
        "import os, shutil, tempfile, pathlib, glob, fcntl, stat\nos.makedirs('a/b')\npathlib.Path('a/b/c').write_text('x' * 10000)\nshutil.copy2('a/b/c', 'd')\nshutil.copytree('a', 'e')\nos.rename('d', 'f')\nos.replace('f', 'g')\nos.symlink('g', 'h')\nassert os.readlink('h') == 'g' and os.path.samefile('g', 'h')\nos.chmod('g', 0o600)\nos.utime('g', (1, 2))\nassert os.stat('g').st_mtime == 2 and stat.S_ISREG(os.lstat('g').st_mode)\nos.truncate('g', 5)\nassert os.listxattr('g') == []\nassert glob.glob('e/**/c', recursive=True)\nwith open('g', 'r+b') as f:\n    fcntl.flock(f, fcntl.LOCK_EX)\n    fcntl.lockf(f, fcntl.LOCK_EX)\n    f.seek(0, 2)\n    os.fsync(f.fileno())\n    os.posix_fallocate(f.fileno(), 0, 100)\n    assert os.pread(f.fileno(), 3, 0) == b'xxx' and os.pwrite(f.fileno(), b'z', 0) == 1\n    assert os.fstat(f.fileno()).st_size == 100 and not f.isatty()\nos.mkfifo('p')\nos.access('p', os.R_OK)\nos.statvfs('.')\nos.umask(0o22)\nwith tempfile.TemporaryDirectory(dir='.') as d: open(d + '/x', 'w').close()\nwith tempfile.TemporaryFile(dir='.') as t: t.write(b'x')\nwith os.scandir('.') as entries: assert len(list(entries)) == 5\nshutil.rmtree('a')\nshutil.rmtree('e')\nassert shutil.disk_usage('.').total\nassert shutil.get_terminal_size() == (80, 24)\nr, w = os.pipe2(os.O_CLOEXEC)\nos.set_blocking(r, False)\nos.set_inheritable(w, True)\nassert os.dup2(w, 20) == 20 and os.get_inheritable(w)",
    ),
    (
        "memory",
        "import mmap, array, os\nm = mmap.mmap(-1, 1 << 20)\nm.write(b'x' * 4096)\nm.resize(1 << 21)\nm.flush()\nm.madvise(mmap.MADV_DONTNEED)\nopen('f', 'wb').write(b'abc' * 4096)\nwith open('f', 'r+b') as f, mmap.mmap(f.fileno(), 0) as view:\n    view[0:3] = b'xyz'\n    view.flush()\nassert open('f', 'rb').read(3) == b'xyz'\nbytearray(1 << 26)",
    ),
    (
        "polling",
        "import select, selectors, os\nr, w = os.pipe()\ne = select.epoll()\ne.register(r, select.EPOLLIN)\nassert e.poll(0.001) == []\nos.write(w, b'x')\nassert e.poll(1)[0][0] == r\np = select.poll()\np.register(r)\nassert p.poll(1)\ns = selectors.DefaultSelector()\ns.register(r, selectors.EVENT_READ)\nassert s.select(1)\nfd = os.eventfd(1) if hasattr(os, 'eventfd') else None\nassert fd is None or os.eventfd_read(fd) == 1",
    ),
    (
        "who and where",
        "import os, sys, time, resource, platform, locale, getpass, uuid, random, secrets\nos.getpid(), os.getppid(), os.getuid(), os.getgroups(), os.getresuid(), os.getpgid(0), os.getsid(0), os.uname(), os.times()\nassert os.sched_getaffinity(0) and os.cpu_count() and os.sysconf('SC_PAGE_SIZE') == os.sysconf('SC_PAGESIZE')\nos.sched_yield(), os.getpriority(os.PRIO_PROCESS, 0), os.nice\nresource.getrlimit(resource.RLIMIT_AS), resource.getrusage(resource.RUSAGE_SELF)\nresource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))\nplatform.platform(), time.process_time(), time.thread_time(), time.monotonic_ns(), time.get_clock_info('time')\nuuid.uuid4(), uuid.uuid1(), random.SystemRandom().random(), secrets.token_bytes(8), os.getrandom(8)\nassert sys.maxsize",
    ),
    (
        "modules",
        "import sqlite3, json, csv, zlib, gzip, bz2, lzma, hashlib, hmac, ssl, decimal, fractions, statistics, tracemalloc, faulthandler, cProfile, logging.handlers, unittest, doctest, pickle, struct, ctypes, zipfile, tarfile, http.server, urllib.request, xml.etree.ElementTree, email.message, datetime, zoneinfo, calendar, heapq, bisect, array, contextvars, weakref, readline\nd = sqlite3.connect('db')\nd.execute('create table t (a)')\nd.execute('insert into t values (1)')\nd.commit()\nassert d.execute('select a from t').fetchall() == [(1,)]\nd.close()\ntracemalloc.start()\nfaulthandler.enable()\ncProfile.run('sum(range(1000))', 'prof')\nwith tarfile.open('a.tgz', 'w:gz') as t: t.add('db')\nwith tarfile.open('a.tgz') as t: t.extractall('out')\nwith zipfile.ZipFile('z', 'w') as z: z.write('db')\nassert hashlib.sha256(b'').hexdigest()[:4] == 'e3b0' and hashlib.scrypt(b'a', salt=b'b', n=2, r=1, p=1)\nassert ctypes.CDLL(None).abs(-3) == 3",
    ),
];

const SHELL: &[(&str, &str)] = &[
    (
        "files",
        "mkdir -p a/b && echo hello > a/b/c && cp -a a d && cp a/b/c e && mv e f && ln -s f g && ln f h && ls -lR . > /dev/null && stat f > /dev/null && touch -d 2020-01-01 f && chmod 600 f && test -s f && df . > /dev/null && du -s . > /dev/null && install -m 644 f i && mktemp -p . > /dev/null && dd if=f of=j bs=1 count=2 2> /dev/null && truncate -s 10 j && rm -r a d && mkfifo p && readlink -f g > /dev/null",
    ),
    (
        "text",
        "seq 1000 | sort -rn | head -3 | tr '\\n' ' ' | grep -q '1000 999 998' && seq 10 | awk '{s += $1} END {exit s != 55}' && seq 3 | sed 's/2/x/' | grep -q x && printf 'b\\na\\n' | sort -u | uniq -c | wc -l | grep -q 2 && seq 5 | paste -s -d, | cut -d, -f2- | rev > /dev/null && seq 100000 | sort -T . -S 1M -n | tail -n 1 | grep -q 100000",
    ),
    (
        "processes",
        "(exit 3); test $? -eq 3 && sleep 0.01 & wait && timeout 5 true && seq 3 | xargs -n 1 echo > /dev/null && find . -name . -exec true {} + && x=$(echo $(echo deep)) && test $x = deep && trap 'echo trapped > t' USR1 && kill -USR1 $$ && grep -q trapped t && setsid true && nohup true > /dev/null 2>&1 && ulimit -n 50 && test $(ulimit -n) = 50",
    ),
    (
        "archives",
        "seq 1000 > a && tar cf a.tar a && tar xf a.tar && gzip -c a | gunzip | cmp - a && tar czf b.tgz a && tar tzf b.tgz | grep -q a && md5sum a > sums && md5sum -c sums > /dev/null && split -l 100 a part && cat parta* | cmp - a && diff a a && od -c a | head -1 > /dev/null && tee b < a > /dev/null && tail -c 5 b | grep -q 1000 && base64 a | base64 -d | cmp - a",
    ),
    (
        "who and where",
        "date > /dev/null && uname -a > /dev/null && nproc > /dev/null && env > /dev/null && pwd > /dev/null && id -u > /dev/null && test ! -t 0 && printf %s \"$LANG\" > /dev/null",
    ),
    (
        "perl",
        "{ ! command -v perl > /dev/null || { perl -e 'my $p = fork; if (!$p) { exit 4 } waitpid $p, 0; exit(($? >> 8) != 4)' && perl -e 'open my $f, \"<\", \"/dev/null\"; exit 5 if -t STDIN; select undef, undef, undef, 0.01'; }; }",
    ),
];

fn check(language: &str, programs: &[(&str, &str)], end: &str) {
    let tests = format!(
        r#"{{"kind":"stdio","language":"{language}","cases":[{{"stdin":"","stdout":"ok"}}]}}"#
    );
    let tests = Tests::parse(&tests).unwrap();
    let wrong: Vec<_> = programs
        .par_iter()
        .flat_map_iter(|(name, program)| {
            let program = format!("{program}{end}");
            [("warm", run as Runner), ("cold", run_cold)]
                .into_iter()
                .filter_map(|(how, runner)| {
                    let judged = runner(&tests, &program, &limits(), false).unwrap();
                    (!judged.verdict.is_pass()).then(|| format!("{name} ({how}): {judged:?}"))
                })
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_library_works_behind_the_filters() {
    if ready(Language::Python) {
        check("python", PYTHON, "\nprint('ok')");
    }
}

#[test]
fn the_commands_of_a_shell_work_behind_the_filters() {
    if ready(Language::Sh) {
        check("sh", SHELL, " && echo ok");
    }
}
