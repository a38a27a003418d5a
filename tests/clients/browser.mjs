// A person with a browser: signs in where a client sends them, agrees, and comes back with what the provider said.
//
// node browser.mjs '{"chromium": "/usr/bin/chromium", "redirect": "http://127.0.0.1:1/callback"}' URL   prints where the browser was sent back to
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const PATIENCE_MS = 60_000;
const FLAGS = [
    '--no-sandbox',
    '--disable-gpu',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
];

/// Opens the address in a browser that nobody has used, and resolves with the address it is sent back to.
export async function authorize(job, address) {
    const redirect = new URL(job.redirect);
    let arrived;
    const back = new Promise((resolve) => (arrived = resolve));
    const server = createServer((request, response) => {
        response.end('you may close this window');
        if (request.url.startsWith(redirect.pathname)) arrived(new URL(request.url, redirect));
    });
    await new Promise((resolve) => server.listen(Number(redirect.port), redirect.hostname, resolve));
    const folder = await mkdtemp(join(tmpdir(), 'callgate-browser-'));
    const browser = await chromium.launchPersistentContext(folder, { executablePath: job.chromium, headless: true, args: FLAGS });
    try {
        browser.setDefaultTimeout(PATIENCE_MS);
        const page = browser.pages()[0] ?? (await browser.newPage());
        await page.goto(String(address));
        // the login page, then the one that asks for consent
        while (!page.url().startsWith(job.redirect)) {
            if (await page.locator('input[name=login]').count()) {
                await page.fill('input[name=login]', 'alice');
                await page.fill('input[name=password]', 'in wonderland');
            }
            const left = page.url();
            await Promise.all([page.waitForURL((url) => String(url) !== left), page.locator('[type=submit]').first().click()]);
        }
        return await back;
    } finally {
        await browser.close();
        await rm(folder, { recursive: true, force: true });
        await new Promise((resolve) => server.close(resolve));
    }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
    console.log(String(await authorize(JSON.parse(process.argv[2]), process.argv[3])));
}
