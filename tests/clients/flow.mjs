// What every JavaScript client does from nothing but an address: signs in by its own OAuth flow, calls, asks for more, goes on after its
// token ran out. One line of JSON says how that went.
//
// node flow-v1.mjs '{"url": …, "redirect": …, "chromium": …, "read": {…}, "write": {…}, "scope": "of the write", "lifetime": 20, "without": ["refresh"]}'
// Without `refresh` the client registers for no refresh tokens.
import { authorize } from './browser.mjs';

export const job = JSON.parse(process.argv[2]);

function must(condition, otherwise) {
    if (!condition) throw new Error(otherwise);
}

const texts = (content) => content.map((block) => block.text ?? '').join('');

/// Remembers what the client's own flow finds out. Nothing of it is told beforehand but the way back.
export class Memory {
    visits = [];
    redirectUrl = job.redirect;
    clientMetadata = {
        client_name: 'callgate-flows',
        redirect_uris: [job.redirect],
        grant_types: job.without?.includes('refresh') ? ['authorization_code'] : ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        token_endpoint_auth_method: 'none',
    };
    clientInformation() {
        return this.client;
    }
    saveClientInformation(client) {
        this.client = client;
    }
    tokens() {
        return this.held;
    }
    saveTokens(tokens) {
        this.held = tokens;
    }
    saveCodeVerifier(verifier) {
        this.verifier = verifier;
    }
    codeVerifier() {
        return this.verifier;
    }
    discoveryState() {
        return this.discovered;
    }
    saveDiscoveryState(state) {
        this.discovered = state;
    }
    redirectToAuthorization(address) {
        this.visits.push(address);
    }
}

/// Does it; where the client needs a person, sends one through the browser and does it again.
async function patiently(client, memory, what) {
    const before = memory.visits.length;
    try {
        return await what();
    } catch (fault) {
        if (memory.visits.length === before) throw fault;
        const back = await authorize(job, memory.visits.at(-1));
        must(back.searchParams.has('code'), `came back with ${back.search}`);
        await client.finish(back.searchParams);
        return await what();
    }
}

async function call(client, tool) {
    const result = await client.callTool({ name: tool.name, arguments: tool.arguments });
    must(!result.isError && texts(result.content).includes(tool.expect), `answered ${texts(result.content).slice(0, 200)}`);
}

/// The scope of the token; of one that says nothing itself, as the provider said it beside it.
function granted(memory) {
    if (job.opaque) {
        must(!memory.held.access_token.includes('.'), 'the token is not opaque');
        return memory.held.scope;
    }
    return JSON.parse(Buffer.from(memory.held.access_token.split('.')[1], 'base64url')).scope;
}

const steps = {
    async 'sign in'(client, memory) {
        await patiently(client, memory, () => client.connect());
        must(memory.visits.length === 1, `${memory.visits.length} visits`);
        must(memory.client?.client_id, 'was not registered');
        must(memory.visits[0].searchParams.get('code_challenge_method') === 'S256', 'no PKCE');
        must((await client.listTools()).tools.some((tool) => tool.name === job.read.name), `${job.read.name} is not listed`);
    },
    async call(client, memory) {
        await call(client, job.read);
        must(memory.visits.length === 1, 'asked again');
    },
    async 'step up'(client, memory) {
        must(!granted(memory).split(' ').includes(job.scope), 'has the scope already');
        await patiently(client, memory, () => call(client, job.write));
        must(memory.visits.length === 2, `${memory.visits.length} visits`);
        must(granted(memory).split(' ').includes(job.scope), `was given ${granted(memory)}`);
        await call(client, job.read);
    },
    async refresh(client, memory) {
        const [old, visits] = [memory.held.access_token, memory.visits.length];
        const headers = { 'authorization': `Bearer ${old}`, 'content-type': 'application/json', 'accept': 'application/json, text/event-stream' };
        const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' });
        const late = Date.now() + (job.lifetime + 30) * 1000;
        let refused;
        while ((refused = await fetch(job.url, { method: 'POST', headers, body })).status !== 401) {
            must(Date.now() < late, 'a token that ran out is still taken');
            await new Promise((resolve) => setTimeout(resolve, 500));
        }
        must(refused.headers.get('www-authenticate')?.includes('invalid_token'), 'was not told why');
        await call(client, job.read);
        must(memory.held.access_token !== old, 'was not refreshed');
        must(memory.visits.length === visits, 'a person was asked again');
    },
};

/// Runs every step and prints `{ client, revision, <step>: "ok" | why not }`.
export async function flow(name, make) {
    const memory = new Memory();
    const said = { client: name, revision: null };
    const client = make(memory);
    for (const [step, run] of Object.entries(steps)) {
        if (job.without?.includes(step)) continue;
        said[step] = await run(client, memory).then(() => 'ok', (fault) => String(fault.stack ?? fault).slice(0, 600));
        if (step === 'sign in' && said[step] !== 'ok') break;
    }
    said.revision = client.revision() ?? null;
    said.registered = memory.client?.client_id ?? null;
    console.log(JSON.stringify(said));
    process.exit(0);
}
