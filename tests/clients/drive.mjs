// What every JavaScript client does against one server, and the one line of JSON it says about it.
//
// node CLIENT.mjs '{"url": "…", "token": "…", "prefix": "server__", "profile": {…}}'
// A profile (see profiles.json) names what the server has; what it does not name is not tried.

export const job = JSON.parse(process.argv[2]);
export const headers = job.token ? { Authorization: `Bearer ${job.token}` } : {};
const named = (name) => (job.prefix ?? '') + name;


/// What the person and the model of this client say when a server asks.
export const capabilities = { elicitation: { form: {} }, sampling: {} };
export const person = () => ({ action: 'accept', content: job.profile.elicit?.content ?? {} });
export const model = () => ({
    role: 'assistant',
    model: 'none',
    content: { type: 'text', text: job.profile.sample?.text ?? '' },
});

function must(condition, otherwise) {
    if (!condition) throw new Error(otherwise);
}

const texts = (content) => content.map((block) => block.text ?? '').join('');

/// The steps in their order. Each gets an adapter that hides how the two SDKs differ.
const steps = {
    async list(client, { list }) {
        const offered = (await client.listTools()).tools.map((tool) => tool.name);
        for (const name of list) must(offered.includes(named(name)), `${name} is not among ${offered.join(', ')}`);
    },
    async call(client, { call }) {
        const result = await client.callTool({ name: named(call.name), arguments: call.arguments });
        must(!result.isError, texts(result.content));
        must(texts(result.content).includes(call.expect), `answered ${texts(result.content).slice(0, 200)}`);
    },
    async read(client, { read }) {
        const { contents } = await client.readResource({ uri: read.uri });
        must(texts(contents).includes(read.expect), `answered ${texts(contents).slice(0, 200)}`);
    },
    async prompt(client, { prompt }) {
        const { messages } = await client.getPrompt({ name: named(prompt.name), arguments: prompt.arguments });
        must(texts(messages.map((message) => message.content)).includes(prompt.expect), JSON.stringify(messages).slice(0, 200));
    },
    async complete(client, { complete }) {
        const ref = { type: 'ref/prompt', name: named(complete.name) };
        const { completion } = await client.complete({ ref, argument: complete.argument });
        must(completion.values.includes(complete.expect), `answered ${completion.values.join(', ')}`);
    },
    async progress(client, { progress }) {
        const seen = [];
        const options = { onprogress: (update) => seen.push(update.progress) };
        await client.callTool({ name: named(progress.name), arguments: progress.arguments }, options);
        must(seen.length >= progress.times, `saw ${seen.length} of ${progress.times}`);
    },
    async elicit(client, { elicit }) {
        const result = await client.callTool({ name: named(elicit.name), arguments: elicit.arguments });
        must(texts(result.content).includes(elicit.expect), `answered ${texts(result.content).slice(0, 200)}`);
    },
    async sample(client, { sample }) {
        const result = await client.callTool({ name: named(sample.name), arguments: sample.arguments });
        must(texts(result.content).includes(sample.expect), `answered ${texts(result.content).slice(0, 200)}`);
    },
    async cancel(client, { cancel }) {
        const cancelled = async () => Number(texts((await client.callTool({ name: named(cancel.count), arguments: {} })).content));
        const before = await cancelled();
        const signal = AbortSignal.timeout(500);
        const outcome = await client.callTool({ name: named(cancel.name), arguments: {} }, { signal }).then(() => 'answered', () => 'rejected');
        must(outcome === 'rejected', 'the call was answered although it was cancelled');
        for (let tries = 0; tries < 40; tries++) {
            if ((await cancelled()) > before) return;
            await new Promise((resolve) => setTimeout(resolve, 50));
        }
        throw new Error('the server never heard of it');
    },
};

/// Runs every step of the profile and prints `{ client, revision, <step>: "ok" | why not | null where not offered }`.
export async function drive(name, connect) {
    const said = { client: name, revision: null };
    try {
        const client = await connect();
        said.revision = client.revision();
        for (const [step, run] of Object.entries(steps)) {
            said[step] = job.profile[step]
                ? await run(client, job.profile).then(() => 'ok', (fault) => String(fault.message ?? fault).slice(0, 300))
                : null;
        }
        await client.close();
    } catch (fault) {
        said.connect = String(fault.message ?? fault).slice(0, 300);
    }
    console.log(JSON.stringify(said));
    process.exit(0);
}
