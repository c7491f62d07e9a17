// Looks at pages in headless Chromium and prints, as JSON, what a person would complain about.
//
//   node look.mjs DRIVERS URL [SCREENSHOTS]
//
// DRIVERS is the folder that install.sh printed, URL the status page, SCREENSHOTS a folder for
// pictures. It judges nothing: the test that calls it does.
import { createRequire } from 'node:module'
import { readFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const [drivers, address, screenshots] = process.argv.slice(2)
const require = createRequire(join(drivers, 'package.json'))
const { chromium } = require('playwright-core')
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8')

// Chromium must ask nobody but the page's own server.
const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync']
const profile = mkdtempSync(join(tmpdir(), 'gapmend-browser-'))
const context = await chromium.launchPersistentContext(profile,
  { executablePath: '/usr/bin/chromium', headless: true, args: flags, viewport: { width: 1280, height: 900 } })

const errors = []
const page = context.pages()[0]
page.on('console', message => { if (message.type() === 'error') errors.push(message.text()) })
page.on('pageerror', error => errors.push(String(error)))
page.on('requestfailed', request => errors.push(`${request.url()} failed`))

// axe runs in a world of its own, so that the page's policy may forbid every script.
async function violations() {
  const session = await context.newCDPSession(page)
  const { frameTree } = await session.send('Page.getFrameTree')
  const { executionContextId } = await session.send('Page.createIsolatedWorld', { frameId: frameTree.frame.id })
  const evaluate = expression => session.send('Runtime.evaluate',
    { expression, contextId: executionContextId, awaitPromise: true, returnByValue: true })
  await evaluate(axe)
  const { result } = await evaluate(`axe.run(document, { resultTypes: ['violations'] }).then(found =>
    found.violations.map(v => v.id + ': ' + v.help + ' at ' + v.nodes.map(n => n.target.join(' ')).join(', ')))`)
  await session.detach()
  return result.value
}

async function look(path, name, { width = 1280, dark = false, print = false } = {}) {
  await page.setViewportSize({ width, height: 900 })
  await page.emulateMedia({ colorScheme: dark ? 'dark' : 'light', media: print ? 'print' : 'screen' })
  const response = await page.goto(new URL(path, address).href)
  const found = {
    name, path, status: response.status(), headers: response.headers(),
    text: await page.innerText('body'),
    violations: await violations(),
    // A page that is wider than its window makes narrow readers scroll both ways.
    overflow: await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth),
  }
  if (screenshots) await page.screenshot({ path: join(screenshots, `${name}.png`), fullPage: true })
  return found
}

// By keyboard alone: Tab until a date has the focus, and read what the calendar tells of it.
async function byKeyboard() {
  await page.emulateMedia({ colorScheme: 'light', media: 'screen' })
  await page.goto(new URL('?renew=off', address).href)
  for (let tabs = 0; tabs < 60; tabs += 1) {
    await page.keyboard.press('Tab')
    const told = await page.evaluate(() => {
      const focused = document.activeElement
      if (!focused || !focused.closest('svg.heat')) return null
      const lines = [...focused.querySelectorAll('.tell text')]
      const box = focused.querySelector('.tell').getBoundingClientRect()
      return { lines: lines.map(line => line.textContent), visible: box.width > 0, leads: focused.getAttribute('href') }
    })
    if (told) {
      if (screenshots) await page.screenshot({ path: join(screenshots, 'keyboard.png') })
      await Promise.all([page.waitForURL('**/dates/**', { waitUntil: 'load' }), page.keyboard.press('Enter')])
      return { ...told, tabs, arrived: new URL(page.url()).pathname }
    }
  }
  return null
}

const pages = [
  await look('?renew=off', 'status'),
  await look('?renew=off', 'status-dark', { dark: true }),
  await look('?renew=off', 'status-narrow', { width: 360 }),
  await look('?renew=off', 'status-print', { print: true }),
]
const keyboard = await byKeyboard()
// The dates that want a person, by the page's own links.
await page.goto(new URL('?renew=off', address).href)
const links = await page.$$eval('table.gaps td.date a', links => links.map(link => link.getAttribute('href')))
for (const [index, link] of links.entries()) {
  pages.push(await look(link, `date-${index}`))
  if (index === 0) {
    pages.push(await look(link, `date-${index}-dark`, { dark: true }))
    pages.push(await look(link, `date-${index}-narrow`, { width: 360 }))
  }
}
const renewing = await context.request.get(address)
console.log(JSON.stringify({ pages, keyboard, errors, refresh: renewing.headers().refresh ?? null }))
await context.close()
rmSync(profile, { recursive: true, force: true })
