// `npm start`: everything from a fresh machine to a page that a newly built image serves.
import { spawn, spawnSync } from 'node:child_process'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fail, root, setup } from './setup.mjs'

setup()
const bale = join(root, 'bin', 'bale')
const image = 'bale-example-flask'
const built = spawnSync(bale, ['build', image, '--path', join(root, 'examples', 'flask')], { stdio: 'inherit' })
if (built.status !== 0) process.exit(built.status ?? 1)

const port = await freePort()
const url = `http://127.0.0.1:${port}/`
console.log(`\nStarting the image: bale run ${image} --env PORT=${port}`)
const app = spawn(bale, ['run', image, '--env', `PORT=${port}`], { stdio: ['ignore', 'inherit', 'inherit'] })
const ended = new Promise(resolve => app.once('exit', resolve))
const page = await Promise.race([ask(url, 60_000), ended.then(() => undefined)])
if (page === undefined)
  fail('The image ended before it answered.', `See what it says above; to try again: bale run ${image}`)
app.kill('SIGTERM')
await ended
console.log(`\n${url} serves:\n\n${page.trim().replaceAll(/^/gm, '    ')}\n`)
console.log(`Run it yourself with:   npx bale run ${image}
Look inside it with:    npx bale inspect ${image}
Build your own with:    npx bale build NAME --path DIR`)

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}

async function ask(url, milliseconds) {
  for (const deadline = Date.now() + milliseconds; Date.now() < deadline; await new Promise(r => setTimeout(r, 50))) {
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(5000) })
      if (response.ok) return await response.text()
    } catch {
      // The server is not listening yet.
    }
  }
  app.kill('SIGTERM')
  return undefined
}
