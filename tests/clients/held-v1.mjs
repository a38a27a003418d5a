// The official TypeScript SDK v1 and a call that is held.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { headers, held, job, person } from './held.mjs';

await held(async () => {
    const client = new Client({ name: 'callgate-held-ts-v1', version: '1' }, { capabilities: job.can });
    if (job.can.elicitation) client.setRequestHandler(ElicitRequestSchema, person);
    const transport = new StreamableHTTPClientTransport(new URL(job.url), { requestInit: { headers } });
    await client.connect(transport);
    return {
        revision: () => transport.protocolVersion,
        callTool: (params, options) => client.callTool(params, undefined, options),
    };
});
