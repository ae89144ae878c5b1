"""Many short TCP connections, each with a question and its answer, as clients of a web server make them.

usage: python3 connections.py server ADDRESS... PORT
       python3 connections.py client ADDRESS PORT COUNT PARALLEL    prints {"answered": N, "failed": {"reason": N}}
"""

import asyncio
import collections
import json
import sys

from pathlib import Path

_TIMEOUT_S = 10


async def _answer(reader, writer):
    try:
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()
    except OSError:
        pass  # the client's side counts it
    finally:
        writer.close()


async def _serve(addresses, port):
    servers = [await asyncio.start_server(_answer, address, port, backlog=4096) for address in addresses]
    print("listening", flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


async def _ask(address, port, number):
    reader, writer = await asyncio.open_connection(address, port)
    try:
        question = f"question {number}\n".encode()
        writer.write(question)
        if await reader.readline() != question:
            raise ValueError("wrong answer")
    finally:
        writer.close()
        await writer.wait_closed()


async def _run_client(address, port, count, parallel):
    numbers, failed = iter(range(count)), collections.Counter()

    async def one_after_the_other():
        for number in numbers:
            try:
                await asyncio.wait_for(_ask(address, port, number), _TIMEOUT_S)
            except (OSError, ValueError, asyncio.TimeoutError) as error:
                failed[repr(error)] += 1

    await asyncio.gather(*(one_after_the_other() for _ in range(parallel)))
    print(json.dumps({"answered": count - failed.total(), "failed": failed}))


def server_command(addresses, port):
    return [sys.executable, Path(__file__).resolve(), "server", *addresses, port]


def client_command(address, port, count, parallel=32):
    return [sys.executable, Path(__file__).resolve(), "client", address, port, count, parallel]


if __name__ == "__main__":
    try:
        if sys.argv[1] == "server":
            asyncio.run(_serve(sys.argv[2:-1], int(sys.argv[-1])))
        else:
            asyncio.run(_run_client(sys.argv[2], *map(int, sys.argv[3:])))
    except KeyboardInterrupt:
        pass
