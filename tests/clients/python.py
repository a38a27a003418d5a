"""The official Python SDK, which probes for the modern era and falls back.

python python.py '{"url": …, "token": …, "prefix": …, "profile": {…}, "mode": "auto"}', as drive.mjs does it.
"""

import asyncio
import json
import sys

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CreateMessageResult, ElicitResult, PromptReference, TextContent

JOB = json.loads(sys.argv[1])
PROFILE = JOB["profile"]
CANCEL_TRIES = 40


def named(name):
    return JOB.get("prefix", "") + name


def must(condition, otherwise):
    if not condition:
        raise RuntimeError(otherwise)


def texts(content):
    return "".join(getattr(block, "text", None) or "" for block in content)


async def do_list(client, wanted):
    offered = [tool.name for tool in (await client.list_tools()).tools]
    for name in wanted:
        must(named(name) in offered, f"{name} is not among {offered}")


async def do_call(client, call):
    result = await client.call_tool(named(call["name"]), call["arguments"])
    must(not result.is_error and call["expect"] in texts(result.content), f"answered {texts(result.content)[:200]}")


async def do_read(client, read):
    contents = (await client.read_resource(read["uri"])).contents
    must(read["expect"] in texts(contents), f"answered {texts(contents)[:200]}")


async def do_prompt(client, prompt):
    result = await client.get_prompt(named(prompt["name"]), prompt["arguments"])
    must(prompt["expect"] in texts([message.content for message in result.messages]), str(result)[:200])


async def do_complete(client, complete):
    ref = PromptReference(type="ref/prompt", name=named(complete["name"]))
    result = await client.complete(ref, complete["argument"])
    must(complete["expect"] in result.completion.values, f"answered {result.completion.values}")


async def do_progress(client, progress):
    seen = []

    async def saw(done, _total, _message):
        seen.append(done)

    await client.call_tool(named(progress["name"]), progress["arguments"], progress_callback=saw)
    must(len(seen) >= progress["times"], f"saw {len(seen)} of {progress['times']}")


async def do_ask(client, ask):
    result = await client.call_tool(named(ask["name"]), ask["arguments"])
    must(ask["expect"] in texts(result.content), f"answered {texts(result.content)[:200]}")


async def person(_context, _params):
    return ElicitResult(action="accept", content=(PROFILE.get("elicit") or {}).get("content", {}))


async def model(_context, _params):
    said = TextContent(type="text", text=(PROFILE.get("sample") or {}).get("text", ""))
    return CreateMessageResult(role="assistant", model="none", content=said)


async def do_cancel(client, cancel):
    async def cancelled():
        return int(texts((await client.call_tool(named(cancel["count"]), {})).content))

    before = await cancelled()
    calling = asyncio.ensure_future(client.call_tool(named(cancel["name"]), {}))
    await asyncio.sleep(0.5)
    calling.cancel()
    try:
        await calling
        raise RuntimeError("the call was answered although it was cancelled")
    except asyncio.CancelledError:
        pass
    for _ in range(CANCEL_TRIES):
        if await cancelled() > before:
            return
        await asyncio.sleep(0.05)
    raise RuntimeError("the server never heard of it")


STEPS = {
    "list": do_list,
    "call": do_call,
    "read": do_read,
    "prompt": do_prompt,
    "complete": do_complete,
    "progress": do_progress,
    "elicit": do_ask,
    "sample": do_ask,
    "cancel": do_cancel,
}


def reason(fault):
    while isinstance(fault, BaseExceptionGroup):
        fault = fault.exceptions[0]
    return (str(fault) or repr(fault))[:300]


async def main():
    mode = JOB.get("mode", "auto")
    said = {"client": "python" if mode == "auto" else f"python-{mode}", "revision": None}
    headers = {"Authorization": f"Bearer {JOB['token']}"} if JOB.get("token") else {}
    try:
        async with httpx2.AsyncClient(headers=headers, timeout=httpx2.Timeout(30, read=300)) as http:
            transport = streamable_http_client(JOB["url"], http_client=http)
            async with Client(transport, mode=mode, elicitation_callback=person, sampling_callback=model) as client:
                said["revision"] = client.protocol_version
                for step, run in STEPS.items():
                    if PROFILE.get(step) is None:
                        said[step] = None
                        continue
                    try:
                        await run(client, PROFILE[step])
                        said[step] = "ok"
                    except Exception as fault:
                        said[step] = reason(fault)
    except BaseException as fault:
        said["connect"] = reason(fault)
    print(json.dumps(said))


asyncio.run(main())
