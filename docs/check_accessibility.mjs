// Check all pages of the built site in Chromium: accessibility with axe-core in light and dark, no page wider than a phone, no
// request to another server, no error of a script, and search without a server.
//
//     npm install --prefix build/node axe-core@4 puppeteer-core@24
//     node docs/check_accessibility.mjs build/site [FOLDER FOR SCREENSHOTS] [PAGE.html ...]
//
// With a folder, a screenshot of each page is written to it, in light and dark, of a desktop and a phone. The environment
// variable CHROMIUM names the browser; default: /usr/bin/chromium.

import { createRequire } from "node:module";
import { existsSync, mkdirSync, readFileSync, readdirSync } from "node:fs";
import { join, resolve, sep } from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(join(resolve("build/node"), "package.json"));
const puppeteer = require("puppeteer-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const [folder = "build/site", ...others] = process.argv.slice(2);
const site = resolve(folder);
const pictures = others.filter((each) => !each.endsWith(".html")).map((each) => resolve(each))[0];
const named = others.filter((each) => each.endsWith(".html"));
const DESKTOP = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844 }; // isMobile or hasTouch would load the page again
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const BROWSERS = Number(process.env.BROWSERS ?? 2); // one tab each, because a browser hardly draws tabs that are not in front

let failures = 0;
const fail = (text, details = []) => { failures += 1; console.log([text, ...details].join("\n    ")); };
if (pictures) mkdirSync(pictures, { recursive: true });

function pagesOf(site) {
  const found = readdirSync(site, { recursive: true }).map((path) => path.split(sep).join("/"));
  return found.filter((path) => path.endsWith(".html") && !/^(_static|_downloads)\//.test(path)).sort();
}

async function useTheme(page, theme) {
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: theme }, { name: "prefers-reduced-motion", value: "reduce" }]);
  await page.evaluate((theme) => { document.documentElement.dataset.theme = theme; }, theme);
}

async function inspect(page, where, only) {
  const found = await page.evaluate((runOnly) => axe.run(document, { runOnly, resultTypes: ["violations"] }), only);
  for (const { id, impact, help, nodes } of found.violations) {
    const details = nodes.slice(0, 3).flatMap((node) => [node.target.join(" "), node.html.slice(0, 160)]);
    fail(`${where}: ${id} (${impact}): ${help}`, details);
  }
}

async function check(page, path) {
  const shoot = async (name) => { if (pictures) await page.screenshot({ path: join(pictures, `${path.replaceAll("/", "_").slice(0, -5)}-${name}.png`) }); };
  page.removeAllListeners("request").on("request", (request) => { if (/^https?:/.test(request.url())) fail(`${path}: requests ${request.url()}`); });
  page.removeAllListeners("pageerror").on("pageerror", (error) => fail(`${path}: ${error.message}`));
  await page.setViewport(DESKTOP);
  await page.goto(pathToFileURL(join(site, path)).href, { waitUntil: "load" });
  await page.evaluate(axe);
  await useTheme(page, "light");
  await shoot("light");
  await inspect(page, `${path}, light`, RULES);
  await useTheme(page, "dark");
  await shoot("dark");
  await inspect(page, `${path}, dark`, ["color-contrast", "link-in-text-block"]); // what a theme may change
  await page.setViewport(PHONE);
  await new Promise((done) => setTimeout(done, 600)); // the theme makes what scrolls reachable by keyboard a little later
  await shoot("phone-dark");
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (wide > 1) fail(`${path}, phone: the page is ${wide} pixels wider than the screen`);
  await useTheme(page, "light");
  await shoot("phone");
  await inspect(page, `${path}, phone`, RULES);
}

async function search(browser, words, target) {
  const [page] = await browser.pages();
  page.removeAllListeners("request").on("request", (request) => { if (/^https?:/.test(request.url())) fail(`search: requests ${request.url()}`); });
  await page.goto(pathToFileURL(join(site, "index.html")).href, { waitUntil: "load" });
  await page.evaluate(() => document.querySelector(".search-button__button, .search-button-field").click());
  await page.type("dialog input[type=search], .search__popup input[type=search], #pst-search-dialog input", words);
  await Promise.all([page.waitForNavigation({ timeout: 60000 }), page.keyboard.press("Enter")]);
  try {
    await page.waitForFunction((target) => [...document.querySelectorAll("#search-results li a")].some((link) => link.href.includes(target)), { timeout: 60000 }, target);
  } catch {
    fail(`search for '${words}' does not find ${target}`);
  }
}

const start = () => puppeteer.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", protocolTimeout: 300000, args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"] });
const wanted = named.length ? named : pagesOf(site);
const left = [...wanted];
async function work() {
  const browser = await start();
  const [page] = await browser.pages();
  page.setDefaultTimeout(180000);
  for (let path = left.shift(); path; path = left.shift()) {
    if (existsSync(join(site, path))) await check(page, path);
    else fail(`${path}: does not exist`);
  }
  await browser.close();
}
await Promise.all(Array.from({ length: Math.min(BROWSERS, wanted.length) }, work));
if (!named.length) {
  const browser = await start();
  for (const [words, target] of [["fisher", "FisherVector"], ["own extractor", "own_extractor"]]) await search(browser, words, target);
  await browser.close();
}
console.log(`${wanted.length} pages: ${failures ? `${failures} problems` : "no problems"}`);
process.exit(failures ? 1 : 0);
