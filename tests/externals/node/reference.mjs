// A reference MCP server on the official TypeScript SDK v2: what the conformance suite asks for, in both eras, at `/mcp`.
// The twin of crates/reference. `node reference.mjs --port N`; one era alone with `--only legacy` or `--only modern`.
import { createHmac, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import {
    createMcpHandler,
    hostHeaderValidationResponse,
    isLegacyRequest,
    localhostAllowedHostnames,
    localhostAllowedOrigins,
    MissingRequiredClientCapabilityError,
    originValidationResponse,
    ProtocolError,
    ResourceNotFoundError,
    Server,
    WebStandardStreamableHTTPServerTransport,
} from '@modelcontextprotocol/server';

const PIXEL =
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';
const SILENCE = 'UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=';
const INVALID_PARAMS = -32602;
const STEP_MS = 50;
const SLOW_MS = 10_000;

const text = (said) => ({ type: 'text', text: said });
const image = { type: 'image', data: PIXEL, mimeType: 'image/png' };
const embedded = (uri, mimeType, said) => ({ type: 'resource', resource: { uri, mimeType, text: said } });
const object = (properties, required) => ({ type: 'object', properties, ...(required && { required }) });
const elicitation = (message, member, type) => ({
    method: 'elicitation/create',
    params: { mode: 'form', message, requestedSchema: object({ [member]: { type } }, [member]) },
});
const sampling = (prompt, maxTokens) => ({
    method: 'sampling/createMessage',
    params: { messages: [{ role: 'user', content: text(prompt) }], maxTokens },
});
const roots = { method: 'roots/list', params: {} };

// ---- questions in the modern era: a result that asks, and a sealed state between two requests

const key = randomBytes(32);
const sealed = (round) => `${round}.${createHmac('sha256', key).update(round).digest('hex')}`;
const opened = (state) => {
    if (state === undefined) return undefined;
    const round = state.split('.')[0];
    const [given, made] = [Buffer.from(state), Buffer.from(sealed(round))];
    if (given.length === made.length && timingSafeEqual(given, made)) return round;
    throw new ProtocolError(INVALID_PARAMS, 'requestState was not given by this server');
};

const ask = (inputRequests, round) => ({
    resultType: 'input_required',
    inputRequests,
    ...(round && { requestState: sealed(round) }),
});
const done = (said) => ({ content: [text(said)] });

function step(name, answers, state, capabilities) {
    const round = opened(state);
    const filled = (question, member) => answers?.[question]?.content?.[member];
    switch (name) {
        case 'test_input_required_result_elicitation':
        case 'test_streaming_elicitation': {
            const given = filled('user_name', 'name');
            const question = elicitation('What is your name?', 'name', 'string');
            return typeof given === 'string' ? done(`Hello, ${given}!`) : ask({ user_name: question });
        }
        case 'test_input_required_result_sampling': {
            const given = answers?.capital_question;
            const question = sampling('What is the capital of France?', 100);
            return given ? done(String(given.content?.text)) : ask({ capital_question: question });
        }
        case 'test_input_required_result_list_roots': {
            const given = answers?.client_roots?.roots;
            return given ? done(`The roots are ${JSON.stringify(given)}`) : ask({ client_roots: roots });
        }
        case 'test_input_required_result_request_state':
        case 'test_input_required_result_tampered_state':
            return round === 'confirm' && filled('confirm', 'ok') !== undefined
                ? done('state-ok')
                : ask({ confirm: elicitation('Please confirm', 'ok', 'boolean') }, 'confirm');
        case 'test_input_required_result_multiple_inputs': {
            const all = ['user_name', 'greeting', 'client_roots'];
            if (round === 'several' && all.every((question) => answers?.[question])) return done('Thank you for all three.');
            const user_name = elicitation('What is your name?', 'name', 'string');
            return ask({ user_name, greeting: sampling('Generate a greeting', 50), client_roots: roots }, 'several');
        }
        case 'test_input_required_result_multi_round': {
            const firstDone = round === 'first' && filled('step1', 'name') !== undefined;
            if (round === 'second' && filled('step2', 'color') !== undefined) return done('Both rounds are done.');
            if (firstDone || round === 'second')
                return ask({ step2: elicitation('Step 2: What is your favorite color?', 'color', 'string') }, 'second');
            return ask({ step1: elicitation('Step 1: What is your name?', 'name', 'string') }, 'first');
        }
        case 'test_input_required_result_capabilities':
            if (answers && Object.keys(answers).length > 0) return done('Thank you.');
            return capabilities?.elicitation
                ? ask({ user_name: elicitation('What is your name?', 'name', 'string') })
                : ask({ greeting: sampling('Generate a greeting', 50) });
        case 'test_input_required_result_prompt': {
            const given = filled('user_context', 'context');
            const question = elicitation('What context should the prompt use?', 'context', 'string');
            if (given === undefined) return ask({ user_context: question });
            return { messages: [{ role: 'user', content: text(`The context is ${given}`) }] };
        }
        default:
            return undefined;
    }
}

// ---- tools: description, input schema, and what each does with (arguments, context, tell)

const titled = (word) => ['First', 'Second', 'Third'].map((nth, i) => ({ const: `value${i + 1}`, title: `${nth} ${word}` }));
const options = ['option1', 'option2', 'option3'];
const choices = object({
    untitledSingle: { type: 'string', enum: options },
    titledSingle: { type: 'string', oneOf: titled('Option') },
    legacyEnum: { type: 'string', enum: ['opt1', 'opt2', 'opt3'], enumNames: ['Option One', 'Option Two', 'Option Three'] },
    untitledMulti: { type: 'array', items: { type: 'string', enum: options } },
    titledMulti: { type: 'array', items: { anyOf: titled('Choice') } },
});
const defaults = object({
    name: { type: 'string', default: 'John Doe' },
    age: { type: 'integer', default: 30 },
    score: { type: 'number', default: 95.5 },
    status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
    verified: { type: 'boolean', default: true },
});
const person = object({ username: { type: 'string' }, email: { type: 'string' } }, ['username', 'email']);
const schema202012 = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    $defs: { address: { $anchor: 'addressDef', ...object({ street: { type: 'string' }, city: { type: 'string' } }) } },
    properties: {
        name: { type: 'string' },
        address: { $ref: '#/$defs/address' },
        contactMethod: { type: 'string', enum: ['phone', 'email'] },
        phone: { type: 'string' },
        email: { type: 'string' },
    },
    allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
    if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
    then: { required: ['phone'] },
    else: { required: ['email'] },
    additionalProperties: false,
};

// The answer to a question, in the way of the era: in a retry, or at once. `send` asks on the stream of the call it belongs to; the SDK's
// shorthands ask on the session's own stream, which may not be open yet.
const answered = (context, modern, question) =>
    modern ? context.mcpReq.inputResponses?.question : context.mcpReq.send(question);

async function elicit(context, { modern }, message, requestedSchema) {
    const question = { method: 'elicitation/create', params: { mode: 'form', message, requestedSchema } };
    const answer = await answered(context, modern, question);
    if (!answer) return ask({ question });
    return done(`User response: action=${answer.action}, content=${JSON.stringify(answer.content ?? {})}`);
}

let cancelled = 0;
const none = object({});
const stepwise = 'test_input_required_result_';
const tools = {
    test_simple_text: ['one text', none, () => done('This is a simple text response for testing.')],
    test_image_content: ['one image', none, () => ({ content: [image] })],
    test_audio_content: ['one sound', none, () => ({ content: [{ type: 'audio', data: SILENCE, mimeType: 'audio/wav' }] })],
    test_embedded_resource: ['one resource', none, () => ({
        content: [embedded('test://embedded-resource', 'text/plain', 'This is an embedded resource content.')],
    })],
    test_multiple_content_types: ['several contents', none, () => ({
        content: [
            text('Multiple content types test:'),
            image,
            embedded('test://mixed-content-resource', 'application/json', '{"test":"data","value":123}'),
        ],
    })],
    test_tool_with_logging: ['logs three times', none, async (_, context) => {
        for (const message of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
            await context.mcpReq.log('info', message);
            await pause(STEP_MS);
        }
        return done('logged three times');
    }],
    test_logging_tool: ['logs where asked', none, async (_, context) => {
        await context.mcpReq.log('info', 'from the logging tool');
        return done('logged where asked');
    }],
    test_error_handling: ['always fails', none, () => ({
        content: [text('This tool intentionally returns an error for testing')],
        isError: true,
    })],
    test_tool_with_progress: ['reports progress', none, async (_, context) => {
        const progressToken = context.mcpReq._meta?.progressToken;
        for (const progress of [0, 50, 100]) {
            if (progressToken !== undefined)
                await context.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total: 100 } });
            await pause(STEP_MS);
        }
        return done('reported progress three times');
    }],
    test_reconnection: ['takes a moment', none, async () => (await pause(2 * STEP_MS), done('still here'))],
    test_sampling: ['asks the model', object({ prompt: { type: 'string' } }, ['prompt']), async ({ prompt }, context, { modern }) => {
        const question = sampling(prompt, 100);
        const answer = await answered(context, modern, question);
        if (!answer) return ask({ question });
        return done(`LLM response: ${[answer.content].flat()[0]?.text}`);
    }],
    test_elicitation: ['asks the user', object({ message: { type: 'string' } }, ['message']), ({ message }, context, era) =>
        elicit(context, era, message, person)],
    test_elicitation_sep1034_defaults: ['asks with defaults', none, (_, context, era) => elicit(context, era, 'Please review', defaults)],
    test_elicitation_sep1330_enums: ['asks to choose', none, (_, context, era) => elicit(context, era, 'Please choose', choices)],
    test_missing_capability: ['needs sampling', none, (_, context, { capabilities }) => {
        if (capabilities?.sampling) return done('the client can sample');
        throw new MissingRequiredClientCapabilityError({ requiredCapabilities: { sampling: {} } });
    }],
    test_trigger_tool_change: ['tools changed', none, async (_, _c, { tell }) => (await tell('tools'), done('told'))],
    test_trigger_prompt_change: ['prompts changed', none, async (_, _c, { tell }) => (await tell('prompts'), done('told'))],
    reference_touch: ['a resource changed', object({ uri: { type: 'string' } }, ['uri']), async ({ uri }, _, { tell }) => (
        await tell('resource', uri), done('told')
    )],
    reference_slow: ['works until cancelled', none, async (_, context) => {
        await pause(SLOW_MS, undefined, { signal: context.mcpReq.signal }).catch(() => cancelled++);
        return done('done');
    }],
    reference_cancelled: ['how many were cancelled', none, () => done(String(cancelled))],
    json_schema_2020_12_tool: ['a schema of 2020-12', schema202012, ({ name }) => done(`Hello, ${name}!`)],
    test_custom_headers: [
        'arguments that are also headers',
        object({ region: { type: 'string', 'x-mcp-header': 'Region' }, note: { type: 'string' } }, ['region']),
        ({ region }) => done(`The region is ${region}.`),
    ],
    reference_echo: [
        'answers what it is told, structured',
        { ...object({ text: { type: 'string' }, times: { type: 'integer', minimum: 1, maximum: 9 } }, ['text']), additionalProperties: false },
        ({ text: said, times = 1 }) => {
            const whole = said.repeat(times);
            const structuredContent = { text: whole, length: [...whole].length };
            return { content: [text(JSON.stringify(structuredContent))], structuredContent };
        },
        { outputSchema: object({ text: { type: 'string' }, length: { type: 'integer' } }, ['text', 'length']), annotations: { readOnlyHint: true } },
    ],
    test_streaming_elicitation: ['asks while it streams', none, () => done('nothing to ask in this era')],
};
for (const kind of ['elicitation', 'sampling', 'list_roots', 'request_state', 'multiple_inputs', 'multi_round', 'tampered_state', 'capabilities'])
    tools[stepwise + kind] = ['asks first', none, () => done('nothing to ask in this era')];

// ---- prompts and resources

const user = (content) => ({ role: 'user', content });
const argument = (name) => ({ name, description: name, required: true });
const prompts = {
    test_simple_prompt: [[], () => [user(text('This is a simple prompt for testing.'))]],
    test_prompt_with_arguments: [
        [argument('arg1'), argument('arg2')],
        ({ arg1, arg2 }) => [user(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`))],
    ],
    test_prompt_with_embedded_resource: [
        [argument('resourceUri')],
        ({ resourceUri }) => [
            user(embedded(resourceUri, 'text/plain', 'Embedded resource content for testing.')),
            user(text('Please process the embedded resource above.')),
        ],
    ],
    test_prompt_with_image: [[], () => [user(image), user(text('Please analyze the image above.'))]],
    test_input_required_result_prompt: [[], () => [user(text('nothing to ask in this era'))]],
};
const resources = [
    { uri: 'test://static-text', name: 'static-text', description: 'some text', mimeType: 'text/plain' },
    { uri: 'test://static-binary', name: 'static-binary', description: 'a pixel', mimeType: 'image/png' },
    { uri: 'test://watched-resource', name: 'watched', description: 'may change', mimeType: 'text/plain' },
];
const resourceTemplates = [
    { uriTemplate: 'test://template/{id}/data', name: 'template', description: 'data by id', mimeType: 'application/json' },
];
function contents(uri) {
    if (uri === 'test://static-text') return { uri, mimeType: 'text/plain', text: 'This is the content of the static text resource.' };
    if (uri === 'test://static-binary') return { uri, mimeType: 'image/png', blob: PIXEL };
    if (uri === 'test://watched-resource') return { uri, mimeType: 'text/plain', text: 'It may change.' };
    const id = /^test:\/\/template\/(.+)\/data$/.exec(uri)?.[1];
    if (id === undefined) throw new ResourceNotFoundError(uri);
    return { uri, mimeType: 'application/json', text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }) };
}

// ---- one server for one session (legacy) or one request (modern)

function serverFor({ era }) {
    const modern = era === 'modern';
    const capabilities = {
        tools: { listChanged: true },
        prompts: { listChanged: true },
        resources: { subscribe: true },
        completions: {},
        logging: {},
    };
    const server = new Server({ name: 'callgate-reference-ts', version: '0.1.0' }, { capabilities });
    const watched = new Set();
    const tell = async (what, uri) => {
        if (what === 'tools') handler.notify.toolsChanged();
        if (what === 'prompts') handler.notify.promptsChanged();
        if (what === 'resource') handler.notify.resourceUpdated(uri);
        if (modern) return;
        if (what === 'tools') await server.sendToolListChanged();
        if (what === 'prompts') await server.sendPromptListChanged();
        if (what === 'resource' && watched.has(uri)) await server.sendResourceUpdated({ uri });
    };
    const declared = (context) =>
        modern ? context.mcpReq.envelope?.['io.modelcontextprotocol/clientCapabilities'] : server.getClientCapabilities();
    const stepped = (name, context) =>
        modern ? step(name, context.mcpReq.inputResponses, context.mcpReq.requestState(), declared(context)) : undefined;

    server.setRequestHandler('tools/list', () => ({
        tools: Object.entries(tools).map(([name, [description, inputSchema, , more]]) => ({ name, description, inputSchema, ...more })),
    }));
    server.setRequestHandler('tools/call', async ({ params }, context) => {
        const next = stepped(params.name, context);
        if (next) return next;
        const tool = tools[params.name];
        if (!tool) throw new ProtocolError(INVALID_PARAMS, `there is no tool \`${params.name}\``);
        return tool[2](params.arguments ?? {}, context, { tell, modern, capabilities: declared(context) });
    });
    server.setRequestHandler('prompts/list', () => ({
        prompts: Object.entries(prompts).map(([name, [args]]) => ({ name, description: name, arguments: args })),
    }));
    server.setRequestHandler('prompts/get', ({ params }, context) => {
        const next = stepped(params.name, context);
        if (next) return next;
        const prompt = prompts[params.name];
        if (!prompt) throw new ProtocolError(INVALID_PARAMS, `there is no prompt \`${params.name}\``);
        return { messages: prompt[1](params.arguments ?? {}) };
    });
    server.setRequestHandler('resources/list', () => ({ resources }));
    server.setRequestHandler('resources/templates/list', () => ({ resourceTemplates }));
    server.setRequestHandler('resources/read', ({ params }) => ({ contents: [contents(params.uri)] }));
    server.setRequestHandler('completion/complete', ({ params }) => ({
        completion: { values: ['paris', 'park', 'party'].filter((word) => word.startsWith(params.argument.value)) },
    }));
    if (!modern) {
        server.setRequestHandler('resources/subscribe', ({ params }) => (watched.add(params.uri), {}));
        server.setRequestHandler('resources/unsubscribe', ({ params }) => (watched.delete(params.uri), {}));
    }
    return server;
}

// ---- HTTP: sessions for the legacy era, one request at a time for the modern one

const words = process.argv.slice(2);
const port = Number(words[words.indexOf('--port') + 1]);
const only = words.includes('--only') ? words[words.indexOf('--only') + 1] : undefined;
const handler = createMcpHandler(serverFor, { legacy: 'reject' });
const sessions = new Map();

async function legacy(request) {
    const id = request.headers.get('mcp-session-id');
    if (id) {
        const transport = sessions.get(id);
        return transport ? transport.handleRequest(request) : Response.json({ error: 'no such session' }, { status: 404 });
    }
    const transport = new WebStandardStreamableHTTPServerTransport({
        sessionIdGenerator: randomUUID,
        onsessioninitialized: (session) => void sessions.set(session, transport),
        onsessionclosed: (session) => void sessions.delete(session),
    });
    await serverFor({ era: 'legacy' }).connect(transport);
    return transport.handleRequest(request);
}

async function respond(request) {
    const hostile =
        hostHeaderValidationResponse(request, localhostAllowedHostnames()) ??
        originValidationResponse(request, localhostAllowedOrigins());
    if (hostile) return hostile;
    if (only === 'modern' || !(await isLegacyRequest(request))) {
        const message = 'Bad Request: Unsupported protocol version';
        return only === 'legacy'
            ? Response.json({ jsonrpc: '2.0', id: null, error: { code: -32000, message } }, { status: 400 })
            : handler.fetch(request);
    }
    return legacy(request);
}

createServer(async (incoming, outgoing) => {
    const gone = new AbortController();
    outgoing.on('close', () => gone.abort());
    const body = ['GET', 'HEAD', 'DELETE'].includes(incoming.method) ? undefined : await buffer(incoming);
    const headers = Object.entries(incoming.headers).flatMap(([name, value]) => [value].flat().map((one) => [name, one]));
    const url = `http://${incoming.headers.host ?? 'localhost'}${incoming.url}`;
    const request = new Request(url, { method: incoming.method, headers, body, signal: gone.signal });
    const response = await respond(request).catch((fault) => Response.json({ error: String(fault) }, { status: 500 }));
    outgoing.writeHead(response.status, Object.fromEntries(response.headers));
    if (!response.body) return outgoing.end();
    outgoing.flushHeaders(); // a stream may stay silent for long; the client waits for its headers
    Readable.fromWeb(response.body).on('error', () => outgoing.destroy()).pipe(outgoing);
}).listen(port, '127.0.0.1');
