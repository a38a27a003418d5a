"""The official Python SDK and a call that is held, as held.mjs does it.

python held.py '{"url": …, "token": …, "name": …, "arguments": {…}, "can": {"elicitation": {…}}, "mode": "auto"}'
"""

import asyncio
import json
import sys
import traceback

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import ElicitResult

JOB = json.loads(sys.argv[1])


async def main():
    said = {"asked": [], "progress": 0}

    async def person(_context, params):
        said["asked"].append(getattr(params, "url", None) or params.message)
        return ElicitResult(action="accept", content=None if getattr(params, "url", None) else {})

    async def saw(_done, _total, _message):
        said["progress"] += 1

    person = person if JOB["can"].get("elicitation") is not None else None
    headers = {"Authorization": f"Bearer {JOB['token']}"}
    try:
        async with httpx2.AsyncClient(headers=headers, timeout=httpx2.Timeout(30, read=300)) as http:
            transport = streamable_http_client(JOB["url"], http_client=http)
            async with Client(transport, mode=JOB.get("mode", "auto"), elicitation_callback=person) as client:
                said["revision"] = client.protocol_version
                result = await client.call_tool(JOB["name"], JOB["arguments"], progress_callback=saw)
                said["text"] = "".join(getattr(block, "text", None) or "" for block in result.content)
                said["error"] = bool(result.is_error)
    except BaseException:
        said["fault"] = traceback.format_exc()[-600:]
    print(json.dumps(said))


asyncio.run(main())
