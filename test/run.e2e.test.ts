import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ask, bale, freePort, startBale } from './helpers/bale.ts'
import { temporaryDirectory } from './helpers/temporary.ts'
import { writeTree } from './helpers/tree.ts'

// `bale run` with the words of Docker: variables, volumes, memory and ports.

async function build(name: string, procfile: string): Promise<string> {
  const dir = await temporaryDirectory()
  await writeTree(dir, { 'app/Procfile': procfile })
  const { code, output } = await bale(['build', name, '--path', join(dir, 'app'), '--quiet'])
  expect(code, output).toBe(0)
  return dir
}

describe('bale run', () => {
  it('takes variables from files, in which the command line has the last word', async () => {
    const dir = await build('bale-test-run-env', 'web: echo "$ONE $TWO $THREE $HERE"\n')
    await writeFile(join(dir, 'first'), '# ours\nONE=1\nTWO=a b\n')
    await writeFile(join(dir, 'second'), 'ONE=uno\nHERE\n')
    const files = ['--env-file', join(dir, 'first'), '--env-file', join(dir, 'second'), '--env', 'THREE=3']
    const { stdout, output } = await bale(['run', 'bale-test-run-env', ...files], { env: { HERE: 'taken from here' } })
    expect(stdout, output).toBe('uno a b 3 taken from here\n')
    const missing = await bale(['run', 'bale-test-run-env', '--env-file', join(dir, 'none')])
    expect([missing.code === 0, missing.stderr]).toEqual([false, expect.stringContaining(join(dir, 'none'))])
  })

  it('shows volumes, read-only unless told', async () => {
    const script = 'cat /data/in /etc/extra; touch /data/no 2>/dev/null || echo read-only; echo out > /out/file'
    const dir = await build('bale-test-run-volume', `web: ${script}\n`)
    await writeTree(dir, { 'data/in': 'in\n', extra: 'extra\n' })
    await mkdir(join(dir, 'out'))
    const volumes = ['--volume', `${dir}/data:/data`, '-v', './extra:/etc/extra:ro', '-v', './out:/out:rw']
    const { code, stdout, output } = await bale(['run', 'bale-test-run-volume', ...volumes], { cwd: dir })
    expect([code, stdout], output).toEqual([0, 'in\nextra\nread-only\n'])
    expect(await readFile(join(dir, 'out/file'), 'utf8')).toBe('out\n')
    for (const [volume, why] of [
      [`${dir}/data:/bin/x`, '/bin is a symbolic link in the image'],
      [`${dir}/data:/etc/passwd`, '/etc/passwd is a file in the image'],
      [`${dir}/none:/data`, 'no such file'],
      [`${dir}/data:/a/../etc`, 'not a normalised absolute path'],
    ]) {
      const refused = await bale(['run', 'bale-test-run-volume', '--volume', volume as string])
      expect([refused.code === 0, refused.stdout, refused.stderr]).toEqual([
        false,
        '',
        expect.stringContaining(why as string),
      ])
    }
  })

  it('publishes a port, and ends what takes more memory than it may', async () => {
    const dir = await temporaryDirectory()
    await writeTree(dir, {
      'server.js': `const held = []
require('node:http').createServer((request, response) => {
  if (request.url === '/eat') for (let n = 0; n < 400; n++) held.push(Buffer.alloc(1_000_000, 1))
  response.end('hello from ' + process.env.PORT)
}).listen(process.env.PORT)`,
    })
    const built = await bale(['build', 'bale-test-run-ports', '--path', dir, '--quiet'])
    expect(built.code, built.output).toBe(0)
    const [port, own] = [await freePort(), await freePort()]
    const flags = ['--publish', `127.0.0.1:${port}:${own}`, '--env', `PORT=${own}`, '--memory', '200MB']
    const running = startBale(['run', 'bale-test-run-ports', ...flags])
    const alive = (): boolean => running.child.exitCode === null
    expect((await answer(port, alive)).body).toBe(`hello from ${own}`)
    const taken = await bale(['run', 'bale-test-run-ports', '--publish', `127.0.0.1:${port}:${own}`])
    expect([taken.code === 0, taken.stderr]).toEqual([false, expect.stringContaining(`port ${port} is in use`)])
    await fetch(`http://127.0.0.1:${port}/eat`).catch(() => {})
    const { code, stderr } = await running.ended
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining('ran out of memory and was stopped; its limit is 200 MB'),
    ])
    const offline = await bale(['run', 'bale-test-run-ports', '--network', 'none', '--publish', `${port}:${own}`])
    expect([offline.code, offline.stderr]).toEqual([2, expect.stringContaining('leave out --network none')])
  })
})

/** Until the program listens, connections are closed. */
const answer = (port: number, alive: () => boolean) => ask(`http://127.0.0.1:${port}/`, alive)
