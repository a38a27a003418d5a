// A good token of the same provider, person and client, for another resource: the gateway must not take it.
//
// node elsewhere.mjs '{"issuer": …, "registered": "a client id", "redirect": …, "chromium": …, "elsewhere": "another resource", "url": …}'
import { createHash, randomBytes } from 'node:crypto';
import { authorize } from './browser.mjs';

const job = JSON.parse(process.argv[2]);

async function token(resource) {
    const about = await (await fetch(`${job.issuer}/.well-known/openid-configuration`)).json();
    const verifier = randomBytes(32).toString('base64url');
    const address = new URL(about.authorization_endpoint);
    address.search = new URLSearchParams({
        client_id: job.registered,
        response_type: 'code',
        redirect_uri: job.redirect,
        scope: job.scope,
        resource,
        code_challenge: createHash('sha256').update(verifier).digest('base64url'),
        code_challenge_method: 'S256',
    });
    const back = await authorize(job, address);
    const body = new URLSearchParams({
        grant_type: 'authorization_code',
        client_id: job.registered,
        code: back.searchParams.get('code'),
        redirect_uri: job.redirect,
        code_verifier: verifier,
        resource,
    });
    const answer = await (await fetch(about.token_endpoint, { method: 'POST', body })).json();
    if (!answer.access_token) throw new Error(`no token: ${JSON.stringify(answer)}`);
    return answer.access_token;
}

async function ask(bearer) {
    const headers = { 'authorization': `Bearer ${bearer}`, 'content-type': 'application/json', 'accept': 'application/json, text/event-stream' };
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'elsewhere', version: '1' } };
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params });
    return await fetch(job.url, { method: 'POST', headers, body });
}

let outcome = 'ok';
try {
    const refused = await ask(await token(job.elsewhere));
    const why = refused.headers.get('www-authenticate') ?? '';
    if (refused.status !== 401 || !why.includes('invalid_token')) outcome = `a token for ${job.elsewhere} got ${refused.status} ${why}`;
    // so that it is the audience alone that made the difference
    const taken = await ask(await token(job.url));
    if (taken.status !== 200) outcome = `and one for ${job.url} got ${taken.status}`;
} catch (fault) {
    outcome = String(fault.stack ?? fault).slice(0, 600);
}
console.log(JSON.stringify({ audience: outcome }));
process.exit(0);
