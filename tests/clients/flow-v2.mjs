// The official TypeScript SDK v2 and its own OAuth flow.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { flow, job } from './flow.mjs';

await flow('typescript-v2', (authProvider) => {
    const options = job.pin ? { versionNegotiation: { mode: { pin: job.pin } } } : {};
    let client;
    let transport;
    return {
        async connect() {
            client = new Client({ name: 'callgate-flows-ts-v2', version: '1' }, options);
            transport = new StreamableHTTPClientTransport(new URL(job.url), { authProvider });
            await client.connect(transport);
        },
        finish: (said) => transport.finishAuth(said),
        revision: () => client.getNegotiatedProtocolVersion(),
        listTools: () => client.listTools(),
        callTool: (params) => client.callTool(params),
    };
});
