// The official TypeScript SDK v2. Unless a revision is pinned (`"pin": "2026-07-28"` in the job) it speaks the legacy era.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { drive, headers, job } from './drive.mjs';

await drive(job.pin ? `typescript-v2-${job.pin}` : 'typescript-v2', async () => {
    const options = job.pin ? { versionNegotiation: { mode: { pin: job.pin } } } : {};
    const client = new Client({ name: 'callgate-tests-ts-v2', version: '1' }, options);
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
