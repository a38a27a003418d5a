// The official TypeScript SDK v1, which speaks the legacy era only.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CreateMessageRequestSchema, ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { capabilities, drive, headers, job, model, person } from './drive.mjs';

await drive('typescript-v1', async () => {
    const client = new Client({ name: 'callgate-tests-ts-v1', version: '1' }, { capabilities });
    client.setRequestHandler(ElicitRequestSchema, person);
    client.setRequestHandler(CreateMessageRequestSchema, model);
    const transport = new StreamableHTTPClientTransport(new URL(job.url), { requestInit: { headers } });
    await client.connect(transport);
    return {
        revision: () => transport.protocolVersion,
        listTools: () => client.listTools(),
        callTool: (params, options) => client.callTool(params, undefined, options),
        readResource: (params) => client.readResource(params),
        getPrompt: (params) => client.getPrompt(params),
        complete: (params) => client.complete(params),
        close: () => client.close(),
    };
});
