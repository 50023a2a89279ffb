// Check pages of the built site with axe-core in Chromium, in light and dark, on a desktop and a phone, and count requests to
// other servers. Search is tried, too.
//
//     npm install --prefix build/node axe-core@4 puppeteer-core@24
//     node docs/check_accessibility.mjs build/site [FOLDER FOR SCREENSHOTS [PAGE ...]]
//
// The environment variable CHROMIUM names the browser; default: /usr/bin/chromium.

import { createRequire } from "node:module";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(join(resolve("build/node"), "package.json"));
const puppeteer = require("puppeteer-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const site = resolve(process.argv[2] ?? "build/site");
const pictures = process.argv[3] && resolve(process.argv[3]);
const PAGES = {
  start: "index.html",
  decision: "which_features.html",
  gallery: "gallery/index.html",
  example: "gallery/5_models/plot_find_faces.html",
  guide: "guide/encoders.html",
  five_minutes: "five_minutes.html",
  lesson: "lessons/visual_words.html",
  api: "api/featrec.descriptors.HOG.html",
};
const SIZES = { desktop: { width: 1280, height: 900 }, phone: { width: 390, height: 844, isMobile: true, hasTouch: true } };
const THEMES = ["light", "dark"];

const browser = await puppeteer.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", protocolTimeout: 300000, args: ["--no-sandbox", "--allow-file-access-from-files"] });
let failures = 0;
const fail = (text) => { failures += 1; console.log(text); };
if (pictures) mkdirSync(pictures, { recursive: true });

const wanted = process.argv.slice(4);
for (const [name, path] of Object.entries(PAGES).filter(([name]) => !wanted.length || wanted.includes(name))) {
  if (!existsSync(join(site, path))) { fail(`${path}: does not exist`); continue; }
  for (const theme of THEMES) for (const [size, viewport] of Object.entries(SIZES)) {
    const page = await browser.newPage();
    const where = `${path}, ${theme}, ${size}`;
    page.setDefaultTimeout(180000);
    await page.setViewport(viewport);
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: theme }, { name: "prefers-reduced-motion", value: "reduce" }]);
    page.on("request", (request) => { if (/^https?:/.test(request.url())) fail(`${where}: requests ${request.url()}`); });
    page.on("pageerror", (error) => fail(`${where}: ${error.message}`));
    await page.goto(pathToFileURL(join(site, path)).href, { waitUntil: "load" });
    await page.evaluate(axe);
    const found = await page.evaluate(() => axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"] }));
    for (const { id, impact, help, nodes } of found.violations) {
      fail(`${where}: ${id} (${impact}): ${help}`);
      for (const node of nodes.slice(0, 3)) console.log(`    ${node.target.join(" ")}\n    ${node.html.slice(0, 160)}`);
    }
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (wide > 1) fail(`${where}: the page is ${wide} pixels wider than the screen`);
    if (pictures) await page.screenshot({ path: join(pictures, `${name}-${theme}-${size}.png`) });
    await page.close();
  }
}

const search = await browser.newPage();
search.setDefaultTimeout(180000);
search.on("request", (request) => { if (/^https?:/.test(request.url())) fail(`search: requests ${request.url()}`); });
await search.goto(`${pathToFileURL(join(site, "search.html")).href}?q=fisher`, { waitUntil: "load" });
try {
  await search.waitForFunction(() => document.querySelectorAll("#search-results li").length > 3, { timeout: 60000 });
} catch {
  fail("search for 'fisher' finds nothing offline");
}
await browser.close();
console.log(failures ? `${failures} problems` : "no problems");
process.exit(failures ? 1 : 0);
