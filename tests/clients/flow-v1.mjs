// The official TypeScript SDK v1 and its own OAuth flow.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { flow, job } from './flow.mjs';

await flow('typescript-v1', (authProvider) => {
    let client;
    let transport;
    return {
        async connect() {
            client = new Client({ name: 'callgate-flows-ts-v1', version: '1' });
            transport = new StreamableHTTPClientTransport(new URL(job.url), { authProvider });
            await client.connect(transport);
        },
        finish: (said) => transport.finishAuth(said.get('code')),
        revision: () => transport.protocolVersion,
        listTools: () => client.listTools(),
        callTool: (params) => client.callTool(params),
    };
});
