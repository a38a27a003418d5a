"""The official Python SDK and its own OAuth flow, as flow.mjs does it.

python flow.py '{"url": …, "redirect": …, "chromium": …, "browser": ["node", "browser.mjs"], "read": {…}, "write": {…}, "scope": …, "lifetime": 20}'
"""

import asyncio
import base64
import json
import sys
import time
import traceback
from urllib.parse import parse_qs, urlparse

import httpx2
from mcp import Client
from mcp.client.auth import OAuthClientProvider, TokenStorage
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata

JOB = json.loads(sys.argv[1])


def must(condition, otherwise):
    if not condition:
        raise RuntimeError(otherwise)


def texts(content):
    return "".join(getattr(block, "text", None) or "" for block in content)


class Memory(TokenStorage):
    """Remembers what the client's own flow finds out. Nothing of it is told beforehand but the way back."""

    def __init__(self):
        self.visits = []
        self.tokens = None
        self.client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client_info):
        self.client = client_info

    async def redirect(self, address):
        self.visits.append(address)

    async def back(self):
        """Sends a person through the browser."""
        job = json.dumps({"chromium": JOB["chromium"], "redirect": JOB["redirect"]})
        browser = await asyncio.create_subprocess_exec(
            *JOB["browser"], job, self.visits[-1], stdout=asyncio.subprocess.PIPE
        )
        said, _ = await browser.communicate()
        query = parse_qs(urlparse(said.decode().strip()).query)
        must("code" in query, f"came back with {query}, sent to {self.visits[-1]}")
        one = lambda name: query.get(name, [None])[0]  # noqa: E731
        return AuthorizationCodeResult(code=one("code"), state=one("state"), iss=one("iss"))

    def granted(self):
        claims = self.tokens.access_token.split(".")[1]
        return json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["scope"].split()


async def call(client, tool):
    result = await client.call_tool(tool["name"], tool["arguments"])
    must(not result.is_error and tool["expect"] in texts(result.content), f"answered {texts(result.content)[:200]}")


async def do_sign_in(client, memory):
    must(len(memory.visits) == 1, f"{len(memory.visits)} visits")
    must(memory.client is not None, "was not registered")
    must("code_challenge_method=S256" in memory.visits[0], "no PKCE")
    offered = [tool.name for tool in (await client.list_tools()).tools]
    must(JOB["read"]["name"] in offered, f"{JOB['read']['name']} is not among {offered}")


async def do_call(client, memory):
    await call(client, JOB["read"])
    must(len(memory.visits) == 1, "asked again")


async def do_step_up(client, memory):
    must(JOB["scope"] not in memory.granted(), "has the scope already")
    await call(client, JOB["write"])
    must(len(memory.visits) == 2, f"{len(memory.visits)} visits")
    must(JOB["scope"] in memory.granted(), f"was given {memory.granted()}")
    await call(client, JOB["read"])


async def do_refresh(client, memory):
    old, visits = memory.tokens.access_token, len(memory.visits)
    headers = {"Authorization": f"Bearer {old}", "Accept": "application/json, text/event-stream"}
    late = time.monotonic() + JOB["lifetime"] + 30
    async with httpx2.AsyncClient(headers=headers) as http:
        while True:
            refused = await http.post(JOB["url"], json={"jsonrpc": "2.0", "id": 1, "method": "ping"})
            if refused.status_code == 401:
                break
            must(time.monotonic() < late, "a token that ran out is still taken")
            await asyncio.sleep(0.5)
    must("invalid_token" in refused.headers.get("www-authenticate", ""), "was not told why")
    await call(client, JOB["read"])
    must(memory.tokens.access_token != old, "was not refreshed")
    must(len(memory.visits) == visits, "a person was asked again")


STEPS = {"sign in": do_sign_in, "call": do_call, "step up": do_step_up, "refresh": do_refresh}


async def main():
    mode = JOB.get("mode", "auto")
    memory = Memory()
    said = {"client": "python" if mode == "auto" else f"python-{mode}", "revision": None}
    auth = OAuthClientProvider(
        server_url=JOB["url"],
        client_metadata=OAuthClientMetadata(
            client_name="callgate-flows",
            redirect_uris=[JOB["redirect"]],
            grant_types=["authorization_code", "refresh_token"],
            response_types=["code"],
            token_endpoint_auth_method="none",
        ),
        storage=memory,
        redirect_handler=memory.redirect,
        callback_handler=memory.back,
    )
    try:
        async with httpx2.AsyncClient(auth=auth, timeout=httpx2.Timeout(120)) as http:
            async with Client(streamable_http_client(JOB["url"], http_client=http), mode=mode) as client:
                said["revision"] = client.protocol_version
                for step, run in STEPS.items():
                    try:
                        await run(client, memory)
                        said[step] = "ok"
                    except Exception:
                        said[step] = traceback.format_exc()[-600:]
    except BaseException:
        said.setdefault("sign in", traceback.format_exc()[-600:])
    said["registered"] = memory.client.client_id if memory.client else None
    print(json.dumps(said))


asyncio.run(main())
