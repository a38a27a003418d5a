// A person at the console: signs in by a link, sees a call come while the page is open, decides it with keys, finds it in the history.
// Asks its parent to act (`do WORD` on a line; the answer is a line), says `ok` at the end.
//
// node console.mjs '{"chromium": …, "base": …, "bob": LINK, "again": LINK, "now": MS, "pictures": FOLDER or ""}'
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const PATIENCE_MS = 30_000;
const FLAGS = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

const job = JSON.parse(process.argv[2]);
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const ask = async (word) => {
    console.log(`do ${word}`);
    return (await answers.next()).value;
};

const browser = await chromium.launch({ executablePath: job.chromium, headless: true, args: FLAGS });
const open = async (options = {}) => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: 'light', ...options });
    context.setDefaultTimeout(PATIENCE_MS);
    const page = await context.newPage();
    const wrong = [];
    page.on('console', (said) => said.type() === 'error' && wrong.push(said.text()));
    page.on('pageerror', (error) => wrong.push(String(error)));
    await page.clock.setFixedTime(job.now);
    return { context, page, wrong };
};
const picture = async (page, name) => {
    if (!job.pictures) return;
    await page.mouse.move(0, 0);
    await page.screenshot({ path: join(job.pictures, `${name}.png`), animations: 'disabled' });
};

// all of a page, for whoever looks at the design
const everything = async (page, name) => {
    if (job.pictures && process.env.CALLGATE_PICTURES_ALL) await page.screenshot({ path: join(job.pictures, `${name}.png`), fullPage: true });
};

// nothing is wider than a small telephone; 320 is what WCAG 1.4.10 asks for
const SMALL = [360, 320];
const fits = async (page, path, width) => {
    await page.setViewportSize({ width, height: 780 });
    await page.goto(`${job.base}/console${path}`);
    const [wide, which] = await page.evaluate((width) => {
        const out = [...document.body.querySelectorAll('*')].filter((one) => one.getBoundingClientRect().right > width + .5);
        return [document.documentElement.scrollWidth, out.slice(0, 6).map((one) => `${one.tagName}.${one.className}`)];
    }, width);
    assert(wide <= width, `${path || 'home'} is ${wide} wide at ${width}: ${which}`);
};

try {
    const { context, page, wrong } = await open();
    // nothing moves when something comes
    await page.addInitScript(() => {
        window.shifts = [];
        new PerformanceObserver((list) => {
            for (const shift of list.getEntries()) if (!shift.hadRecentInput) window.shifts.push(shift.value);
        }).observe({ type: 'layout-shift', buffered: true });
    });
    const still = async () => assert.deepEqual(await page.evaluate(() => window.shifts), [], 'something moved');

    // the code goes to no server by the link, and is not left in the address
    const asked = [];
    page.on('request', (request) => asked.push(request.url()));
    // where the page for signing in is open already, the link fills it in too
    await page.goto(`${job.base}/console/sign-in`);
    await page.goto(job.bob);
    await page.waitForFunction(() => document.querySelector('#code').value.length === 43);
    assert.equal(page.url(), `${job.base}/console/sign-in`);
    assert(asked.every((url) => !url.includes(job.bob.split('#')[1]) || url.includes('#')), 'the code was sent');
    await picture(page, 'sign-in');
    await page.keyboard.press('Enter');
    await page.waitForURL(`${job.base}/console`);
    const [cookie] = await context.cookies();
    assert.equal(cookie.name, '__Host-callgate');
    assert(cookie.secure && cookie.httpOnly && cookie.sameSite === 'Strict' && cookie.path === '/');
    assert.equal(cookie.domain, 'callgate.localhost');

    // home: one comes while it is open
    await page.waitForSelector('#live[data-on="true"]');
    const big = await ask('propose 7000');
    await page.waitForSelector(`#mine #a-${big}`);
    await page.waitForFunction((n) => document.querySelector('#waiting').textContent === n, '5');
    await still();
    await picture(page, 'home');

    // the queue: another comes, and is opened and approved with keys alone
    await page.keyboard.press('g');
    await page.keyboard.press('q');
    await page.waitForURL(`${job.base}/console/approvals`);
    await page.waitForSelector('#live[data-on="true"]');
    const small = await ask('propose 300');
    await page.waitForSelector(`#queue #a-${small}`);
    await still();
    for (let n = 0; n < 6; n += 1) await page.keyboard.press('j');
    assert(await page.evaluate((id) => document.activeElement.closest('li')?.id === `a-${id}`, small), 'j goes down');
    await picture(page, 'queue');
    await page.keyboard.press('a');
    await page.waitForURL(`${job.base}/console/approvals/${small}#approve`);
    await page.waitForFunction(() => document.activeElement.id === 'approve');
    assert.equal(await ask(`state ${small}`), 'proposed', 'one key is no yes');
    await page.keyboard.press('Enter');
    await page.waitForSelector('#standing .badge[data-state="approved"]');
    assert.equal(await ask(`state ${small}`), 'approved');

    // the capitals of a key do the same, and the keys are shown as they are
    await page.goto(`${job.base}/console/approvals`);
    await page.keyboard.press('Shift+J');
    assert(await page.evaluate(() => document.activeElement.closest('li') !== null), 'a capital J goes down');
    await page.keyboard.press('?');
    await page.waitForSelector('#help[open]');
    const upper = await page.evaluate(() => [...document.querySelectorAll('.keys dt')].some((dt) => getComputedStyle(dt, '::first-letter').textTransform !== 'none'));
    assert(!upper, 'a key is shown as a capital');
    await everything(page, 'keys');
    await page.keyboard.press('Escape');

    // all of what is approved is there, however much it is; a line of the list says that it has more
    const wide = await ask('propose wide');
    await page.waitForSelector(`#a-${wide}`);
    const line = await page.evaluate((id) => {
        const what = document.querySelector(`#a-${id} .what`);
        return { cut: what.scrollHeight > what.clientHeight, lines: Math.round(what.clientHeight / parseFloat(getComputedStyle(what).lineHeight)), style: getComputedStyle(what).webkitLineClamp };
    }, wide);
    assert.deepEqual(line, { cut: true, lines: 3, style: '3' }, 'a line that is cut ends in an ellipsis');
    await everything(page, 'queue-wide');
    await page.goto(`${job.base}/console/approvals/${wide}`);
    for (const size of [{ width: 1280, height: 800 }, { width: 390, height: 780 }]) {
        await page.setViewportSize(size);
        const [all, shown] = await page.evaluate(() => { const box = document.querySelector('pre.json'); return [box.scrollHeight, box.clientHeight]; });
        assert(all <= shown, `${all} of arguments in ${shown}`);
        await everything(page, `wide-${size.width}`);
    }
    await page.setViewportSize({ width: 1280, height: 800 });

    // one that needs two: the other's yes shows where it is
    await page.goto(`${job.base}/console/approvals/${big}`);
    await page.waitForSelector('#live[data-on="true"]');
    await picture(page, 'approval');
    await page.keyboard.press('?');
    await page.waitForSelector('#help[open]');
    await page.keyboard.press('Escape');
    await page.click('#approve');
    await page.waitForSelector('#people .votes');
    assert.equal(await page.locator('#approve').count(), 0);

    // a line in the queue changes where it is when somebody else decides
    await page.goto(`${job.base}/console/approvals`);
    await page.waitForSelector('#live[data-on="true"]');
    const decided = await ask('decide');
    await page.waitForSelector(`#a-${decided}[data-state="approved"], #a-${decided} .need.met`);
    await still();

    await page.goto(`${job.base}/console/approvals/history`);
    await page.waitForSelector(`#a-${small}[data-state="approved"]`);
    assert(await page.locator(`#a-${small}`).innerText().then((text) => text.includes('bob said yes')));
    await page.goto(`${job.base}/console/activity`);
    await picture(page, 'activity');
    await page.click('.calls a.what');
    await page.waitForSelector('.trail');
    await picture(page, 'decision');

    await page.goto(`${job.base}/console/activity?text=nothing-is-like-this`);
    assert(!await page.isVisible('ol.calls'), 'a list of nothing is no line');

    // dark, and small
    await page.emulateMedia({ colorScheme: 'dark' });
    await page.goto(`${job.base}/console/approvals/${decided}`);
    await picture(page, 'approval-dark');
    for (const [path, width] of ['', '/approvals', `/approvals/${big}`, '/activity', '/approvals/history', '/webhooks'].flatMap((path) => SMALL.map((width) => [path, width]))) {
        await fits(page, path, width);
        if (job.pictures && process.env.CALLGATE_PICTURES_ALL) await page.screenshot({ path: join(job.pictures, `small${path.split('/').slice(0, 2).join('-')}.png`), fullPage: true });
    }
    // who signs out in one window is out in the others, at once
    const other = await context.newPage();
    await other.goto(`${job.base}/console/approvals/${wide}`);
    await other.waitForSelector('#live[data-on="true"]');
    await page.click('.who button');
    await page.waitForURL(`${job.base}/console/sign-in`);
    assert.deepEqual(await context.cookies(), []);
    await other.waitForSelector('#out', { timeout: 5_000 });
    assert.equal(await other.textContent('#live'), 'signed out');
    assert(await other.isDisabled('#approve') && await other.isDisabled('.no button'), 'nothing is decided there');
    assert.equal(await other.getAttribute('#out a', 'href'), `/console/approvals/${wide}`);
    await everything(other, 'signed-out');
    assert.equal(await ask(`state ${wide}`), 'proposed');
    assert.deepEqual(wrong, [], 'the browser had something to say');

    // the registry: what changed is found from the list, looked at, and accepted with keys
    const registry = await open();
    await registry.page.goto(job.rita);
    await registry.page.waitForFunction(() => document.querySelector('#code').value.length === 43);
    await registry.page.keyboard.press('Enter');
    await registry.page.waitForURL(`${job.base}/console`);
    await registry.page.keyboard.press('g');
    await registry.page.keyboard.press('s');
    await registry.page.waitForURL(`${job.base}/console/servers`);
    await picture(registry.page, 'servers');
    await registry.page.click('#servers a.what');
    await registry.page.waitForURL(`${job.base}/console/servers/one?name=crm`);
    await picture(registry.page, 'server');
    await registry.page.goto(`${job.base}/console/servers`);
    await registry.page.click('a.waits');
    await registry.page.waitForURL(`${job.base}/console/servers/review?name=crm`);
    await picture(registry.page, 'review');
    const looks = registry.page.locator('section.change h2 .badge');
    assert.deepEqual(await looks.allInnerTexts(), ['critical', 'low', 'info'].slice(0, await looks.count()), 'the urgent first');
    await registry.page.emulateMedia({ colorScheme: 'dark' });
    await picture(registry.page, 'review-dark');
    for (const path of ['/servers', '/servers/one?name=crm', '/servers/review?name=crm']) {
        await registry.page.setViewportSize({ width: 1280, height: 800 });
        await registry.page.goto(`${job.base}/console${path}`);
        await everything(registry.page, `dark${path.split('?')[0].replaceAll('/', '-')}`);
        for (const width of SMALL) await fits(registry.page, path, width);
        await everything(registry.page, `small${path.split('?')[0].replaceAll('/', '-')}`);
    }
    await registry.page.keyboard.press('a');
    await registry.page.waitForFunction(() => document.activeElement.id === 'approve');
    assert.equal(await ask('pending'), '3', 'one key is no yes');
    await registry.page.keyboard.press('Enter');
    await registry.page.waitForURL(`${job.base}/console/servers/one?name=crm`);
    assert.equal(await ask('pending'), '0');
    assert.deepEqual(registry.wrong, [], 'the browser had something to say');

    // without a script everything works too
    const plain = await open({ javaScriptEnabled: false });
    await plain.page.goto(`${job.base}/console/approvals/${wide}`);
    await plain.page.waitForURL(`${job.base}/console/sign-in`);
    await everything(plain.page, 'sign-in-to');
    await plain.page.fill('#code', job.again.split('#')[1]);
    await plain.page.click('button');
    await plain.page.waitForURL(`${job.base}/console/approvals/${wide}`);
    await plain.page.goto(`${job.base}/console`);
    await plain.page.click('#mine a.what');
    await plain.page.click('#approve');
    await plain.page.waitForSelector('.votes');
    console.log('ok');
} finally {
    await browser.close();
}
process.exit(0);
