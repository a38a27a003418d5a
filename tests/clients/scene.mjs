// The refund scene: people of finance at their open pages, while an agent of each era waits for them.
// Asks its parent to act (`do WORDS` on a line; the answer is a line), says `ok` at the end.
//
// node scene.mjs '{"chromium": …, "base": …, "agents": [{"name": …, "revision": …}], "alice": LINK, "bob": LINK, "again": LINK, "carol": LINK}'
import assert from 'node:assert/strict';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const PATIENCE_MS = 30_000;
const FLAGS = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

const job = JSON.parse(process.argv[2]);
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const ask = async (words) => {
    console.log(`do ${words}`);
    return (await answers.next()).value;
};

const browser = await chromium.launch({ executablePath: job.chromium, headless: true, args: FLAGS });
const signIn = async (link) => {
    const context = await browser.newContext();
    context.setDefaultTimeout(PATIENCE_MS);
    const page = await context.newPage();
    await page.goto(link);
    await page.waitForFunction(() => document.querySelector('#code').value.length === 43);
    await page.click('#sign-in button');
    await page.waitForURL(`${job.base}/console`);
    return page;
};
// the queue, open and live; whoever loads it again loses the mark
const queue = async (page) => {
    await page.goto(`${job.base}/console/approvals`);
    await page.waitForSelector('#live[data-on="true"]');
    await page.evaluate(() => { window.sameAsBefore = true; });
};
const comes = async (page) => {
    const line = page.locator('#queue li[data-state="proposed"]');
    await line.waitFor();
    assert(await page.evaluate(() => window.sameAsBefore), 'it came without the page being loaded again');
    return line;
};
const becomes = (page, state) => page.waitForSelector(`#standing .badge[data-state="${state}"]`);
const finished = async (agent, amount, address) => {
    const said = JSON.parse(await ask('answer'));
    assert.equal(said.text, `paid back ${amount}`, JSON.stringify(said));
    assert.equal(said.error, false);
    assert.equal(said.revision, agent.revision);
    // what the agent's person was sent to is the page on which finance decided
    assert(said.asked.length > 0 && said.asked.every((one) => one.includes(address)), `${said.asked} is not ${address}`);
};

try {
    const [alice, bob, again, carol] = [await signIn(job.alice), await signIn(job.bob), await signIn(job.again), await signIn(job.carol)];
    let paid = '';
    for (const agent of job.agents) {
        // 500: one of finance
        await queue(bob);
        await ask(`call ${agent.name} 500`);
        const small = await comes(bob);
        assert.equal(await ask('paid'), paid, 'nothing is paid before somebody said yes');
        await small.locator('a.what').click();
        await bob.waitForSelector('#approve');
        const one = bob.url();
        await alice.goto(one);
        assert.equal(await alice.locator('#approve').count(), 0, 'nobody approves what their own agent asks');
        assert.equal(await ask('waits'), 'true');
        await bob.click('#approve');
        await becomes(bob, 'executed');
        await finished(agent, 500, one);
        paid = `${paid} 500`.trim();
        assert.equal(await ask('paid'), paid);

        // 7,000: two of them
        await queue(bob);
        await queue(carol);
        await ask(`call ${agent.name} 7000`);
        await (await comes(bob)).locator('a.what').click();
        await bob.click('#approve');
        await bob.waitForSelector('#people .votes');
        const two = bob.url();
        assert.match(await bob.locator('#people .must').innerText(), /finance\s+1 of 2/);
        for (const page of [bob, again, alice]) {
            await page.goto(two);
            assert.equal(await page.locator('#approve').count(), 0, 'one person is one voice, and an asker none');
        }
        assert.deepEqual([await ask('waits'), await ask('paid')], ['true', paid], 'one is not enough');
        const large = await comes(carol);
        await large.locator('.needs', { hasText: 'finance 1/2' }).waitFor();
        await large.locator('a.what').click();
        await carol.click('#approve');
        await becomes(carol, 'executed');
        await finished(agent, 7000, two);
        await becomes(bob, 'executed');
        paid = `${paid} 7000`;
        assert.equal(await ask('paid'), paid);
    }
    console.log('ok');
} finally {
    await browser.close();
}
process.exit(0);
