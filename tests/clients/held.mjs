// A call that a rule holds, as every JavaScript client makes it: once, and its own answer is the result. One line of JSON says how.
//
// node held-CLIENT.mjs '{"url": …, "token": …, "name": …, "arguments": {…}, "can": {"elicitation": {"url": {}}}, "pin": …}'
export const job = JSON.parse(process.argv[2]);
export const headers = { Authorization: `Bearer ${job.token}` };

/// What the person of this client was asked, and whether that was an address to visit. Nobody decides anything here.
export const asked = [];
export const person = (request) => {
    asked.push(request.params.url ?? request.params.message);
    return request.params.mode === 'url' ? { action: 'accept' } : { action: 'accept', content: {} };
};

export async function held(connect) {
    const said = { asked, progress: 0 };
    try {
        const client = await connect();
        said.revision = client.revision();
        // a client that waits says how it wants to hear that it still does
        const options = { timeout: 60_000, resetTimeoutOnProgress: true, onprogress: () => said.progress++ };
        const result = await client.callTool({ name: job.name, arguments: job.arguments }, options);
        said.text = result.content.map((block) => block.text ?? '').join('');
        said.error = result.isError ?? false;
    } catch (fault) {
        said.fault = String(fault.stack ?? fault).slice(0, 600);
    }
    console.log(JSON.stringify(said));
    process.exit(0);
}
