#!/usr/bin/env python3
"""A way to a server on loopback that is as long as to one far away: every piece of bytes arrives later.

    python3 tests/peers/slow_way.py PORT [MILLISECONDS]

prints the port on which it listens, and hands everything on to PORT, each way so many milliseconds late (by
default 10: 20 more for a question and its answer). Pieces do not wait for each other, so the rate stays as it
was. A new connection is another round trip late, as opening one is. Ends when its standard input does.
"""

import asyncio
import sys

PIECE = 1 << 16


async def hand_on(reader, writer, late, first_late):
    """Everything that comes, `late` seconds after it came, in its order."""
    clock = asyncio.get_running_loop().time
    # So many pieces may be on the way: a full way takes no more, as a real one.
    on_the_way = asyncio.Queue(256)

    async def deliver():
        while True:
            due, piece = await on_the_way.get()
            await asyncio.sleep(max(0, due - clock()))
            if not piece:
                break
            writer.write(piece)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()

    async def take():
        not_before = clock() + first_late
        while True:
            piece = await reader.read(PIECE)
            await on_the_way.put((max(clock(), not_before) + late, piece))
            if not piece:
                break

    await asyncio.gather(take(), deliver())


async def main():
    port = int(sys.argv[1])
    late = float(sys.argv[2] if len(sys.argv) > 2 else 10) / 1000

    async def connected(reader, writer):
        there_writer = None
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(
                hand_on(reader, there_writer, late, 2 * late),
                hand_on(there_reader, writer, late, 0),
            )
        except (OSError, asyncio.CancelledError):
            pass  # One side went, or all of it ends.
        finally:
            for end in (writer, there_writer):
                if end is not None:
                    end.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    asyncio.run(main())
