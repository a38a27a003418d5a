// The certified OpenID provider `oidc-provider`, set up as an authorization server for MCP: registration of whoever comes, PKCE, resource
// indicators (RFC 8707), access tokens as RFC 9068 has them, and the login and consent pages it brings along. Its tokens for the resources
// named as opaque say nothing themselves, and the asker may introspect them (RFC 7662).
//
// node provider.mjs '{"port": 1, "resources": {"http://…/mcp": ["a", "b"]}, "lifetime": 20, "opaque": ["http://…/mcp"],
//     "asker": {"id": "gateway", "secret": "…"}}'
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import Provider, { errors } from 'oidc-provider';

const job = JSON.parse(process.argv[2]);
const issuer = `http://127.0.0.1:${job.port}`;
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });

const provider = new Provider(issuer, {
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256' }] },
    cookies: { keys: [randomBytes(16).toString('hex')] },
    scopes: ['openid', 'offline_access', ...new Set(Object.values(job.resources).flat())],
    claims: { openid: ['sub'] },
    // SDKs register with the scopes they were told first; a provider that takes those as a bound lets nobody ask for more later
    extraClientMetadata: { properties: ['bounded'], validator: (_, __, ___, metadata) => delete metadata.scope },
    pkce: { required: () => true },
    clients: job.asker
        ? [{ client_id: job.asker.id, client_secret: job.asker.secret, redirect_uris: [], response_types: [], grant_types: [] }]
        : [],
    findAccount: (_, sub) => ({ accountId: sub, claims: async () => ({ sub }) }),
    issueRefreshToken: async (_, client) => client.grantTypeAllowed('refresh_token'),
    features: {
        devInteractions: { enabled: true },
        registration: { enabled: true, idFactory: () => `client-${randomBytes(6).toString('hex')}` },
        introspection: { enabled: Boolean(job.asker), allowedPolicy: (_, client) => client.clientId === job.asker.id },
        resourceIndicators: {
            enabled: true,
            useGrantedResource: async () => true,
            async getResourceServerInfo(_, resource) {
                const scopes = job.resources[resource];
                if (!scopes) throw new errors.InvalidTarget();
                return {
                    scope: scopes.join(' '),
                    audience: resource,
                    accessTokenTTL: job.lifetime,
                    accessTokenFormat: job.opaque?.includes(resource) ? 'opaque' : 'jwt',
                    jwt: { sign: { alg: 'RS256' } },
                };
            },
        },
    },
});

for (const event of ['authorization.error', 'grant.error', 'registration_create.error', 'server_error']) {
    provider.on(event, (_, fault) => console.error(`${event}: ${fault.message}: ${fault.error_detail ?? fault.error_description}`));
}

provider.listen(job.port, '127.0.0.1');
