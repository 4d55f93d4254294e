"""What the broker's client library alone does: aiomqtt's loop and a JSON parser, nothing kept.

    python -m tests.load.bare PORT QOS MESSAGES

Prints "ready", and at the end CPU seconds and seconds from the first message to the last.
"""

import asyncio
import sys
import time

import aiomqtt
import orjson


async def main(port: int, qos: int, messages: int) -> None:
    async with aiomqtt.Client("127.0.0.1", port) as client:
        await client.subscribe("load/#", qos=qos)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        started = cpu_s = 0.0
        left = messages
        async for message in client.messages:
            if left == messages:
                started, cpu_s = time.monotonic(), time.process_time()
            assert isinstance(message.payload, bytes)
            orjson.loads(message.payload)
            left -= 1
            if not left:
                break
    sys.stdout.write(f"{time.process_time() - cpu_s} {time.monotonic() - started}\n")


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
