// The official TypeScript SDK v2 and a call that is held.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { headers, held, job, person } from './held.mjs';

await held(async () => {
    const options = { capabilities: job.can, ...(job.pin && { versionNegotiation: { mode: { pin: job.pin } } }) };
    const client = new Client({ name: 'callgate-held-ts-v2', version: '1' }, options);
    if (job.can.elicitation) client.setRequestHandler('elicitation/create', person);
    const transport = new StreamableHTTPClientTransport(new URL(job.url), { requestInit: { headers } });
    await client.connect(transport);
    return {
        revision: () => client.getNegotiatedProtocolVersion(),
        callTool: (params, options) => client.callTool(params, options),
    };
});
