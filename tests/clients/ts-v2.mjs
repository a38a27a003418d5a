// The official TypeScript SDK v2. Unless a revision is pinned (`"pin": "2026-07-28"` in the job) it speaks the legacy era.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { capabilities, drive, headers, job, model, person } from './drive.mjs';

await drive(job.pin ? `typescript-v2-${job.pin}` : 'typescript-v2', async () => {
    const options = { capabilities, ...(job.pin && { versionNegotiation: { mode: { pin: job.pin } } }) };
    const client = new Client({ name: 'callgate-tests-ts-v2', version: '1' }, options);
    client.setRequestHandler('elicitation/create', person);
    client.setRequestHandler('sampling/createMessage', model);
    const transport = new StreamableHTTPClientTransport(new URL(job.url), { requestInit: { headers } });
    await client.connect(transport);
    return {
        revision: () => client.getNegotiatedProtocolVersion(),
        listTools: () => client.listTools(),
        callTool: (params, options) => client.callTool(params, options),
        readResource: (params) => client.readResource(params),
        getPrompt: (params) => client.getPrompt(params),
        complete: (params) => client.complete(params),
        close: () => client.close(),
    };
});
